"""Base class of the image encoders whose network, and what it is given, are told by parameters."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from features.image.base import ImageEncoder
from features.image.load import Fit
from features.keras_forward import forward
from features.pooling import Pooled

MOST_PIXELS_A_SIDE = 4096


class PreparedEncoder(ImageEncoder):
    """Base class of the encoders that prepare pictures as their parameters say; a subclass adds `network`.

    A value from 0 to 255 becomes `(value / 255 * white - mean) / std`.

    Args:
        size: height and width of the pictures, in pixels.
        fit: how they become squares, as in `load_picture`: `squash`, `crop` or `cover`.
        mean, std: one number for each of red, green and blue, or one for all; as a `preprocessor_config.json` has them.
        white: what 255 is before `mean` and `std`; 255 for networks that take plain values.
        batch: pictures a call of the network; not part of the fingerprint.
        space: as in `Encoder`; not part of the fingerprint.

    Raises:
        ValueError: a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        fit: Fit = "squash",
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        white: float = 1.0,
        batch: int = 16,
        space: str = "",
    ) -> None:
        super().__init__(fit=fit)
        for name, value in {"size": size, "batch": batch}.items():
            if not isinstance(value, int) or not 0 < value <= MOST_PIXELS_A_SIDE:
                raise ValueError(f"{name} is {value!r}; expected a whole number from 1 to {MOST_PIXELS_A_SIDE}")
        if not 0 < white < float("inf"):
            raise ValueError(f"white is {white!r}; expected a number above 0")
        self.side = size
        self.mean = _colours("mean", mean)
        self.std = _colours("std", std)
        if 0 in self.std:
            raise ValueError(f"std is {std!r}; expected numbers other than 0")
        self.white = float(white)
        self.batch = batch
        self.space = space

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"mean": self.mean, "std": self.std, "white": self.white}

    @abstractmethod
    def network(self) -> Pooled:
        """The network [n, size, size, 3] and `filled` → [n, dim]; built once a process."""

    def prepared(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels uint8 [n, size, size, 3] as `network` takes them: float32 [n, size, size, 3]."""
        mean, std = np.array([self.mean, self.std], np.float32)
        return (pixels.astype(np.float32) * np.float32(self.white / 255) - mean) / std

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors float32 [n, dim] of RGB pixels, uint8 [n, size, size, 3]; n may be 0."""
        network = self.network()
        # A call at a time, as prepared pictures are four times as large.
        parts = [pixels[start : start + self.batch] for start in range(0, max(len(pixels), 1), self.batch)]
        vectors = [forward(network, [self.prepared(p), np.ones(len(p))], batch=self.batch)[0] for p in parts]
        return np.concatenate(vectors)


def _colours(name: str, given: float | Sequence[float]) -> list[float]:
    """Three numbers, for red, green and blue.

    Raises:
        ValueError: `given` is neither a number nor three.
    """
    values = [given] * 3 if isinstance(given, int | float) else list(given)
    if len(values) != 3 or not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"{name} is {given!r}; expected a number, or one for each of red, green and blue")
    return [float(value) for value in values]
