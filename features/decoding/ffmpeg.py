"""Opening untrusted audio and video files with FFmpeg.

FFmpeg, the program or its libraries through PyAV, opens exactly one local file: formats that name other files
(playlists, concatenations, image sequences) aren't on the list of containers, no protocol but a file's is allowed, and
the size of pictures is limited. The libraries run in the calling process, which should therefore be one of
`features.decoding.worker_pool`.
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
class AudioTrack:
    """An audio stream that FFmpeg has a decoder for.

    `position` is its place among all audio streams of the file, from 0; `sample_rate` is in Hz; it and the number of
    `channels` are 0 where unknown.
    """

    position: int
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class AudioHeader:
    """What the header of a media file claims; it may be wrong.

    `duration_s` is the file's length in seconds, None where it has none. `tracks` are the audio streams that have a
    decoder, in the file's order.
    """

    duration_s: float | None
    tracks: tuple[AudioTrack, ...]


@cache
def ffmpeg_exe() -> str:
    """Path of the ffmpeg program: the one on PATH, else the one in the package imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    from imageio_ffmpeg import get_ffmpeg_exe

    return get_ffmpeg_exe()


def open_media(path: Path) -> Any:
    """Opens `path` with PyAV, containers and protocols limited to those allowed here.

    Returns: an `av.container.InputContainer`, to be closed by the caller.

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


def audio_header(path: Path) -> AudioHeader:
    """The header of a media file; raises as `open_media`."""
    with open_media(path) as container:
        duration = container.duration / 1e6 if container.duration and container.duration > 0 else None
        tracks = tuple(
            AudioTrack(position, stream.codec_context.sample_rate or 0, stream.codec_context.channels or 0)
            for position, stream in enumerate(container.streams.audio)
            if stream.codec_context
        )
        return AudioHeader(duration, tracks)


def video_stream(container: Any) -> Any:
    """The first video stream of an opened file that FFmpeg has a decoder for, cover art excepted; None if none."""
    from av.stream import Disposition

    streams = (stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic)
    return next((stream for stream in streams if stream.codec_context), None)


def run_ffmpeg(
    path: Path,
    *,
    max_seconds: float,
    timeout_s: float,
    output: Mapping[str, Any],
    max_bytes: int,
    start_s: float = 0.0,
) -> bytes:
    """Decodes a part of a file with the ffmpeg program, in one thread and without standard input.

    Args:
        path: the file.
        max_seconds: length of the part, in seconds.
        timeout_s: wall-clock limit, in seconds.
        output: ffmpeg's output options by name, as ffmpeg-python takes them.
        max_bytes: limit on the output's size.
        start_s: where the part begins, in seconds from the file's beginning.

    Returns: the bytes that ffmpeg wrote, at least one.

    Raises:
        MediaError: "timeout", or "undecodable" with ffmpeg's error message.
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
        raise MediaError("undecodable", _error_message(done.stderr_tail, path) or f"ffmpeg ended with {done.status}")
    return done.output


def _url(path: Path) -> str:
    """The path as a URL in which no character of a file's name has a meaning to ffmpeg.

    Raises:
        MediaError: "undecodable" for a name that isn't UTF-8.
    """
    url = f"file:{os.path.abspath(path)}"
    if any("\ud800" <= character <= "\udfff" for character in url):
        raise MediaError("undecodable", "the file's name isn't UTF-8")
    return url


def _error_message(stderr: str, path: Path) -> str:
    """The first two lines of ffmpeg's error output, without what differs between runs or machines.

    That is memory addresses and paths; later lines come in the order in which its threads end, which differs too.
    """
    plain = _ADDRESS.sub("", stderr).replace(_url(path), path.name)
    return "; ".join(plain.splitlines()[:_FIRST_LINES])
