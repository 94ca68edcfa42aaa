"""Networks of `keras.applications` with weights that the user supplies; nothing is downloaded."""

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from features.image.load import Fit
from features.image.network import NetworkEncoder
from features.keras_forward import Engine, Precision
from features.weights import file_sha256

if TYPE_CHECKING:
    import keras

    from features.onnx_session import Network

SUFFIXES = (".h5", ".keras")
_CHOICES = f"the path of a weight file ({', '.join(SUFFIXES)}), imagenet (the file in Keras' cache) or none (random)"
_SEED = 0
_MEANS = np.array([103.939, 116.779, 123.68], np.float32)


class PretrainedEncoder(NetworkEncoder):
    """Base class of the encoders whose network is one of `keras.applications`.

    Args:
        weights: the path of a weight file (`.weights.h5`, `.h5` or `.keras`), the same on every machine; its 1000-class
            head may be left out where `layer` lies below it. Or `imagenet`, the file in Keras' own cache. Or `none`,
            random weights from a fixed seed: `untrained` is then True. There is no default.
        fit, batch, precision, engine: as in `NetworkEncoder`.

    Attributes:
        module, function: module and function of `keras.applications` that build the network.
        layer: the layer whose output is the vector.
        cached: Keras' file names of ImageNet weights that can be loaded, the smallest first.

    Raises:
        ValueError: no such weights.
    """

    module: ClassVar[str]
    function: ClassVar[str]
    layer: ClassVar[str]
    cached: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        *,
        weights: str | None = None,
        fit: Fit = "crop",
        batch: int = 16,
        precision: Precision = "float32",
        engine: Engine = "auto",
    ) -> None:
        super().__init__(fit=fit, batch=batch, precision=precision, engine=engine)
        self.path = self._find(weights)
        self.untrained = self.path is None

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | ({"weights": "none", "seed": _SEED} if self.untrained else {})

    def weights_hash(self) -> str:
        return "" if self.path is None else file_sha256(self.path)

    def network(self) -> "keras.Model":
        """The network uint8 [n, 224, 224, 3] → [n, dim], built once a process.

        Raises:
            ValueError: the weight file isn't this network's.
        """
        return _network(self.module, self.function, self.layer, self.path, self.precision)

    def onnx_network(self) -> "Network":
        """The same under ONNX Runtime; raises as `network`."""
        return _onnx_network(self.module, self.function, self.layer, self.path, self.dim)

    def _find(self, weights: str | None) -> Path | None:
        """The path of the weight file, None for random weights.

        Raises:
            ValueError: no such weights.
        """
        if weights == "none":
            return None
        if weights == "imagenet":
            return self._find_cached()
        if not isinstance(weights, str) or not weights.endswith(SUFFIXES):
            raise ValueError(f"{self.name} wants weights: {_CHOICES}, not {weights!r}")
        if not Path(weights).is_file():
            raise ValueError(f"{self.name} finds no weight file at {weights}; weights is {_CHOICES}")
        return Path(weights)

    def _find_cached(self) -> Path:
        folder = keras_home() / "models"
        for name in self.cached:
            if (folder / name).is_file():
                return folder / name
        raise ValueError(
            f"{self.name} finds no ImageNet weights in Keras' cache: {folder} holds no {' or '.join(self.cached)}. Put"
            f" the file there (keras.applications.{self.function}(), run where there is a network, downloads it), or"
            " give its path as weights, or `none` for random ones"
        )


