"""Base class of the image encoders: decoding and the readable columns."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder
from features.image.descriptors.colour import colour_histogram
from features.image.descriptors.edges import edges
from features.image.descriptors.hog import oriented_gradients
from features.image.descriptors.lbp import binary_patterns
from features.image.descriptors.phash import perceptual_hash
from features.image.descriptors.statistics import image_statistics
from features.image.load import Fit, Picture, load_picture

COLUMNS_VERSION = 2
"""To be raised with every change of what the readable columns hold."""


@dataclass(frozen=True)
class Decoded:
    """A picture as an encoder takes it: `pixels` as in `load.Picture`, and the readable `columns` by name.

    The columns are computed while decoding, which runs in parallel, so that the network doesn't wait for them.
    """

    pixels: np.ndarray
    columns: dict[str, Any]


class ImageEncoder(Encoder):
    """Base class of the image encoders; a subclass adds `name`, `version`, `dim` and `embed`.

    Args:
        fit: how a picture becomes a square: `squash` takes all of it and changes its proportions, `crop` and
            `cover` keep them and take the middle of it (see `load_picture`).

    Attributes:
        side: height and width, in pixels, of the squares that `embed` takes.

    Raises:
        ValueError: `fit` is none of them.
    """

    modality = "image"
    side: int = 224

    def __init__(self, *, fit: Fit = "squash") -> None:
        if fit not in get_args(Fit):
            raise ValueError(f"fit is {fit!r}; expected one of {', '.join(get_args(Fit))}")
        self.fit = fit

    def parameters(self) -> dict[str, Any]:
        return {"side": self.side, "fit": self.fit, "ground": "white, else black", "columns": COLUMNS_VERSION}

    def decode(self, content: Path) -> Decoded:
        """Decodes the picture file at `content`; raises as `load_picture`. Thread-safe."""
        picture = load_picture(content, side=self.side, fit=self.fit)
        return Decoded(picture.pixels, _columns(picture))

    def encode(self, decoded: Sequence[Decoded]) -> pa.RecordBatch:
        """Features of pictures, in order; `schemas.features.FeaturesImage` describes the columns."""
        return feature_batch(self.schema(), self.vectors(decoded), [picture.columns for picture in decoded])

    def vectors(self, decoded: Sequence[Decoded]) -> np.ndarray:
        """`embed` of the pictures' pixels, float32 [n, dim]."""
        pixels = np.array([picture.pixels for picture in decoded], np.uint8)
        return self.embed(pixels.reshape(-1, self.side, self.side, 3))

    @abstractmethod
    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors float32 [n, dim] of RGB pixels, uint8 [n, side, side, 3]; n may be 0."""


def _columns(picture: Picture) -> dict[str, Any]:
    """The readable columns by name, of the whole picture, so that they agree between encoders."""
    density, directions = edges(picture.whole)
    return {
        "width": picture.width,
        "height": picture.height,
        "animated": picture.animated,
        **image_statistics(picture.whole),
        "gradients": oriented_gradients(picture.whole),
        "texture": binary_patterns(picture.whole),
        "edge_density": density,
        "edges": directions,
        "colour": colour_histogram(picture.whole),
        "perceptual_hash": perceptual_hash(picture.whole),
    }
