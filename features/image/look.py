"""What can be said of a picture in plain numbers."""

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BLANK_RANGE = 2


def look(pixels: np.ndarray) -> dict[str, float | bool]:
    """Readable features of one picture, uint8 [h, w, 3].

    Returns:
        brightness: mean luma, 0 to 1 (weights of ITU-R BT.601).
        contrast: standard deviation of luma, 0 to 0.5.
        colourfulness: Hasler and Süsstrunk 2003, on channels from 0 to 1; 0 is grey, above 0.4 is extremely colourful.
        sharpness: variance of luma's Laplacian (Pech-Pacheco 2000).
        blank: every pixel has the same colour, give or take 2 of 255.
    """
    channels = pixels.astype(np.float32) / 255
    luma = channels @ _LUMA
    ranges = pixels.max(axis=(0, 1)).astype(int) - pixels.min(axis=(0, 1))
    return {
        "brightness": float(luma.mean()),
        "contrast": float(luma.std()),
        "colourfulness": _colourfulness(channels),
        "sharpness": float(_laplacian(luma).var()),
        "blank": bool((ranges <= _BLANK_RANGE).all()),
    }


def _colourfulness(channels: np.ndarray) -> float:
    """`sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)² + mean(yb)²)` with rg = r - g and yb = (r + g) / 2 - b."""
    red, green, blue = np.moveaxis(channels, -1, 0)
    opponents = (red - green, (red + green) / 2 - blue)
    spread = np.sqrt(sum(axis.var() for axis in opponents))
    distance = np.sqrt(sum(axis.mean() ** 2 for axis in opponents))
    return float(spread + 0.3 * distance)


def _laplacian(luma: np.ndarray) -> np.ndarray:
    """Sum of the four neighbours less four times the pixel, without the border."""
    inner = luma[1:-1, 1:-1]
    return luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
