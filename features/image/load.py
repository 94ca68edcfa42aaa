"""Any picture file → upright RGB pixels of the network's size."""

import contextlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from features.base import MediaError
from features.image.svg import HEAD_BYTES, is_svg, rasterise

SIDE = 224
MAX_BYTES = 256 << 20
MAX_PIXELS = 128_000_000

# Everything else that Pillow knows is left out: EPS runs another program, and the rest is not found in catalogs.
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_MOVING = ("AVIF", "GIF", "PNG", "WEBP")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
# What Pillow's parsers raise on files that aren't what they claim to be.
_PARSER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
)
_SVG_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    `pixels` is uint8 [224, 224, 3], RGB, upright, transparent parts white. `width` and `height` are the file's own, in
    pixels, as seen upright (an SVG's are those of its raster). `animated` says that the file has more frames; only the
    first is decoded.
    """

    pixels: np.ndarray
    width: int
    height: int
    animated: bool


def load_picture(path: Path) -> Picture:
    """Decodes the picture at `path`, whose name doesn't matter.

    The whole picture is squashed to a square: cropping loses the top and bottom of a 2:3 poster, and on drawings and
    posters alike neighbours agree more often on squashed pictures than on cropped ones. Resampling is bicubic, after
    transparent parts have been laid on white.

    Raises:
        MediaError: "missing", "empty", "too-large", "unknown-format", "undecodable" or "timeout", with the decoder's
            own words.
    """
    with _words_of_the_decoder(), _raster(path) as file, Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise MediaError("too-large", f"{width} x {height} pixels, at most {MAX_PIXELS} are decoded")
        animated = image.format in _MOVING and bool(getattr(image, "is_animated", False))
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is scaled while it is decoded; others ignore this
        image.load()
        orientation = _orientation(image)
        small = flatten(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if orientation in _SIDEWAYS:
        width, height = height, width
    return Picture(np.asarray(_upright(small, orientation)), width, height, animated)


@contextlib.contextmanager
def _words_of_the_decoder() -> Iterator[None]:
    """Turns whatever Pillow's parsers raise on bad files into a MediaError."""
    try:
        yield
    except MediaError:
        raise
    except FileNotFoundError as error:
        raise MediaError("missing", "no such file") from error
    except Image.DecompressionBombError as error:
        raise MediaError("too-large", str(error)) from error
    except Image.UnidentifiedImageError as error:
        raise MediaError("unknown-format", "the content is of no picture format that is read here") from error
    except _PARSER_ERRORS as error:
        raise MediaError("undecodable", str(error) or type(error).__name__) from error


@contextlib.contextmanager
def _raster(path: Path) -> Iterator[IO[bytes]]:
    """The file, or the drawing of it where it is an SVG."""
    size = path.stat().st_size
    if size == 0:
        raise MediaError("empty", "the file has no bytes")
    if size > MAX_BYTES:
        raise MediaError("too-large", f"{size} bytes, at most {MAX_BYTES} are read")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        yield rasterise(path, side=2 * SIDE, timeout_s=_SVG_TIMEOUT_S) if is_svg(head) else file


def flatten(image: Image.Image) -> Image.Image:
    """The picture as RGB, 8 bits a channel, transparent parts laid on white, or on black where white hides it all."""
    image = _eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    on_white, on_black = _laid_on("white", image), _laid_on("black", image)
    hidden = on_white.getextrema() == ((255, 255),) * 3 and on_black.getbbox() is not None
    return on_black if hidden else on_white


def _laid_on(colour: str, image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, colour)
    ground.alpha_composite(image)
    return ground.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey pictures of more than 8 bits a pixel as "L": integers from 0 to 65535, floats from their least to most."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64).clip(0, 65535) / 257
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0)
        low, high = values.min(), values.max()
        values = (values - low) * (255 / (high - low) if high > low else 0.0)
    else:
        return image
    return Image.fromarray(values.round().astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where the EXIF block is missing or broken."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _PARSER_ERRORS:
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
