"""Texture, as what the neighbourhoods of a picture's pixels look like."""

import numpy as np

from features.image.luma import luma

POINTS = 8
DIM = POINTS + 2


def texture(pixels: np.ndarray) -> np.ndarray:
    """Uniform local binary patterns (Ojala et al. 2002, eq. 11; 8 points, radius 1) of a picture, uint8 [h, w, 3].

    The picture is reduced to 112 x 112 first; its border isn't counted, as it has no full neighbourhood.

    Returns: float32 [10], which sums to 1. Value k from 0 to 8 is the share of pixels of which k neighbours in a row
        are at least as bright, the others darker: 0 is a bright spot, 8 a dark spot or an even patch, 3 to 5 edges and
        corners. Value 9 is the share of all other patterns: noise, fine detail.
    """
    from skimage.feature import local_binary_pattern

    patterns = local_binary_pattern(luma(pixels), POINTS, 1, "uniform")[1:-1, 1:-1]
    return (np.bincount(patterns.astype(int).ravel(), minlength=DIM) / patterns.size).astype(np.float32)