def keras_home() -> Path:
    """The folder in which Keras keeps its files, found without importing Keras (which takes seconds)."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"])
    home = Path.home()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"


@cache
def _network(module: str, function: str, layer: str, path: Path | None, precision: Precision) -> "keras.Model":
    """The network up to `layer`, preceded by its own preprocessing; built at the first call of a process."""
    import keras

    application = importlib.import_module(f"keras.applications.{module}")
    with _dtype_policy(precision):
        body = _body(application, function, layer, path)
        body = keras.Model(body.input, keras.ops.cast(body.output, "float32"))
        pictures = keras.Input(body.input_shape[1:], dtype="uint8")
        return keras.Model([pictures], body(application.preprocess_input(keras.ops.cast(pictures, "float32"))))


@cache
def _onnx_network(module: str, function: str, layer: str, path: Path | None, dim: int) -> "Network":
    """The same under ONNX Runtime. Its preprocessing is that of ResNet50 and VGG16: blue first, less the means of
    ImageNet's channels."""
    from features.image.from_keras import add_network
    from features.onnx_graph import FLOAT, Graph
    from features.onnx_session import Tensor

    body = _body(importlib.import_module(f"keras.applications.{module}"), function, layer, path)
    graph = Graph(Tensor("pictures", "uint8", ("n", *body.input_shape[1:])))
    channels_first = graph.add("Transpose", "pictures", perm=[0, 3, 1, 2])
    blue_first = graph.add("Gather", channels_first, np.array([2, 1, 0]), axis=1)
    pixels = graph.add("Sub", graph.add("Cast", blue_first, to=FLOAT), _MEANS.reshape(3, 1, 1))
    return graph.network(add_network(graph, body, pixels), width=dim)


def _body(application: Any, function: str, layer: str, path: Path | None) -> "keras.Model":
    """The network up to `layer`, without preprocessing."""
    import keras

    whole = _random(application, function) if path is None else _loaded(application, function, path)
    return keras.Model(whole.input, whole.get_layer(layer).output)


@contextmanager
def _dtype_policy(precision: Precision) -> Iterator[None]:
    """Changes the global dtype policy while a network is built: `keras.applications` take no policy as an argument."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _loaded(application: Any, function: str, path: Path) -> "keras.Model":
    """The network with the weights of a file, with the 1000-class head if the file has it.

    Raises:
        ValueError: the file fits neither form of the network.
    """
    errors = []
    for head in ({"include_top": True}, {"include_top": False, "pooling": "avg"}):
        network = getattr(application, function)(weights=None, **head)
        try:
            _load(network, path)
        except (ValueError, OSError, KeyError) as error:
            errors.append(str(error).partition("\n")[0])
            continue
        return network
    raise ValueError(f"{path} holds no weights of {function}: {'; '.join(errors)}")


def _load(network: "keras.Model", path: Path) -> None:
    """Sets every weight from a file.

    Keras only warns about weights that are missing in the file; NaN put in beforehand makes them an error.

    Raises:
        ValueError: the file lacks a weight.
    """
    import keras

    for variable in network.weights:
        variable.assign(np.full(variable.shape, np.nan, np.float32))
    with warnings.catch_warnings(action="ignore"):
        network.load_weights(path)
    for variable in network.weights:
        if np.isnan(keras.ops.convert_to_numpy(variable)).any():
            raise ValueError(f"the file has no numbers for {variable.path}")


def _random(application: Any, function: str) -> "keras.Model":
    """The network with LeCun-normal kernels (variance 1 / fan-in) from a fixed seed, the same on every backend."""
    network = getattr(application, function)(weights=None)
    draw = np.random.default_rng(_SEED)
    for variable in network.weights:
        if variable.name == "kernel":
            scale = np.float32(1 / np.sqrt(np.prod(variable.shape[:-1])))
            variable.assign(draw.standard_normal(variable.shape, np.float32) * scale)
    return network


class ResNet50(PretrainedEncoder):
    """ResNet50 (He et al. 2015, arXiv:1512.03385), globally average-pooled: 2048 wide, not negative."""

    name = "resnet50"
    version = 1
    module, function, layer = "resnet50", "ResNet50", "avg_pool"
    cached = (
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    )

    @property
    def dim(self) -> int:
        return 2048


class VGG16(PretrainedEncoder):
    """VGG16 (Simonyan and Zisserman 2014, arXiv:1409.1556), second fully connected layer: 4096 wide, not negative.

    Its weights take 0.55 GB of memory in each process.
    """

    name = "vgg16"
    version = 1
    module, function, layer = "vgg16", "VGG16", "fc2"
    cached = ("vgg16_weights_tf_dim_ordering_tf_kernels.h5",)

    @property
    def dim(self) -> int:
        return 4096
