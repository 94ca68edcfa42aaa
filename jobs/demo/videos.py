"""Short clips of a moving pattern, from an item's pattern, direction, speed and daylight (as the brightness)."""

import colorsys
from functools import cache

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS, SECONDS = 160, 120, 12, 2
CELL = 40
"""Pixels after which a pattern repeats."""
FINE = 8
"""Samples a pixel of a pattern, so that slow motion is smooth."""
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up."""
Field = NDArray[np.float64]


def pixels_per_second(speed: float) -> float:
    """Return 8 to 72 for a speed of -1 to 1: less than half a cell a frame, so that the direction is visible."""
    return 24 * 3**speed


def clip(rng: np.random.Generator, *, pattern: int, direction: int, speed: float, daylight: float) -> NDArray[np.uint8]:
    """Return uint8 [frames, height, width, 3]. The colours are random and depend on no trait but daylight."""
    ground, figure = _colours(rng, daylight)
    shades = np.linspace(ground, figure, 256).round().astype(np.uint8)
    dx, dy = DIRECTIONS[direction]
    moved = pixels_per_second(speed) * np.arange(FPS * SECONDS)[:, None] / FPS
    x = _place_on_tile(np.arange(WIDTH) - dx * moved + rng.uniform(0, CELL))
    y = _place_on_tile(np.arange(HEIGHT) - dy * moved + rng.uniform(0, CELL))
    return shades[_tile(pattern)[y[:, :, None], x[:, None, :]]]


@cache
def _tile(pattern: int) -> NDArray[np.uint8]:
    """One cell of a pattern, `FINE` samples a pixel, from 0 (ground) to 255 (figure)."""
    y, x = np.mgrid[0 : CELL * FINE, 0 : CELL * FINE] / FINE - CELL / 2
    return np.round(255 * np.clip(PATTERNS[pattern](x, y) + 0.5, 0, 1)).astype(np.uint8)


def _place_on_tile(pixels: Field) -> NDArray[np.int64]:
    return np.floor(pixels * FINE).astype(np.int64) % (CELL * FINE)


def _colours(rng: np.random.Generator, daylight: float) -> tuple[Field, Field]:
    hue = rng.random()
    ground = colorsys.hsv_to_rgb(hue, 0.35, 0.52 + 0.4 * daylight)
    figure = colorsys.hsv_to_rgb((hue + rng.uniform(0.3, 0.7)) % 1, 0.75, 0.72 + 0.2 * daylight)
    return 255 * np.array(ground), 255 * np.array(figure)


def _discs(x: Field, y: Field) -> Field:
    return 12 - np.hypot(x, y)


def _rings(x: Field, y: Field) -> Field:
    return 3.5 - np.abs(np.hypot(x, y) - 13)


def _bars(x: Field, y: Field) -> Field:
    return (np.abs((x + y) % CELL - CELL / 2) - CELL / 4) / np.sqrt(2)


def _checks(x: Field, y: Field) -> Field:
    return np.where((x > 0) == (y > 0), 1.0, -1.0) * np.minimum(np.abs(x), np.abs(y))


def _crosses(x: Field, y: Field) -> Field:
    near, far = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    return np.minimum(3.5 - near, 15 - far)


PATTERNS = (_discs, _rings, _bars, _checks, _crosses)
