"""Histograms of oriented gradients: shape, as the directions in which a picture's brightness changes."""

import cv2
import numpy as np

from features.image.descriptors.luma import SIDE, luma

ORIENTATIONS = 9
CELL = 28
BLOCK = 2
DIM = (SIDE // CELL - BLOCK + 1) ** 2 * BLOCK**2 * ORIENTATIONS

_ENOUGH = 1e-5
_CLIP = 0.2
# The number of the cell that each pixel of the reduced picture lies in, counted row by row: [112, 112].
_CELLS = (np.indices((SIDE, SIDE)) // CELL * np.array([[[SIDE // CELL]], [[1]]])).sum(axis=0)


def oriented_gradients(pixels: np.ndarray) -> np.ndarray:
    """Histogram of oriented gradients (Dalal and Triggs 2005) of a picture reduced to 112 x 112.

    Args:
        pixels: uint8 [h, w, 3], RGB.

    Returns: float32 [324], not negative: 3 x 3 overlapping blocks of 2 x 2 cells of 28 x 28 pixels, 9 orientations of
        20 degrees a cell, in the order block row, block column, cell row, cell column, orientation. Orientation 0 holds
        gradients that point sideways (0 to 20 degrees), as those across a vertical line. Each block has the length 1
        (L2-Hys); all values are 0 where nothing changes.
    """
    grey = luma(pixels)
    rightwards, downwards = (cv2.Sobel(grey, cv2.CV_32F, *axis, ksize=1) for axis in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(rightwards, downwards, angleInDegrees=True)
    # Angles run from 0 to 360 degrees; the remainder makes opposite directions one orientation.
    orientation = (angle * (ORIENTATIONS / 180)).astype(np.intp) % ORIENTATIONS
    cells = SIDE // CELL
    # One count over (cell, orientation) numbers makes the histograms of all cells at once.
    bins = (_CELLS * ORIENTATIONS + orientation).ravel()
    histograms: np.ndarray = np.bincount(bins, strength.ravel(), cells**2 * ORIENTATIONS)
    windows = np.lib.stride_tricks.sliding_window_view
    blocks = windows(histograms.reshape(cells, cells, ORIENTATIONS), (BLOCK, BLOCK), axis=(0, 1))
    # The windows' axes come last; they go before the orientations.
    blocks = blocks.transpose(0, 1, 3, 4, 2).reshape(-1, BLOCK**2 * ORIENTATIONS) / CELL**2
    return _unit(np.minimum(_unit(blocks), _CLIP)).astype(np.float32).ravel()


def _unit(blocks: np.ndarray) -> np.ndarray:
    """The rows of `blocks` [n, m] scaled to length 1, or to less where they are nearly zero."""
    return blocks / np.sqrt((blocks**2).sum(axis=1, keepdims=True) + _ENOUGH**2)
