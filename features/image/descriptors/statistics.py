"""Brightness, contrast, colourfulness and sharpness of a picture."""

import math

import cv2
import numpy as np

_WHITE = 255
_BLANK_STEPS = 2
_LUMA = (0.299, 0.587, 0.114)


def image_statistics(pixels: np.ndarray) -> dict[str, float | bool]:
    """Statistics of one picture.

    Args:
        pixels: uint8 [h, w, 3], RGB.

    Returns: by the names of the table's columns
        brightness: mean luma, 0 to 1 (weights of ITU-R BT.601).
        contrast: standard deviation of luma, 0 to 0.5.
        colourfulness: Hasler and Süsstrunk 2003, on channels from 0 to 1; 0 is grey, above 0.4 is extremely colourful.
        sharpness: variance of luma's Laplacian (Pech-Pacheco et al. 2000), without the border.
        blank: every pixel has the same colour, give or take 2 of 255.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    channels = cv2.split(pixels)
    ranges = (cv2.minMaxLoc(channel) for channel in channels)
    return {
        "brightness": float(np.dot(_LUMA, cv2.mean(pixels)[:3])) / _WHITE,
        "contrast": _mean_and_spread(grey)[1] / _WHITE,
        "colourfulness": _colourfulness(*(channel.astype(np.int16) for channel in channels)) / _WHITE,
        "sharpness": (_mean_and_spread(cv2.Laplacian(grey, cv2.CV_16S)[1:-1, 1:-1])[1] / _WHITE) ** 2,
        "blank": all(most - least <= _BLANK_STEPS for least, most, *_ in ranges),
    }


def _colourfulness(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> float:
    """`sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)² + mean(yb)²)` with rg = r - g and yb = (r + g) / 2 - b.

    Channels are int16 [h, w]; yb is computed doubled, in integers, and halved afterwards.
    """
    (mean_rg, spread_rg), (mean_yb, spread_yb) = (
        _mean_and_spread(red - green),
        (half / 2 for half in _mean_and_spread(red + green - 2 * blue)),
    )
    return math.hypot(spread_rg, spread_yb) + 0.3 * math.hypot(mean_rg, mean_yb)


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of an array [h, w]."""
    mean, spread = cv2.meanStdDev(values)
    return float(mean[0, 0]), float(spread[0, 0])
