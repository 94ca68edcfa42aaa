"""Vector pictures: recognising them by their content, and drawing them."""

import io
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import IO

from features.base import MediaError
from features.decoding.limited_process import run_limited

HEAD_BYTES = 1 << 16
_ROOT = re.compile(rb"<([\w-]+:)?svg[\s>]")
_GZIP = b"\x1f\x8b"
# Its text, not its path: on a cluster this package may lie in a zip file.
_CHILD = files("features.image").joinpath("rasterise.py").read_text("utf-8")


def is_svg(head: bytes) -> bool:
    """Whether a file that begins with `head` is an SVG or a gzipped SVG, whatever its name says."""
    if head.startswith(_GZIP):
        return True
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return plain.startswith(b"<") and _ROOT.search(plain) is not None


def rasterise(path: Path, *, side: int, timeout_s: float) -> IO[bytes]:
    """The drawing as a PNG file that fits into `side` x `side` pixels, on transparent ground.

    Raises:
        MediaError: "timeout", or "undecodable" with the renderer's words.
    """
    command = (sys.executable, "-I", "-c", _CHILD, str(side))
    done = run_limited(command, timeout_s=timeout_s, source=path)
    if done.status != 0 or not done.output:
        words = done.last_words.splitlines()
        raise MediaError("undecodable", words[-1] if words else f"the SVG renderer ended with status {done.status}")
    return io.BytesIO(done.output)
