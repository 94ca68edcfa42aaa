"""Child process: renders an SVG (or SVGZ) from standard input as a PNG of at most `argv[1]` pixels a side.

It is a process of its own because `use` and filters in an SVG can demand any amount of work. Nothing outside the
document is read: every reference is removed unless it points inside the document or is a raster picture of limited
size in a `data:` URI. The machine's fonts aren't used either, so that a file is rendered the same everywhere; text that
isn't drawn as paths is therefore left out.

Imports nothing of this project, as its source is run in isolated mode. Exit status 1 with one line on standard error
means that the document can't be rendered.
"""

import base64
import binascii
import gzip
import io
import re
import sys
import zlib
from xml.etree import ElementTree

import resvg_py

MAX_BYTES = 64 << 20
MAX_EMBEDDED_PIXELS = 32_000_000
_PIXELS_PER_INCH = 96.0
_RASTER = re.compile(r"\s*data:image/(png|jpe?g|gif|webp);base64,(.*)", re.DOTALL | re.IGNORECASE)
_DRAWN = ("image", "feImage")


def main(side: int) -> None:
    """Reads the document, removes outside references, and writes the PNG; `side` is its limit in pixels."""
    root = ElementTree.fromstring(read_document(sys.stdin.buffer.read(MAX_BYTES + 1)))
    for element in root.iter():
        confine(element)
    document = ElementTree.tostring(root, encoding="unicode")
    drawn = resvg_py.svg_to_bytes(
        svg_string=document, width=side, height=side, dpi=_PIXELS_PER_INCH, skip_system_fonts=True
    )
    sys.stdout.buffer.write(drawn)


def read_document(data: bytes) -> bytes:
    """The XML document, decompressed if it is an SVGZ.

    Raises:
        ValueError: it is longer than 64 MiB.
    """
    if data.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(data)) as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"SVG is longer than {MAX_BYTES} bytes")
    return data


def confine(element: ElementTree.Element) -> None:
    """Removes the element's references to anything outside the document."""
    for name, value in list(element.attrib.items()):
        if _local(name) != "href" or value.strip().startswith("#"):
            continue
        if _local(element.tag) not in _DRAWN or not _harmless_picture(value):
            del element.attrib[name]


def _local(name: object) -> str:
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _harmless_picture(uri: str) -> bool:
    match = _RASTER.match(uri)
    if match is None:
        return False
    from PIL import Image

    try:
        data = base64.b64decode(re.sub(r"\s", "", match[2]), validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as picture:
            return picture.width * picture.height <= MAX_EMBEDDED_PIXELS
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except (ValueError, OSError, EOFError, zlib.error, RecursionError, MemoryError, ElementTree.ParseError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
