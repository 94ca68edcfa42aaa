"""Pictures of every colour mode and shape, with the pixels that they must become."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.image.flatten import flatten
from features.image.load import load_picture
from tests.features.conftest import save
from tests.features.image.test_load import BLUE, GREEN, RED, WHITE, corners, quarters


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(path: Path, *, side: int, depth: int, colour: int, pixel: bytes, extra: bytes = b"") -> Path:
    """A square PNG of one colour, written by hand."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress((b"\0" + pixel * side) * side))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + extra + data + chunk(b"IEND", b""))
    return path


def only_colour(path: Path) -> list[int]:
    """The colour of a picture that has but one, which the readable features must see as well."""
    picture = load_picture(path)
    colours = np.unique(picture.pixels.reshape(-1, 3), axis=0)
    assert len(colours) == 1
    np.testing.assert_array_equal(picture.pixels, picture.whole)
    return colours[0].tolist()


@pytest.mark.parametrize(
    ("depth", "colour", "pixel", "wanted"),
    [
        (16, 0, b"\x80\x00", [128, 128, 128]),  # grey: 32768 / 257 = 127.5
        (16, 2, b"\x80\x00\x40\x00\xff\xff", [128, 64, 255]),
        (16, 4, b"\x00\x00\x80\x00", [127, 127, 127]),  # black, half transparent, on white
        (16, 6, b"\xff\xff\x00\x00\x00\x00\x00\x00", [255, 255, 255]),  # red that isn't there
        (8, 4, b"\x64\x80", [177, 177, 177]),  # 100 * 128 / 255 + 255 * 127 / 255
        (8, 6, b"\xff\x00\x00\x80", [255, 127, 127]),
    ],
)
def test_deep_and_transparent_png(tmp_path: Path, depth: int, colour: int, pixel: bytes, wanted: list[int]) -> None:
    path = png(tmp_path / "x.png", side=16, depth=depth, colour=colour, pixel=pixel)
    np.testing.assert_allclose(only_colour(path), wanted, atol=1)


def test_one_bit(tmp_path: Path) -> None:
    fax = Image.new("1", (40, 20), 0)
    fax.paste(1, (20, 0, 40, 20))
    for name, options in (("fax.png", {}), ("fax.tiff", {"compression": "group4"}), ("fax.bmp", {})):
        fax.save(tmp_path / name, **options)
        assert corners(tmp_path / name) == [(0, 0, 0), WHITE, WHITE, (0, 0, 0)], name


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 10, 20))
    for kind in ("png", "gif"):
        image.save(tmp_path / f"palette.{kind}", transparency=1)
        assert corners(tmp_path / f"palette.{kind}") == [RED, WHITE, WHITE, RED]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.uint16, [0, 16448, 65535]),
        (np.int32, [0, 16448, 65535]),
        (np.int32, [-5, 16448, 1 << 20]),  # what lies outside 16 bits is black or white
        (np.float32, [-1.0, -0.498, 1.0]),  # floats run from their least to their most: (-0.498 + 1) / 2 = 64 / 255
        (np.float32, [np.nan, 0.251, np.inf]),  # what isn't a number doesn't count, and is black
    ],
)
def test_deep_grey_tiff(tmp_path: Path, dtype: type, values: list[float]) -> None:
    bands = np.array(values, dtype).repeat(20)[None].repeat(30, axis=0)
    if np.isnan(bands.astype(float)).any():
        bands[:5], bands[5:10] = 0, 1
    path = save(bands, tmp_path / "deep.tiff")
    seen = load_picture(path).pixels[200, [30, 112, 190], 0].tolist()
    assert seen == [0, 64, 255]


def test_even_float_tiff_is_black(tmp_path: Path) -> None:
    assert only_colour(save(np.full((9, 9), 3.5, np.float32), tmp_path / "flat.tiff")) == [0, 0, 0]
    assert only_colour(save(np.full((9, 9), np.nan, np.float32), tmp_path / "nan.tiff")) == [0, 0, 0]


def test_inverted_cmyk_jpeg_of_adobe(tmp_path: Path) -> None:
    """Stored 255 less the ink. Ink 0, 100, 200 and 51 leaves (1 - ink / 255) * (1 - 51 / 255) of 255."""
    Image.new("CMYK", (32, 32), (0, 100, 200, 51)).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    assert b"Adobe" in (tmp_path / "x.jpg").read_bytes()
    np.testing.assert_allclose(only_colour(tmp_path / "x.jpg"), [204, 124, 44], atol=2)


