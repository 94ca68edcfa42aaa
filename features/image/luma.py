"""The grey reduction that the descriptors of shape look at."""

import numpy as np
from PIL import Image

SIDE = 112


def luma(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Luma (ITU-R BT.601), uint8 [side, side], of a picture, uint8 [h, w, 3], each value the mean of what it covers."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((side, side), Image.Resampling.BOX))
