"""Any picture file → upright RGB pixels of the size that an encoder wants.

Sizes are limited by the memory of Pillow's decoders, measured in bytes a pixel: at most 8 for JPEG (progressive CMYK),
5 for TIFF, PNG, GIF and BMP, 12 for AVIF, 16 for WebP, 25 for JPEG 2000. So a picture takes up to 512 MiB.
"""

import contextlib
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from PIL import Image

from features.base import MediaError
from features.image.flatten import flatten
from features.image.svg import HEAD_BYTES, is_svg, rasterise

Fit = Literal["squash", "crop", "cover"]

SIDE = 224
MAX_BYTES = 256 << 20
MAX_PIXELS = 64_000_000
MAX_PIXELS_OF = {"AVIF": 32_000_000, "JPEG2000": 16_000_000, "WEBP": 24_000_000}
MAX_SIDE = 65_535
MAX_TILE_PIXELS = 16_000_000  # of a TIFF, whose tiles are unpacked whole however small the picture is

# Pillow refuses twice this wherever it reads a size, so pictures inside icons and animations are covered too.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

# Pillow's other formats are left out: EPS runs another program, and the rest doesn't occur in catalogs.
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_MOVING = ("AVIF", "GIF", "PNG", "WEBP")
_ORIENTATION, _TILE_WIDTH, _TILE_HEIGHT = 0x0112, 0x0142, 0x0143
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = tuple(_TURNS[orientation] for orientation in (5, 6, 7, 8))
# The share of the short side that is kept: ImageNet networks are tested on 224 of 256 pixels.
_MIDDLE: dict[Fit, float] = {"crop": 224 / 256, "cover": 1.0}
# What Pillow's parsers raise on malformed files.
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

    `pixels` is uint8 [side, side, 3], RGB, upright, transparent parts white: the whole picture or its middle, by `fit`.
    `whole` is uint8 [224, 224, 3], the whole picture squashed, for the readable features. `width` and `height` are the
    file's own, in pixels, as seen upright (an SVG's are those of its raster). `animated` is True where the file has
    more frames; only the first is decoded.
    """

    pixels: np.ndarray
    whole: np.ndarray
    width: int
    height: int
    animated: bool


def load_picture(path: Path, *, side: int = SIDE, fit: Fit = "squash") -> Picture:
    """Decodes a picture. Resampling is bicubic, after transparent parts have been laid on white.

    Args:
        path: the file; its format is recognised by its content, not by its name.
        side: height and width of `Picture.pixels`.
        fit: `squash` takes the whole picture and changes its proportions: cropping loses the top and bottom of a 2:3
            poster. `crop` keeps the proportions: the short side is scaled to 256/224 of `side`, then the middle is cut
            out, as ImageNet networks were tested. `cover` cuts off the ends of the long side alone, as CLIP does.

    Raises:
        MediaError: "missing", "empty", "too-large", "unknown-format", "undecodable", "timeout" or "out-of-memory", with
            the decoder's error message.
    """
    wanted = max(side, SIDE)
    with _as_media_errors(), _open_raster(path, side=2 * wanted) as file, Image.open(file, formats=FORMATS) as image:
        size = image.size
        _check_size(image)
        animated = image.format in _MOVING and bool(getattr(image, "is_animated", False))
        image.draft("RGB", (2 * wanted, 2 * wanted))  # a JPEG is scaled while it is decoded; others ignore this
        image.load()
        turn = _TURNS.get(_orientation(image))
        small = flatten(image, least=3 * wanted)
    whole = _square(small, size, side=SIDE, fit="squash", turn=turn)
    same = (side, fit) == (SIDE, "squash")
    pixels = whole if same else _square(small, size, side=side, fit=fit, turn=turn)
    width, height = reversed(size) if turn in _SIDEWAYS else size
    return Picture(pixels, whole, width, height, animated)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    pixels = MAX_PIXELS_OF.get(str(image.format), MAX_PIXELS)
    if width * height > pixels or max(width, height) > MAX_SIDE:
        limits = f"at most {pixels} pixels and {MAX_SIDE} a side of {image.format} are decoded"
        raise MediaError("too-large", f"{width} x {height} pixels; {limits}")
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    tile = math.prod(int(tags.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    if tile > MAX_TILE_PIXELS:
        raise MediaError("too-large", f"tiles of {tile} pixels; at most {MAX_TILE_PIXELS} are decoded")


def _square(
    image: Image.Image, size: tuple[int, int], *, side: int, fit: Fit, turn: Image.Transpose | None
) -> np.ndarray:
    """uint8 [side, side, 3], upright: all of `image` or its middle; `size` is the file's, as `image` may be reduced."""
    across, down = (1.0, 1.0) if fit == "squash" else (_MIDDLE[fit] * min(size) / length for length in size)
    left, top = (1 - across) / 2 * image.width, (1 - down) / 2 * image.height
    box = (left, top, image.width - left, image.height - top)
    scaled = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
    return np.asarray(scaled if turn is None else scaled.transpose(turn))


@contextlib.contextmanager
def _as_media_errors() -> Iterator[None]:
    """Turns what Pillow's parsers raise on bad files into a MediaError."""
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
    except MemoryError as error:
        raise MediaError("out-of-memory", "the decoder asked for more memory than there is") from error
    except _PARSER_ERRORS as error:
        raise MediaError("undecodable", str(error) or type(error).__name__) from error


@contextlib.contextmanager
def _open_raster(path: Path, *, side: int) -> Iterator[IO[bytes]]:
    """The opened file, or its rendering as a PNG if it is an SVG.

    Raises:
        MediaError: "empty" or "too-large", or as raised by `rasterise`.
    """
    size = path.stat().st_size
    if size == 0:
        raise MediaError("empty", "the file has no bytes")
    if size > MAX_BYTES:
        raise MediaError("too-large", f"{size} bytes, at most {MAX_BYTES} are read")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        yield rasterise(path, side=side, timeout_s=_SVG_TIMEOUT_S) if is_svg(head) else file


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where the EXIF block is missing or broken."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _PARSER_ERRORS:
        return 1
