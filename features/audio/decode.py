"""Any audio file, or the sound track of a video → mono samples at 22,050 Hz."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.base import MediaError
from features.decoding.ffmpeg import audio_header, run_ffmpeg

SAMPLE_RATE = 22050
_SPARE_S = 0.1


@dataclass(frozen=True)
class Clip:
    """A decoded sound.

    `samples` is float32 [n], mono, at 22,050 Hz, from -1 to 1. `sample_rate` is the file's own, in Hz. `duration_s` is
    the length of the samples, in seconds; `truncated` is True where they aren't the whole file. `header_duration_s` is
    the file's length by its header, in seconds, which may be wrong, or None.
    """

    samples: np.ndarray
    sample_rate: int
    truncated: bool
    header_duration_s: float | None = None

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def decode_audio(
    path: Path, *, max_seconds: float = 60.0, timeout_s: float = 60.0, window_s: float = 10.0, windows: int = 6
) -> Clip:
    """Decodes the first audio stream of a file: all of it, or of a long one several windows, joined. Thread-safe.

    A file of more than `max_seconds` by its header is divided into `windows` equal parts, and a window is read from the
    middle of each, so that time and memory don't grow with the file. A window beyond the file's end shows that the
    header is wrong: the first `max_seconds` are read then, as also where the header claims less than `max_seconds`.

    Args:
        path: the file.
        max_seconds: most seconds that are read.
        timeout_s: wall-clock limit, in seconds.
        window_s: length of a window in seconds, limited to `max_seconds` / `windows`.
        windows: number of windows.

    Raises:
        MediaError: "no-audio" for a file without a sound track, "missing", "empty", "unknown-format", "undecodable"
            with ffmpeg's error message, or "timeout".
    """
    header = audio_header(path)
    if header.sample_rate is None:
        raise MediaError("no-audio", "the file has no sound track")
    if windows > 1 and header.duration_s is not None and header.duration_s > max_seconds + _SPARE_S:
        length_s = min(window_s, max_seconds / windows)
        starts = (np.arange(windows) + 0.5) * (header.duration_s / windows) - length_s / 2
        parts = _windows(path, starts.tolist(), length_s, timeout_s)
        if len(parts) == windows:
            return Clip(np.concatenate(parts), header.sample_rate, True, header.duration_s)
    # A little more than wanted is read, to see whether the file goes on.
    samples = _samples(path, start_s=0.0, seconds=max_seconds + _SPARE_S, timeout_s=timeout_s)
    most = round(max_seconds * SAMPLE_RATE)
    return Clip(samples[:most], header.sample_rate, len(samples) > most, header.duration_s)


def _windows(path: Path, starts: list[float], length_s: float, timeout_s: float) -> list[np.ndarray]:
    """Samples of the windows of `length_s` seconds that begin at the seconds `starts`, up to the first incomplete one.

    The windows share the time limit equally.

    Raises:
        MediaError: "timeout".
    """
    wanted = round(length_s * SAMPLE_RATE)
    parts: list[np.ndarray] = []
    for start in starts:
        try:
            part = _samples(path, start_s=start, seconds=length_s + _SPARE_S, timeout_s=timeout_s / len(starts))
        except MediaError as error:
            if error.reason == "timeout":
                raise
            return parts
        if len(part) < wanted:
            return parts
        parts.append(part[:wanted])
    return parts


def _samples(path: Path, *, start_s: float, seconds: float, timeout_s: float) -> np.ndarray:
    """At most `seconds` of the file from the second `start_s` on: float32 [n], n > 0, finite, from -1 to 1.

    Raises:
        MediaError: as raised by `run_ffmpeg`, or "undecodable" where there are no samples.
    """
    data = run_ffmpeg(
        path,
        start_s=start_s,
        max_seconds=seconds,
        timeout_s=timeout_s,
        output={"map": "0:a:0", "ac": 1, "ar": SAMPLE_RATE, "format": "f32le", "acodec": "pcm_f32le"},
        max_bytes=4 * (round(seconds * SAMPLE_RATE) + SAMPLE_RATE),
    )
    # ffmpeg's limit on bytes may cut the last sample.
    samples = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    if not len(samples):
        raise MediaError("undecodable", "the sound track has no samples")
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
