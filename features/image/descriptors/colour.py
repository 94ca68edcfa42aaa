"""Which colours a picture has."""

import cv2
import numpy as np

HUES, SATURATIONS, VALUES, GREYS = 12, 2, 2, 4
DIM = GREYS + HUES * SATURATIONS * VALUES
_SIDE = 112
_GREY_BELOW, _VIVID_FROM = 32, 144
_BLACK_BELOW, _BRIGHT_FROM = 32, 160


def colour(pixels: np.ndarray) -> np.ndarray:
    """Histogram of a picture, uint8 [h, w, 3], in HSV, after a reduction to 112 x 112.

    Returns: float32 [52], which sums to 1. The first 4 values are the shares of greys, from black to white; grey is
        what has a saturation or a value below 1/8, as its hue means nothing. The others are the shares of 12 hues of 30
        degrees (red first, from -15 to 15, then through yellow, green and blue), each as pale dark, pale bright, vivid
        dark, vivid bright. Vivid is a saturation from 9/16, bright a value from 5/8.
    """
    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    hue, saturation, value = np.moveaxis(cv2.cvtColor(small, cv2.COLOR_RGB2HSV_FULL).astype(np.uint16), -1, 0)
    grey = (saturation < _GREY_BELOW) | (value < _BLACK_BELOW)
    hues = (hue * HUES + 128) // 256 % HUES
    coloured = GREYS + hues * 4 + (saturation >= _VIVID_FROM) * np.uint16(2) + (value >= _BRIGHT_FROM)
    bins = np.where(grey, value * GREYS // 256, coloured)
    return (np.bincount(bins.ravel(), minlength=DIM) / bins.size).astype(np.float32)
