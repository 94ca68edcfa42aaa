"""Local binary patterns: texture, as a histogram of the neighbourhoods of a picture's pixels."""

import numpy as np

from features.image.descriptors.luma import luma

POINTS = 8
DIM = POINTS + 2

# Row and column of the 8 neighbours in a 3 x 3 window, in order around its centre.
_RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def _classes() -> np.ndarray:
    """uint8 [256], the class of each ring of 8 bits: the number of ones where they are adjacent (uniform), else 9."""
    rings = (np.arange(1 << POINTS)[:, None] >> np.arange(POINTS)) & 1
    # Adjacent ones change to zeros and back at most once around the ring.
    changes = (rings != np.roll(rings, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, rings.sum(axis=1), POINTS + 1).astype(np.uint8)


_CLASSES = _classes()


def binary_patterns(pixels: np.ndarray) -> np.ndarray:
    """Histogram of uniform local binary patterns (Ojala et al. 2002, eq. 9) of a picture reduced to 112 x 112.

    A neighbourhood is the 8 pixels around one; the picture's border isn't counted, as it has no full neighbourhood.

    Args:
        pixels: uint8 [h, w, 3], RGB.

    Returns: float32 [10], which sums to 1. Value k from 0 to 8 is the share of pixels of which k adjacent neighbours
        are at least as bright, the others darker: 0 is a bright spot, 8 a dark spot or an even patch, 3 to 5 edges and
        corners. Value 9 is the share of all other patterns: noise, fine detail.
    """
    grey = luma(pixels)
    height, width = (length - 2 for length in grey.shape)
    centre = grey[1:-1, 1:-1]
    # Bit k of a ring is set where the k-th neighbour is at least as bright as the centre.
    rings = np.zeros((height, width), np.uint8)
    for bit, (row, column) in enumerate(_RING):
        rings |= (grey[row : row + height, column : column + width] >= centre).view(np.uint8) << np.uint8(bit)
    counts = np.bincount(rings.ravel(), minlength=len(_CLASSES))
    return (np.bincount(_CLASSES, counts, DIM) / rings.size).astype(np.float32)
