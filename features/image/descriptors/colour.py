"""A histogram of the colours in a picture."""

import cv2
import numpy as np

HUES, SATURATIONS, VALUES, GREYS = 12, 2, 2, 4
DIM = GREYS + HUES * SATURATIONS * VALUES
HUE_NAMES = (
    *("red", "orange", "yellow", "lime", "green", "mint"),
    *("cyan", "azure", "blue", "violet", "magenta", "pink"),
)
SEEN = 0.1
"""Share of a picture from which a hue is one of its own."""
_SIDE = 112
_GREY_BELOW, _VIVID_FROM = 32, 144
_BLACK_BELOW, _BRIGHT_FROM = 32, 160


def colour_histogram(pixels: np.ndarray) -> np.ndarray:
    """Histogram in HSV of a picture reduced to 112 x 112.

    Args:
        pixels: uint8 [h, w, 3], RGB.

    Returns: float32 [52], which sums to 1. The first 4 values are the shares of greys, from black to white; a pixel
        with a saturation or a value below 1/8 is grey, as its hue means nothing. The others are the shares of 12 hues
        of 30 degrees (red first, from -15 to 15, then through yellow, green and blue), each as pale dark, pale bright,
        vivid dark, vivid bright. Vivid is a saturation from 9/16, bright a value from 5/8.

    >>> red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    >>> np.flatnonzero(colour_histogram(red)).tolist()  # hue 0, vivid and bright
    [7]
    """
    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    # In HSV_FULL the hue, too, covers 0 to 255; 16 bits leave room for the products below.
    hue, saturation, value = np.moveaxis(cv2.cvtColor(small, cv2.COLOR_RGB2HSV_FULL).astype(np.uint16), -1, 0)
    grey = (saturation < _GREY_BELOW) | (value < _BLACK_BELOW)
    # Half a bin is added, so that red lies in the middle of the first one.
    hues = (hue * HUES + 128) // 256 % HUES
    coloured = GREYS + hues * 4 + (saturation >= _VIVID_FROM) * np.uint16(2) + (value >= _BRIGHT_FROM)
    bins = np.where(grey, value * GREYS // 256, coloured)
    return (np.bincount(bins.ravel(), minlength=DIM) / bins.size).astype(np.float32)


def main_hues(histogram: np.ndarray) -> list[str]:
    """The names of the hues that at least `SEEN` of a picture has, whatever their shade, the largest first.

    Args:
        histogram: float32 [52], as `colour_histogram` returns it.

    >>> main_hues(colour_histogram(np.full((8, 8, 3), (255, 0, 0), np.uint8)))
    ['red']
    """
    shares = histogram[GREYS:].reshape(HUES, -1).sum(axis=1)
    return [HUE_NAMES[hue] for hue in np.argsort(-shares, kind="stable") if shares[hue] >= SEEN]
