"""A thousand damaged picture files: each is decoded or refused, in bounded time and memory."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.base import MediaError
from features.image.load import load_picture
from tests.features.image.test_load import RED_HALF, quarters

RASTERS, DRAWINGS = 940, 60
SECONDS_A_FILE = 15.0
GROWTH_BYTES = 200 << 20
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
Bytes = bytes | bytearray
Draw = np.random.Generator


def seeds() -> dict[str, bytes]:
    """A small good file of every format, and of the ways there are to store one."""
    frames = [Image.new("RGB", (40, 20), colour) for colour in ("red", "blue")]
    moving = {"save_all": True, "append_images": frames}
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "four quarters"
    made: list[tuple[str, str, dict[str, object]]] = [
        ("RGB", "png", {"exif": exif}),
        ("RGBA", "png", {}),
        ("P", "png", {"transparency": 1}),
        ("I;16", "png", {}),
        ("RGB", "png", moving),
        ("RGB", "jpeg", {"exif": exif}),
        ("RGB", "jpeg", {"progressive": True}),
        ("CMYK", "jpeg", {}),
        ("P", "gif", {}),
        ("P", "gif", moving),
        ("RGB", "webp", {"exif": exif}),
        ("RGBA", "webp", {"lossless": True}),
        ("RGB", "webp", moving),
        ("RGB", "avif", {}),
        ("RGB", "avif", moving),
        ("RGB", "tiff", {"exif": exif}),
        ("RGBA", "tiff", {"compression": "tiff_lzw"}),
        ("RGB", "tiff", {"compression": "jpeg"}),
        ("F", "tiff", {"compression": "tiff_deflate"}),
        ("1", "tiff", {"compression": "group4"}),
        ("RGB", "bmp", {}),
        ("P", "bmp", {}),
        ("RGBA", "ico", {"sizes": [(16, 16), (32, 32)]}),
        ("RGBA", "ico", {"sizes": [(16, 16)], "bitmap_format": "bmp"}),
        ("RGB", "jpeg2000", {}),
        ("RGB", "jpeg2000", {"no_jp2": True, "irreversible": True}),
        ("RGB", "ppm", {}),
    ]
    return {f"{number} {kind}": stored(mode, kind, options) for number, (mode, kind, options) in enumerate(made)}


def stored(mode: str, kind: str, options: dict[str, object]) -> bytes:
    image = quarters("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def flipped(draw: Draw, data: bytes, _other: bytes) -> Bytes:
    """Some bits turned over."""
    changed = bytearray(data)
    for at in draw.integers(0, len(data), draw.integers(1, 9)):
        changed[at] ^= 1 << int(draw.integers(8))
    return changed


def cut(draw: Draw, data: bytes, _other: bytes) -> Bytes:
    return data[: draw.integers(len(data))]


def spliced(draw: Draw, data: bytes, other: bytes) -> Bytes:
    """The beginning of one file, the end of another."""
    return data[: draw.integers(len(data))] + other[draw.integers(len(other)) :]


def resized(draw: Draw, data: bytes, _other: bytes) -> Bytes:
    """A number at the limits of its width, written over what may be a length, a size or an offset."""
    changed = bytearray(data)
    for _ in range(draw.integers(1, 4)):
        width = int(draw.choice([1, 2, 4]))
        number = int(draw.choice(EXTREMES)) & ((1 << 8 * width) - 1)
        at = int(draw.integers(0, max(1, min(len(data), 200) - width)))
        changed[at : at + width] = number.to_bytes(width, "little" if draw.integers(2) else "big")
    return changed


def repeated(draw: Draw, data: bytes, _other: bytes) -> Bytes:
    """A piece that stands there twice, or not at all."""
    start, end = sorted(draw.integers(0, len(data), 2).tolist())
    return data[:end] + data[start:] if draw.integers(2) else data[:start] + data[end:]


MUTATIONS: tuple[Callable[[Draw, bytes, bytes], Bytes], ...] = (flipped, cut, spliced, resized, repeated)


def resident() -> int:
    """Memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def outcome(path: Path) -> str:
    """How decoding ended; anything but a picture or a MediaError is let through."""
    started = time.monotonic()
    try:
        picture = load_picture(path)
        end = "decoded"
        assert picture.pixels.shape == (224, 224, 3)
        assert picture.pixels.dtype == np.uint8
    except MediaError as error:
        end = error.reason
        assert str(path) not in error.detail
    assert time.monotonic() - started < SECONDS_A_FILE
    return end


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_thousand_damaged_files(tmp_path: Path) -> None:
    rasters = list(seeds().items())
    path = tmp_path / "picture"
    for _, data in rasters:
        path.write_bytes(data)
        assert outcome(path) == "decoded"
    before = resident()
    ends: dict[str, int] = {}
    for number in range(RASTERS + DRAWINGS):
        draw = np.random.default_rng(number)
        name, data = ("svg", RED_HALF.encode()) if number >= RASTERS else rasters[number % len(rasters)]
        _, other = rasters[draw.integers(len(rasters))]
        mutate = MUTATIONS[draw.integers(len(MUTATIONS))]
        path.write_bytes(mutate(draw, data, other))
        try:
            end = outcome(path)
        except Exception as error:
            raise AssertionError(f"file {number}, {name}, {mutate.__name__}") from error
        ends[end] = ends.get(end, 0) + 1
    assert set(ends) <= {"decoded", "undecodable", "unknown-format", "too-large", "empty", "out-of-memory"}
    assert min(ends["decoded"], ends["undecodable"], ends["unknown-format"]) > 50
    assert resident() - before < GROWTH_BYTES
