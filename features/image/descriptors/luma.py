"""The grey reduction that the descriptors of shape look at."""

import cv2
import numpy as np

SIDE = 112


def luma(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Luma (ITU-R BT.601), uint8 [side, side], of a picture, uint8 [h, w, 3], each value the mean of what it covers."""
    return cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
