"""Picture files that were made to do harm, or are broken, and what becomes of each."""

import base64
import gzip
import io
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.base import MediaError
from features.image.load import MAX_PIXELS, MAX_PIXELS_OF, load_picture
from tests.features.conftest import texture
from tests.features.image.test_flatten import chunk
from tests.features.image.test_load import quarters

MAGIC = b"\x89PNG\r\n\x1a\n"
HUGE = 50_000
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="40">'
# A drawing that is red where what it asks for is left out.
GROUND = '<rect width="40" height="40" fill="red"/>'


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    data = io.BytesIO()
    (image or quarters()).save(data, kind, **options)
    return data.getvalue()


def png_header(width: int, height: int, *, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))


def flat_png(width: int, height: int) -> bytes:
    """A black RGB picture, packed a thousandfold."""
    rows = zlib.compress(bytes((3 * width + 1) * height), 1)
    return MAGIC + png_header(width, height) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png_with(extra: bytes) -> bytes:
    """A small good picture with a chunk more before its data."""
    whole = encoded("png")
    start = whole.index(b"IDAT") - 4
    return whole[:start] + extra + whole[start:]


def jpeg_of(width: int, height: int) -> bytes:
    whole = encoded("jpeg")
    frame = whole.index(b"\xff\xc0") + 5
    return whole[:frame] + struct.pack(">HH", height, width) + whole[frame + 4 :]


def bmp_of(width: int, height: int) -> bytes:
    whole = encoded("bmp")
    return whole[:18] + struct.pack("<ii", width, height) + whole[26:]


def gif_of(width: int, height: int, *, screen: tuple[int, int]) -> bytes:
    """A GIF whose first frame is larger than its screen."""
    palette = bytes([255, 0, 0, 0, 0, 0])
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + palette
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x44\1\0;"


def webp_of(width: int, height: int) -> bytes:
    whole = encoded("webp", quarters("RGBA"), lossless=True)
    sides = struct.pack("<I", (width - 1) | (height - 1) << 14 | 1 << 28)
    start = whole.index(b"VP8L") + 9
    return whole[:start] + sides + whole[start + 4 :]


