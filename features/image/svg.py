"""SVG pictures: recognised by their content, rasterised in a limited child process."""

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
# Its source, not its path: on a cluster this package may be inside a zip file.
_CHILD = files("features.image").joinpath("rasterise.py").read_text("utf-8")


def is_svg(head: bytes) -> bool:
    """Whether a file that begins with `head` is an SVG or a gzipped SVG; its name plays no part."""
    if head.startswith(_GZIP):
        return True
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return plain.startswith(b"<") and _ROOT.search(plain) is not None


def rasterise(path: Path, *, side: int, timeout_s: float) -> IO[bytes]:
    """Renders an SVG.

    Args:
        path: the SVG or SVGZ file.
        side: width and height, in pixels, of the square that the result fits into.
        timeout_s: wall-clock limit, in seconds.

    Returns: a PNG file on transparent ground.

    Raises:
        MediaError: "timeout", or "undecodable" with the renderer's error message.
    """
    command = (sys.executable, "-I", "-c", _CHILD, str(side))
    done = run_limited(command, timeout_s=timeout_s, source=path)
    if done.status != 0 or not done.output:
        lines = done.stderr_tail.splitlines()
        raise MediaError("undecodable", lines[-1] if lines else f"the SVG renderer ended with status {done.status}")
    return io.BytesIO(done.output)
