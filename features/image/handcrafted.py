"""Pictures as shape, texture and colour, without a network."""

import numpy as np

from features.arrays import stacked
from features.image.base import ImageEncoder
from features.image.descriptors import colour, hog, lbp


class Hog(ImageEncoder):
    """Gradients [324], texture [10] and colour [52], each of Euclidean length 1 (or 0), one after the other: 386 wide.

    Histograms of texture and colour go in as square roots, which makes a dot product of two the Bhattacharyya
    coefficient and keeps large even grounds from drowning the rest.
    """

    name = "hog"
    version = 1

    @property
    def dim(self) -> int:
        return hog.DIM + lbp.DIM + colour.DIM

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors float32 [n, 386] of RGB pixels, uint8 [n, h, w, 3]; n may be 0."""
        return stacked((_vector(picture) for picture in pixels), self.dim)


def _vector(picture: np.ndarray) -> np.ndarray:
    shape = hog.gradients(picture)
    length = np.linalg.norm(shape)
    shape = shape / length if length > 0 else shape
    return np.concatenate([shape, np.sqrt(lbp.texture(picture)), np.sqrt(colour.colour(picture))])
