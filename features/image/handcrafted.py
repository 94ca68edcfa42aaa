"""Image encoder without a network: shape, texture and colour."""

import numpy as np

from features.arrays import stacked
from features.image.base import ImageEncoder
from features.image.descriptors import colour, hog, lbp


class Hog(ImageEncoder):
    """Oriented gradients [324], binary patterns [10] and colours [52], each of Euclidean length 1 (or 0): 386 wide.

    The histograms of patterns and colours go in as square roots: a dot product of two is then the Bhattacharyya
    coefficient, in which a large even background doesn't outweigh the rest.
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
    shape = hog.oriented_gradients(picture)
    length = np.linalg.norm(shape)
    shape = shape / length if length > 0 else shape
    return np.concatenate([shape, np.sqrt(lbp.binary_patterns(picture)), np.sqrt(colour.colour_histogram(picture))])