def test_ycck_jpeg_of_adobe(tmp_path: Path) -> None:
    """The same stored numbers, read as Y 100, Cb and Cr 128 (no colour), K 204: (255 - 100) * 204 / 255 = 124."""
    Image.new("CMYK", (32, 32), (155, 127, 127, 51)).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    data = (tmp_path / "x.jpg").read_bytes()
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    (tmp_path / "x.jpg").write_bytes(data[:transform] + b"\2" + data[transform + 1 :])
    np.testing.assert_allclose(only_colour(tmp_path / "x.jpg"), [124, 124, 124], atol=2)


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "avif"])
def test_first_frame_of_every_kind_of_animation(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(tmp_path / f"x.{kind}", save_all=True, append_images=frames[1:], duration=100)
    picture = load_picture(tmp_path / f"x.{kind}")
    assert picture.animated
    np.testing.assert_allclose(picture.pixels[100, 100], RED, atol=6)


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [BLUE, WHITE, RED, GREEN]),
        (4, [WHITE, BLUE, GREEN, RED]),
        (5, [RED, WHITE, BLUE, GREEN]),
        (6, [WHITE, RED, GREEN, BLUE]),
        (7, [BLUE, GREEN, RED, WHITE]),
        (8, [GREEN, BLUE, WHITE, RED]),
    ],
)
def test_every_exif_orientation(tmp_path: Path, orientation: int, wanted: list[tuple[int, ...]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("png", "tiff", "webp"):
        path = tmp_path / f"x.{kind}"
        quarters().save(path, exif=exif, **({"lossless": True} if kind == "webp" else {}))
        assert corners(path) == wanted, kind
        picture = load_picture(path)
        assert (picture.width, picture.height) == ((40, 20) if orientation < 5 else (20, 40))


def bands(width: int, height: int) -> np.ndarray:
    """A quarter red, a half green, a quarter blue, from left to right."""
    colours = np.array([RED, GREEN, GREEN, BLUE], np.uint8)
    return colours.repeat(width // 4, axis=0)[None].repeat(height, axis=0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("side", [224, 64])
def test_crop_takes_the_middle_and_squash_takes_all(tmp_path: Path, side: int, turned: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    path = save(bands(400, 200), tmp_path / "wide.png", exif=exif)
    cropped = load_picture(path, side=side, fit="crop")
    assert cropped.pixels.shape == (side, side, 3)
    assert np.unique(cropped.pixels.reshape(-1, 3), axis=0).tolist() == [list(GREEN)]
    for all_of_it in (load_picture(path, side=side).pixels, cropped.whole):
        line = all_of_it[:, 5] if turned else all_of_it[5]
        thirds = [tuple(line[round(len(line) * at)].tolist()) for at in (0.12, 0.5, 0.88)]
        assert thirds == [RED, GREEN, BLUE]


def test_crop_keeps_seven_eighths_of_the_short_side(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 512, 3))
    column = load_picture(save(np.ascontiguousarray(ramp), tmp_path / "x.png"), fit="crop").pixels[:, 100, 0]
    assert (column[0], column[-1]) == (16, 239)
    np.testing.assert_array_equal(np.diff(column.astype(int)), 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (5, 65_535), (2, 3)])
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_extreme_proportions(tmp_path: Path, size: tuple[int, int], fit: str) -> None:
    Image.new("RGB", size, "blue").save(tmp_path / "thin.png")
    picture = load_picture(tmp_path / "thin.png", fit=fit)
    assert (picture.width, picture.height) == size
    assert (picture.pixels == BLUE).all()


def test_large_pictures_shrink_by_means_of_blocks() -> None:
    board = (np.indices((700, 1300)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert flatten(Image.fromarray(board), least=700).size == (1300, 700)
    small = flatten(Image.fromarray(board), least=100)
    assert small.size == (100, 100)
    # Blocks of 13 x 7 pixels have one more of one colour: 45 or 46 of 91 are white.
    assert set(np.unique(np.asarray(small)).tolist()) <= {126, 127, 128, 129}


def test_transparent_pixels_lend_no_colour_to_those_beside_them() -> None:
    stripes = np.zeros((200, 200, 4), np.uint8)
    stripes[:, ::2] = (255, 0, 0, 255)
    stripes[:, 1::2] = (0, 0, 255, 0)
    small = np.asarray(flatten(Image.fromarray(stripes), least=100))
    np.testing.assert_allclose(small[50, 50], (255, 127, 127), atol=1)


def test_strips_meet_without_a_seam() -> None:
    """A picture of several strips (a mebipixel each) of which the last block row is cut short."""
    rows = (np.arange(4099) // 16).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(rows[:, None], (4099, 1024)).copy())
    column = np.asarray(flatten(image, least=256))[:, 0, 0]
    np.testing.assert_array_equal(column, np.arange(257) % 256)


@pytest.mark.parametrize("make", [lambda: Image.new("F", (3, 3)), lambda: Image.new("I;16", (3, 3))])
def test_deep_pictures_in_memory(make: Callable[[], Image.Image]) -> None:
    assert flatten(make(), least=10).getextrema() == ((0, 0),) * 3
