"""Pictures of any colour mode → RGB of 8 bits a channel, in little memory."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

_STRIP_PIXELS = 1 << 20
_DEEP = 65535


def flatten(image: Image.Image, *, least: int) -> Image.Image:
    """A decoded picture as RGB, transparent parts laid on white, or on black where white would hide everything.

    A large picture is reduced strip by strip, so that the memory beside it is a strip and the small result.

    Args:
        image: a picture of any mode.
        least: each side is divided by the largest integer that leaves at least so many pixels of it.
    """
    factors = (max(1, image.width // least), max(1, image.height // least))
    plain = image.mode == "RGB" and not image.has_transparency_data and factors == (1, 1)
    small = image if plain else _shrunk(image, factors)
    if small.mode == "RGB":
        return small
    on_white, on_black = _laid_on("white", small), _laid_on("black", small)
    # A white drawing on transparent ground is invisible on white.
    hidden = on_white.getextrema() == ((255, 255),) * 3 and on_black.getbbox() is not None
    return on_black if hidden else on_white


def _shrunk(image: Image.Image, factors: tuple[int, int]) -> Image.Image:
    """RGB or RGBA; means of blocks of `factors` (width, height) pixels, colours weighted by their alpha."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    tones = _tone_range(image)
    size = tuple(-(-length // factor) for length, factor in zip(image.size, factors, strict=True))
    small = Image.new(mode, (size[0], size[1]))
    for top, strip in _strips(image, factors[1]):
        plain = strip if tones is None else _eight_bits(strip, *tones)
        small.paste(plain.convert(mode).reduce(factors), (0, top // factors[1]))
    return small


def _strips(image: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """Strips from top to bottom, each a multiple of `multiple` rows high (the last may be less), with its first row."""
    rows = multiple * max(1, _STRIP_PIXELS // (image.width * multiple))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _tone_range(image: Image.Image) -> tuple[float, float] | None:
    """The values of black and white in a grey picture of more than 8 bits a pixel; None for all others.

    Integers run from 0 to 65535, floats from their minimum to their maximum.
    """
    if image.mode.startswith("I"):
        return 0.0, _DEEP
    if image.mode != "F":
        return None
    black, white = np.inf, -np.inf
    for _, strip in _strips(image, 1):
        values = np.asarray(strip)
        numbers = values[np.isfinite(values)]
        black, white = min(black, numbers.min(initial=np.inf)), max(white, numbers.max(initial=-np.inf))
    return (float(black), float(white)) if black <= white else (0.0, 1.0)


def _eight_bits(image: Image.Image, black: float, white: float) -> Image.Image:
    """A grey picture as "L" (8 bits), `black` becoming 0 and `white` 255; NaN becomes 0."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), nan=black, posinf=white, neginf=black)
    scale = 255 / (white - black) if white > black else 0.0
    return Image.fromarray(((values - black) * scale).clip(0, 255).round().astype(np.uint8))


def _laid_on(colour: str, image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, colour)
    ground.alpha_composite(image)
    return ground.convert("RGB")
