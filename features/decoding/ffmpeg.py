"""Reading sound and moving pictures that nobody vouches for.

FFmpeg, the program or its libraries through PyAV, opens exactly one local file: formats that name other files
(playlists, concatenations, image sequences) aren't on the list of containers, no protocol but a file's is allowed, and
pictures have a largest size. The libraries work in the process that calls: see `features.decoding.worker_pool`.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from features.base import MediaError
from features.decoding.limited_process import run_limited

CONTAINERS = (
    "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dts", "dv", "eac3", "flac", "flv", "gif", "h264",
    "hevc", "ivf", "m4v", "matroska", "mjpeg", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mpegvideo", "mxf",
    "nut", "ogg", "rm", "tak", "tta", "w64", "wav", "webm", "wv", "yuv4mpegpipe",
)  # fmt: skip
MAX_PIXELS = 64_000_000
_PROTOCOLS = "file,pipe"
_OPEN_TIMEOUT_S = 20.0
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
_FIRST_LINES = 2


@dataclass(frozen=True)
class Sound:
    """A sound track as its header tells it: `sample_rate` in Hz."""

    sample_rate: int


@dataclass(frozen=True)
class Moving:
    """A video track as its header tells it: `width` and `height` in pixels before rotation, `fps` frames a second."""

    width: int
    height: int
    fps: float


@dataclass(frozen=True)
class Probe:
    """What a media file says of itself. `duration_s` is None where the header doesn't tell; it may be wrong."""

    duration_s: float | None
    sound: Sound | None
    moving: Moving | None


@cache
def ffmpeg_exe() -> str:
    """The ffmpeg program: the one on PATH, else the one that the package imageio-ffmpeg brings."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    from imageio_ffmpeg import get_ffmpeg_exe

    return get_ffmpeg_exe()


def open_media(path: Path) -> Any:
    """`path` opened by PyAV (an `av.container.InputContainer`, to be closed by the caller), formats confined.

    Raises:
        MediaError: "missing", "empty", "unknown-format" or "undecodable".
    """
    import av

    try:
        if path.stat().st_size == 0:
            raise MediaError("empty", "the file has no bytes")
        options = {
            "format_whitelist": ",".join(CONTAINERS),
            "protocol_whitelist": _PROTOCOLS,
            "max_pixels": str(MAX_PIXELS),
        }
        return av.open(_url(path), options=options, timeout=_OPEN_TIMEOUT_S, metadata_errors="replace")
    except FileNotFoundError as error:
        raise MediaError("missing", "no such file") from error
    except av.error.ArgumentError as error:
        raise MediaError("unknown-format", f"not a container that is read here ({error.strerror})") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError("undecodable", getattr(error, "strerror", None) or str(error)) from error


def probe(path: Path) -> Probe:
    """The streams of a media file that can be decoded; cover art is no video. Errors as in `open_media`."""
    with open_media(path) as container:
        duration = container.duration / 1e6 if container.duration and container.duration > 0 else None
        sound = next((s for s in container.streams.audio if s.codec_context), None)
        moving = video_stream(container)
        return Probe(
            duration,
            None if sound is None else Sound(sound.codec_context.sample_rate or 0),
            None if moving is None else Moving(moving.width, moving.height, float(moving.average_rate or 0)),
        )


def video_stream(container: Any) -> Any:
    """The first moving picture of an opened file that there is a decoder for, or None; cover art doesn't move."""
    from av.stream import Disposition

    moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next((s for s in moving if s.codec_context), None)


def run_ffmpeg(
    path: Path,
    *,
    max_seconds: float,
    timeout_s: float,
    output: Mapping[str, Any],
    max_bytes: int,
    start_s: float = 0.0,
) -> bytes:
    """What ffmpeg writes when it decodes `max_seconds` of `path` from `start_s` on with the `output` options.

    One thread, no standard input, at most `max_bytes` of output.

    Raises:
        MediaError: "timeout", or "undecodable" with ffmpeg's last words.
    """
    import ffmpeg

    source = ffmpeg.input(
        _url(path),
        format_whitelist=",".join(CONTAINERS),
        protocol_whitelist=_PROTOCOLS,
        max_pixels=MAX_PIXELS,
        threads=1,
        t=max_seconds,
        **({"ss": start_s} if start_s > 0 else {}),
    )
    target = source.output("pipe:1", threads=1, fs=max_bytes, **output)
    options = ("-hide_banner", "-nostdin", "-loglevel", "error", "-filter_threads", "1")
    done = run_limited(target.compile(cmd=[ffmpeg_exe(), *options]), timeout_s=timeout_s)
    if done.status != 0 or not done.output:
        raise MediaError("undecodable", _last_words(done.last_words, path) or f"ffmpeg ended with {done.status}")
    return done.output


def _url(path: Path) -> str:
    """The path in a form in which no character of a file's name means anything to ffmpeg.

    Raises:
        MediaError: "undecodable" for a name that isn't UTF-8.
    """
    url = f"file:{os.path.abspath(path)}"
    if any("\ud800" <= character <= "\udfff" for character in url):
        raise MediaError("undecodable", "the file's name isn't UTF-8")
    return url


def _last_words(words: str, path: Path) -> str:
    """The first of the last things that ffmpeg said, without what differs from run to run (addresses, and the order in
    which its threads then end) or machine to machine (paths)."""
    plain = _ADDRESS.sub("", words).replace(_url(path), path.name)
    return "; ".join(plain.splitlines()[:_FIRST_LINES])
