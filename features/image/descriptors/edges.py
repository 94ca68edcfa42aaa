"""The density and the directions of a picture's edges."""

import cv2
import numpy as np

from features.image.descriptors.luma import luma

DIRECTIONS = 8
_SIGMA = 1.0
_LOW, _HIGH = 25.5, 51.0


def edges(pixels: np.ndarray) -> tuple[float, np.ndarray]:
    """Edges of a picture reduced to 112 x 112, by Canny's detector (1986).

    Args:
        pixels: uint8 [h, w, 3], RGB.

    Returns:
        density: the share of pixels that lie on an edge, 0 to 1.
        directions: float32 [8], the share of edge pixels by the direction in which the edge runs, in steps of 22.5
            degrees counted anticlockwise: value 0 is for horizontal edges, 2 for rising ones, 4 for vertical ones, 6
            for falling ones. They sum to 1, or are all 0 where there is no edge.
    """
    grey = cv2.GaussianBlur(luma(pixels), (0, 0), _SIGMA)
    rightwards, downwards = (cv2.Sobel(grey, cv2.CV_16S, *axis) for axis in ((1, 0), (0, 1)))
    on_edge = cv2.Canny(rightwards, downwards, _LOW, _HIGH, L2gradient=True) > 0
    # An edge runs at right angles to its gradient, whose row component points down.
    turns = np.arctan2(-downwards[on_edge].astype(np.float32), rightwards[on_edge]) / np.pi + 0.5
    bins = np.round(turns * DIRECTIONS).astype(int) % DIRECTIONS
    counts = np.bincount(bins, minlength=DIRECTIONS)
    return float(on_edge.mean()), (counts / max(1, counts.sum())).astype(np.float32)