def tiff_of(*tags: tuple[int, int, int, int], ifd: int = 8) -> bytes:
    """A little-endian TIFF of nothing but a directory: (tag, type, count, value) each."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", ifd) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 8)


def tiff_head(width: int, height: int) -> list[tuple[int, int, int, int]]:
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]


def icon(inner: bytes) -> bytes:
    """An icon whose header claims 16 x 16 pixels, with a PNG of another size."""
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def jp2_of(width: int, height: int, *, where: bytes) -> bytes:
    """A JPEG 2000 file with other sizes in its box header (`ihdr`) or in its code stream (`SIZ`)."""
    whole = encoded("jpeg2000", Image.new("RGB", (64, 64), "red"))
    if where == b"ihdr":
        start = whole.index(b"ihdr") + 4
        return whole[:start] + struct.pack(">II", height, width) + whole[start + 8 :]
    start = whole.index(b"\xff\x51") + 6
    sizes = struct.pack(">IIIIII", width, height, 0, 0, width, height)
    return whole[:start] + sizes + whole[start + len(sizes) :]


def exif(data: bytes) -> bytes:
    return encoded("jpeg", quality=95, subsampling=0, exif=b"Exif\0\0" + data)


def broken(kind: str, at: float) -> bytes:
    whole = encoded(kind, Image.fromarray(texture(120, 120)))
    return whole[: round(len(whole) * at)]


REFUSED: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", "empty"),
    "one byte": (b"\0", "unknown-format"),
    "zeros": (bytes(5000), "unknown-format"),
    "a text": (b"I am a picture, believe me.\n" * 99, "unknown-format"),
    "a web page": (b"<!DOCTYPE html><html><body>404</body></html>", "unknown-format"),
    "a pickle": (b"cos\nsystem\n(S'touch /tmp/owned'\ntR.", "unknown-format"),
    "a zip": (b"PK\3\4" + bytes(100), "unknown-format"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "unknown-format"),
    "half a png": (broken("png", 0.5), "undecodable"),
    "half a jpeg": (broken("jpeg", 0.5), "undecodable"),
    "half a gif": (broken("gif", 0.5), "undecodable"),
    "half a bmp": (broken("bmp", 0.5), "undecodable"),
    "half a tiff": (broken("tiff", 0.5), "undecodable"),
    "half a webp": (broken("webp", 0.5), "undecodable"),
    "half an avif": (broken("avif", 0.5), "unknown-format"),
    "half a jpeg 2000": (broken("jpeg2000", 0.5), "undecodable"),
    "half a ppm": (broken("ppm", 0.5), "undecodable"),
    "png of too many pixels": (MAGIC + png_header(HUGE, HUGE) + chunk(b"IDAT", b""), "too-large"),
    "png of a pixel too many": (MAGIC + png_header(8000, 8001) + chunk(b"IDAT", b""), "too-large"),
    "png of one endless row": (MAGIC + png_header(1 << 20, 1) + chunk(b"IDAT", b""), "too-large"),
    "png bomb": (flat_png(9000, 8000), "too-large"),
    "jpeg of too many pixels": (jpeg_of(HUGE, HUGE), "too-large"),
    "bmp of too many pixels": (bmp_of(HUGE, HUGE), "too-large"),
    "bmp that doesn't hold its pixels": (bmp_of(8000, 8000), "undecodable"),
    "gif of too many pixels": (gif_of(HUGE, HUGE, screen=(HUGE, HUGE)), "too-large"),
    "gif with a frame larger than its screen": (gif_of(HUGE, HUGE, screen=(9, 9)), "too-large"),
    "webp of too many pixels": (webp_of(16_000, 16_000), "too-large"),
    "webp that costs too much memory": (webp_of(5000, 5000), "too-large"),
    "ppm of too many pixels": (b"P6 %d %d 255\n" % (HUGE, HUGE), "too-large"),
    "ppm of a number without end": (b"P6 " + b"9" * 5000, "undecodable"),
    "tiff of too many pixels": (tiff_of(*tiff_head(HUGE, HUGE), (273, 4, 1, 8), (279, 4, 1, 9)), "too-large"),
    "tiff of a small picture in a huge tile": (
        tiff_of(*tiff_head(64, 64), (322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 8), (325, 4, 1, 9)),
        "too-large",
    ),
    "tiff of a word for a tile": (tiff_of(*tiff_head(9, 9), (322, 2, 4, 0x616161), (323, 4, 1, 9)), "unknown-format"),
    "tiff whose directory is nowhere": (tiff_of(ifd=1 << 30), "unknown-format"),
    "tiff that counts four billion strips": (
        tiff_of(*tiff_head(64, 64), (273, 4, 0xFFFFFFFF, 8), (279, 4, 0xFFFFFFFF, 8)),
        "unknown-format",
    ),
    "tiff of no pixels": (tiff_of(*tiff_head(0, 0), (273, 4, 1, 8)), "unknown-format"),
    "jpeg 2000 of too many pixels": (jp2_of(HUGE, HUGE, where=b"ihdr"), "too-large"),
    "jpeg 2000 whose stream is larger than its box": (jp2_of(HUGE, HUGE, where=b"SIZ"), "undecodable"),
    "icon with a huge picture inside": (icon(MAGIC + png_header(HUGE, HUGE) + chunk(b"IDAT", b"")), "too-large"),
    "icon with a picture of a pixel too many": (icon(flat_png(8000, 8001)), "too-large"),
    "icon of nothing": (icon(b""), "unknown-format"),
    "png with a packed text": (png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20)))), "undecodable"),
    "gzip of eighty megabytes": (gzip.compress(b"<svg>" + bytes(80 << 20), 1), "undecodable"),
}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[bytes], Path]:
    def store(content: bytes) -> Path:
        (tmp_path / "picture.jpg").write_bytes(content)
        return tmp_path / "picture.jpg"

    return store


@pytest.mark.parametrize("name", REFUSED)
def test_refused(stored: Callable[[bytes], Path], name: str) -> None:
    content, reason = REFUSED[name]
    path = stored(content)
    started = time.monotonic()
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert error.value.reason == reason, error.value
    assert error.value.detail
    assert path.parent.name not in str(error.value)
    assert " at 0x" not in str(error.value)
    assert time.monotonic() - started < 20


HARMLESS: dict[str, bytes] = {
    "png that ends without an end": encoded("png")[:-12],
    "png with an unknown chunk": png_with(chunk(b"quUx", bytes(99))),
    "png with an exif block of nonsense": png_with(chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff" * 9)),
    "png with a colour profile of nonsense": png_with(chunk(b"iCCP", b"a\0\0" + zlib.compress(b"nonsense"))),
    "bytes after the picture": encoded("png") + b"<script>alert(1)</script>" * 99,
    "jpeg with half an exif block": exif(b"II*\0\x08\0\0\0\xff\xff"),
    "jpeg whose exif points into itself": exif(b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"),
    "jpeg whose exif counts four billion": exif(b"II*\0\x08\0\0\0\1\0\x12\1\3\0\xff\xff\xff\xff\x08\0\0\0\0\0\0\0"),
    "jpeg with orientation 99": exif(b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x63\0\0\0\0\0\0\0"),
    "jpeg whose orientation is a word": exif(b"II*\0\x08\0\0\0\1\0\x12\1\2\0\4\0\0\0abc\0\0\0\0\0"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_decoded_all_the_same(stored: Callable[[bytes], Path], name: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        picture = load_picture(stored(HARMLESS[name]))
    assert (picture.width, picture.height) == (40, 20)
    np.testing.assert_allclose(picture.pixels[12, [12, -12]], [[255, 0, 0], [0, 255, 0]], atol=6)


def drawing(body: str, prologue: str = "") -> bytes:
    return (prologue + SVG + GROUND + body + "</svg>").encode()


def uses(levels: int, each: int) -> str:
    """`use` of `use` of `use`: `each` to the power of `levels` rectangles."""
    steps = (f'<g id="u{n}">' + f'<use xlink:href="#u{n - 1}"/>' * each + "</g>" for n in range(1, levels + 1))
    return '<defs><rect id="u0" width="1" height="1"/>' + "".join(steps) + f'</defs><use xlink:href="#u{levels}"/>'


LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha" * 50}">' for i in range(12))
BLUE_PNG = base64.b64encode(encoded("png", Image.new("RGB", (4, 4), "blue"))).decode()
HUGE_PNG = base64.b64encode(MAGIC + png_header(HUGE, HUGE) + chunk(b"IDAT", b"")).decode()
FILE = Path(__file__).as_uri()
COVER = 'width="40" height="40"'

# Each is drawn as the ground alone: what it refers to outside, or runs, is left out.
SVG_GROUND_ONLY: dict[str, bytes] = {
    "a file": drawing(f'<image {COVER} href="file:///etc/passwd" xlink:href="{FILE}"/>'),
    "a path": drawing(f'<image {COVER} href="../../../../etc/passwd"/><use href="/etc/passwd#a"/>'),
    "a web address": drawing(f'<image {COVER} href="http://127.0.0.1:9/x.png" xlink:href="https://127.0.0.1:9/x"/>'),
    "a picture too large": drawing(f'<image {COVER} href="data:image/png;base64,{HUGE_PNG}"/>'),
    "a picture that is none": drawing(f'<image {COVER} href="data:image/png;base64,AAAA"/>'),
    "a script": drawing('<script>while(true){}</script><rect onload="alert(1)" width="0" height="0"/>'),
    "foreign objects": drawing(f'<foreignObject {COVER}><body xmlns="http://www.w3.org/1999/xhtml">x</body></foreignObject>'),
    "an inclusion": drawing(f'<include xmlns="http://www.w3.org/2001/XInclude" href="{FILE}" parse="text"/>'),
    "a style sheet": drawing("", f'<?xml-stylesheet href="{FILE}" type="text/css"?>'),
    "an import in a style": drawing(f'<style>@import url("{FILE}"); @font-face {{src: url("http://127.0.0.1:9/")}}</style>'),
    "a filter from outside": drawing('<rect width="0" height="0" style="filter:url(http://127.0.0.1:9/#f)"/>'),
    "a use of itself": drawing('<g id="a"><use xlink:href="#a"/></g><use xlink:href="#b"/><use id="b" href="#b"/>'),
    "text": drawing('<text x="0" y="30" font-size="99" font-family="serif">MMM</text>'),
}  # fmt: skip


@pytest.mark.parametrize("name", SVG_GROUND_ONLY)
def test_svg_gets_nothing_from_outside(stored: Callable[[bytes], Path], name: str) -> None:
    assert (load_picture(stored(SVG_GROUND_ONLY[name])).pixels == (255, 0, 0)).all()


SVG_REFUSED: dict[str, bytes] = {
    "an entity from a file": drawing("<text>&x;</text>", '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "an entity from the web": drawing("<text>&x;</text>", '<!DOCTYPE svg [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]>'),
    "a billion laughs": drawing("<text>&a11;</text>", f"<!DOCTYPE svg [{LAUGHS}]>"),
    "ten to the power of nine uses": drawing(uses(9, 10)),
    "a hundred thousand nested groups": drawing("<g>" * 100_000 + "</g>" * 100_000),
    "no end": drawing("")[:-3],
    "no size": b'<svg xmlns="http://www.w3.org/2000/svg" width="0" height="-5"/>',
    "a loop of uses": drawing('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'),
    "another encoding than declared": b'<?xml version="1.0" encoding="utf-16"?><svg xmlns="http://www.w3.org/2000/svg"/>',
}  # fmt: skip


@pytest.mark.parametrize("name", SVG_REFUSED)
def test_svg_refused(stored: Callable[[bytes], Path], name: str) -> None:
    started = time.monotonic()
    with pytest.raises(MediaError) as error:
        load_picture(stored(SVG_REFUSED[name]))
    assert error.value.reason in ("undecodable", "timeout"), error.value
    assert time.monotonic() - started < 60


def filtered(effect: str) -> bytes:
    return drawing(f'<filter id="f"><{effect}/></filter><rect {COVER} filter="url(#f)"/>')


def painted(server: str, use: str) -> bytes:
    """A paint server (or clip path, or mask) that asks for itself."""
    inner = f'<{server} id="s" {COVER} {use}="url(#s)"><rect {COVER} {use}="url(#s)"/></{server}>'
    return drawing(f'{inner}<rect {COVER} {use}="url(#s)"/>')


SVG_HEAVY: dict[str, bytes] = {
    "a size that is no number": drawing("").replace(b'width="40" height="40"', b'width="NaN" height="inf"', 1),
    "a huge size": drawing("").replace(b'width="40" height="40"', b'width="9999999999" height="9999999999"', 1),
    "a huge view": drawing("").replace(b">", b' viewBox="0 0 1e30 1e30">', 1),
    "a paint from outside": drawing(f'<rect {COVER} fill="url({FILE}#paint)" stroke="url(http://127.0.0.1:9/#p)"/>'),
    "a blur without end": filtered('feGaussianBlur stdDeviation="1e9"'),
    "noise without end": filtered('feTurbulence numOctaves="9999999" baseFrequency="1e9"'),
    "morphology without end": filtered('feMorphology radius="1e9"'),
    "a pattern of points": drawing(
        f'<pattern id="p" width="1e-9" height="1e-9"><rect {COVER}/></pattern><rect {COVER} fill="url(#p)"/>'
    ),
    "dashes without end": drawing('<path d="M0 0H1e9" stroke="red" stroke-dasharray="1e-9"/>'),
    "a clip path of itself": painted("clipPath", "clip-path"),
    "a mask of itself": painted("mask", "mask"),
    "a pattern of itself": painted("pattern", "fill"),
    "a long path": drawing(f'<path d="M0 0{"L40 40L0 0" * 50_000}"/>'),
    "ten thousand uses": drawing(uses(4, 10)),
}


@pytest.mark.parametrize("name", SVG_HEAVY)
def test_heavy_svg_ends_one_way_or_the_other(
    stored: Callable[[bytes], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn, or refused; the time limit of the drawing process holds either way."""
    monkeypatch.setattr("features.image.load._SVG_TIMEOUT_S", 1.5)
    started = time.monotonic()
    try:
        assert load_picture(stored(SVG_HEAVY[name])).pixels.shape == (224, 224, 3)
    except MediaError as error:
        assert error.reason in ("undecodable", "timeout")
    assert time.monotonic() - started < 20


GROWTH = """
import sys
from pathlib import Path
from features.image.load import load_picture
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10
load_picture(Path(sys.argv[1]))
before = peak()
for path in sys.argv[2:]:
    load_picture(Path(path))
    print(peak() - before)
"""


def test_the_largest_pictures_cost_bounded_memory(tmp_path: Path) -> None:
    """Each decoder's peak in MiB, for black pictures that use up what is allowed, RGBA where the format has it."""
    quarters().save(tmp_path / "small.png")
    side = round(MAX_PIXELS**0.5)
    (tmp_path / "largest.png").write_bytes(flat_png(side, MAX_PIXELS // side))
    side = int(MAX_PIXELS_OF["WEBP"] ** 0.5)
    Image.new("RGB", (side, side)).save(tmp_path / "largest.webp", quality=0, method=0)
    Image.new("CMYK", (6000, 6000)).save(tmp_path / "large.jpg", progressive=True, subsampling=0)
    names = ("small.png", "largest.png", "largest.webp", "large.jpg")
    command = [sys.executable, "-c", GROWTH, *(str(tmp_path / name) for name in names)]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert max(map(int, done.stdout.split())) < 512
