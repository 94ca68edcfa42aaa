"""Base class of the image encoders that run a network."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from features.image.base import ImageEncoder
from features.image.load import Fit
from features.keras_forward import (
    Engine,
    Precision,
    check_options,
    forward,
    precision_parameter,
    runs_on_onnxruntime,
)

if TYPE_CHECKING:
    import keras

    from features.onnx_session import Network


class NetworkEncoder(ImageEncoder):
    """Base class of the encoders whose vectors are a network's output.

    Args:
        fit: as in `ImageEncoder`.
        batch: pictures a call of the network; not part of the fingerprint.
        precision: Keras' dtype policy. The mixed ones are for GPUs.
        engine: what computes the network, see `Engine`; not part of the fingerprint.

    Raises:
        ValueError: a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        fit: Fit = "squash",
        batch: int = 16,
        precision: Precision = "float32",
        engine: Engine = "auto",
    ) -> None:
        super().__init__(fit=fit)
        check_options(batch=batch, precision=precision, engine=engine)
        self.batch = batch
        self.precision = precision
        self.engine = engine

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | precision_parameter(self.precision)

    @abstractmethod
    def network(self) -> "keras.Model":
        """The network uint8 [n, side, side, 3] → [n, dim] (or several outputs, that one first); built once a
        process."""

    @abstractmethod
    def onnx_network(self) -> "Network":
        """The same under ONNX Runtime."""

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors float32 [n, dim] of RGB pixels, uint8 [n, side, side, 3]; n may be 0.

        Raises:
            ValueError: the array has another dtype or shape.
        """
        wanted = (self.side, self.side, 3)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != wanted:
            raise ValueError(f"pixels are uint8 [n, {', '.join(map(str, wanted))}], not {pixels.dtype} {pixels.shape}")
        network = self.onnx_network() if runs_on_onnxruntime(self.engine, self.precision) else self.network()
        return forward(network, [pixels], batch=self.batch)[0]
