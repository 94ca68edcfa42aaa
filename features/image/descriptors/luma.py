"""The small grey picture that the descriptors of shape are computed on."""

import cv2
import numpy as np

SIDE = 112


def luma(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Luma (ITU-R BT.601) of a picture, uint8 [h, w, 3], averaged by area to uint8 [side, side]."""
    return cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
