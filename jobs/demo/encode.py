"""Encoding audio and video with ffmpeg, reproducibly: one thread, bit-exact, no metadata, raw samples piped in."""

import subprocess
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.decoding.ffmpeg import ffmpeg_exe
from jobs.landing.raw import LandingZoneError

_EXACT = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]


@cache
def _encoders() -> str:
    return subprocess.run([ffmpeg_exe(), "-v", "error", "-encoders"], capture_output=True, text=True, check=True).stdout


def _pick(*names: str) -> str:
    """The first of these encoders that this ffmpeg has; every ffmpeg has the last one."""
    return next((name for name in names if f" {name} " in _encoders()), names[-1])


def encode_audio(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Write mono `samples` at `rate` Hz in the format of the extension of `path` (flac, mp3, ogg, …)."""
    _run(["-f", "s16le", "-ar", str(rate), "-ac", "1", "-i", "pipe:0"], path, stdin=samples.tobytes())


def encode_video(path: Path, frames: NDArray[np.uint8], fps: int, *, sound: Path | None = None) -> None:
    """Write `frames`, uint8 [n, height, width, 3], as MP4 or Matroska; the start of `sound` is its sound track."""
    count, height, width, _ = frames.shape
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0"]
    if sound is not None:
        source += ["-i", str(sound), "-map", "0:v", "-map", "1:a", "-c:a", "aac", "-b:a", "64k"]
    if path.suffix == ".mkv":
        codec = ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"]
    else:
        name = _pick("libx264", "mpeg4")
        codec = ["-c:v", name, "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
        codec += ["-preset", "veryfast", "-crf", "26"] if name == "libx264" else ["-q:v", "5"]
    _run([*source, *codec, "-t", str(count / fps)], path, stdin=frames.tobytes())


def _run(arguments: list[str], path: Path, *, stdin: bytes) -> None:
    command = [ffmpeg_exe(), "-v", "error", "-y", *arguments, "-threads", "1", *_EXACT, str(path)]
    done = subprocess.run(command, input=stdin, capture_output=True)
    if done.returncode:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
        raise LandingZoneError(
            f"ffmpeg ({ffmpeg_exe()}) could not write {path.name}: {reason}; give one that can, on PATH"
        )
