"""What can be said of a picture in plain numbers."""

import numpy as np

_BLANK_STEPS = 2.5


def look(pixels: np.ndarray) -> dict[str, float | bool]:
    """Readable features of one picture, uint8 [h, w, 3].

    Returns:
        brightness: mean luma, 0 to 1 (weights of ITU-R BT.601).
        contrast: standard deviation of luma, 0 to 0.5.
        colourfulness: Hasler and Süsstrunk 2003, on channels from 0 to 1; 0 is grey, above 0.4 is extremely colourful.
        sharpness: variance of luma's Laplacian (Pech-Pacheco 2000).
        blank: every pixel has the same colour, give or take 2 of 255.
    """
    red, green, blue = (np.ascontiguousarray(pixels[..., i], np.float32) / 255 for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    steps = max(channel.max() - channel.min() for channel in (red, green, blue)) * 255
    return {
        "brightness": float(luma.mean()),
        "contrast": float(luma.std()),
        "colourfulness": _colourfulness(red, green, blue),
        "sharpness": float(_laplacian(luma).var()),
        "blank": bool(steps <= _BLANK_STEPS),
    }


def _colourfulness(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> float:
    """`sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)² + mean(yb)²)` with rg = r - g and yb = (r + g) / 2 - b."""
    opponents = (red - green, (red + green) / 2 - blue)
    spread = np.sqrt(sum(axis.var() for axis in opponents))
    distance = np.sqrt(sum(axis.mean() ** 2 for axis in opponents))
    return float(spread + 0.3 * distance)


def _laplacian(luma: np.ndarray) -> np.ndarray:
    """Sum of the four neighbours less four times the pixel, without the border."""
    inner = luma[1:-1, 1:-1]
    return luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
