"""Shape, as the directions in which a picture's brightness changes."""

import numpy as np

from features.image.luma import SIDE, luma

ORIENTATIONS = 9
CELL = 28
BLOCK = 2
DIM = (SIDE // CELL - BLOCK + 1) ** 2 * BLOCK**2 * ORIENTATIONS


def gradients(pixels: np.ndarray) -> np.ndarray:
    """Histogram of oriented gradients (Dalal and Triggs 2005) of a picture, uint8 [h, w, 3], reduced to 112 x 112.

    Returns: float32 [324], not negative: 3 x 3 overlapping blocks of 2 x 2 cells of 28 x 28 pixels, 9 orientations of
        20 degrees a cell, in the order block row, block column, cell row, cell column, orientation. Orientation 0 holds
        gradients that point sideways (0 to 20 degrees), as those across a vertical line. Each block has the length 1
        (L2-Hys); all values are 0 where nothing changes.
    """
    from skimage.feature import hog

    cells, blocks = (CELL, CELL), (BLOCK, BLOCK)
    found = hog(luma(pixels), ORIENTATIONS, pixels_per_cell=cells, cells_per_block=blocks, block_norm="L2-Hys")
    return np.asarray(found, np.float32)
