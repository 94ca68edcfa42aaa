"""Any audio file, or the sound track of a video → mono samples at 22,050 Hz, or another rate."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from features.audio.downmix import downmix
from features.base import MediaError
from features.decoding.ffmpeg import audio_header, run_ffmpeg

SAMPLE_RATE = 22050
# More can't be resampled by FFmpeg (SWR_CH_MAX of libswresample).
MOST_CHANNELS = 64
_SPARE_S = 0.1
_LEAST_TIMEOUT_S = 1e-3
# Magic number, offset of the samples, their size, encoding, sample rate, channels.
_AU_HEADER = struct.Struct(">4s5I")


@dataclass(frozen=True)
class Clip:
    """A decoded sound.

    `samples` is float32 [n], mono, at 22,050 Hz, from -1 to 1. `sample_rate` is the file's own, in Hz. `duration_s` is
    the length of the samples, in seconds; `truncated` is True where they aren't the whole file. `header_duration_s` is
    the file's length by its header, in seconds, which may be wrong, or None. `resampled` is the sound at another rate
    that an encoder wants, or None.
    """

    samples: np.ndarray
    sample_rate: int
    truncated: bool
    header_duration_s: float | None = None
    resampled: np.ndarray | None = None

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def decode_audio(
    path: Path,
    *,
    max_seconds: float = 60.0,
    timeout_s: float = 60.0,
    window_s: float = 10.0,
    windows: int = 6,
    rate: int = SAMPLE_RATE,
) -> Clip:
    """Decodes a file's first audio stream that can be decoded: all of it, or of a long one several windows, joined.

    A file of more than `max_seconds` by its header is divided into `windows` equal parts, and a window is read from the
    middle of each, so that time and memory don't grow with the file. A window beyond the file's end shows that the
    header is wrong: the first `max_seconds` are read then, as also where the header claims less than `max_seconds`.
    Channels are mixed as in `features.audio.downmix.downmix`. Thread-safe.

    Args:
        path: the file.
        max_seconds: most seconds that are read.
        timeout_s: wall-clock limit, in seconds.
        window_s: length of a window in seconds, limited to `max_seconds` / `windows`.
        windows: number of windows.
        rate: samples a second, in Hz, if they are to be others than a clip's.

    Raises:
        MediaError: "no-audio" for a file without a sound track that FFmpeg has a decoder for, "missing", "empty",
            "unknown-format", "undecodable" with ffmpeg's error message on the first such track, or "timeout".
    """
    header = audio_header(path)
    if not header.tracks:
        raise MediaError("no-audio", "the file has no sound track that can be decoded")
    deadline = time.monotonic() + timeout_s
    length_s = min(window_s, max_seconds / windows)
    refusals: list[MediaError] = []
    for track in header.tracks:
        read = partial(_samples, path, track=track.position, rate=rate, deadline=deadline)
        try:
            if track.channels > MOST_CHANNELS:
                detail = f"the sound track has {track.channels} channels, and at most {MOST_CHANNELS} are read"
                raise MediaError("undecodable", detail)
            samples = _windows(read, windows, length_s, header.duration_s, max_seconds=max_seconds, rate=rate)
            if samples is not None:
                return Clip(samples, track.sample_rate, True, header.duration_s)
            # A little more than wanted is read, to see whether the file goes on.
            samples = read(start_s=0.0, seconds=max_seconds + _SPARE_S)
            most = round(max_seconds * rate)
            return Clip(samples[:most], track.sample_rate, len(samples) > most, header.duration_s)
        except MediaError as error:
            if error.reason == "timeout":
                # The message of one run gives the time that was left to it, which differs from night to night.
                raise MediaError("timeout", f"the decoder was still running after {timeout_s:g} s") from None
            refusals.append(error)
    raise refusals[0]


def _windows(
    read: Callable[..., np.ndarray],
    count: int,
    length_s: float,
    duration_s: float | None,
    *,
    max_seconds: float,
    rate: int,
) -> np.ndarray | None:
    """Samples of `count` windows of `length_s` seconds in the middle of equal parts of the file, joined.

    Args:
        read: `_samples` for one track.
        count, length_s: number of windows and their length in seconds.
        duration_s: the file's length in seconds by its header, or None.
        max_seconds: a file up to this length is read without windows.
        rate: samples a second.

    Returns: float32 [n]; None for a file that is read without windows, or where a window is incomplete.

    Raises:
        MediaError: "timeout".
    """
    if count < 2 or duration_s is None or duration_s <= max_seconds + _SPARE_S:
        return None
    wanted = round(length_s * rate)
    parts = []
    for start in (np.arange(count) + 0.5) * (duration_s / count) - length_s / 2:
        try:
            part = read(start_s=float(start), seconds=length_s + _SPARE_S)
        except MediaError as error:
            if error.reason == "timeout":
                raise
            return None
        if len(part) < wanted:
            return None
        parts.append(part[:wanted])
    return np.concatenate(parts)


def _samples(path: Path, *, track: int, rate: int, start_s: float, seconds: float, deadline: float) -> np.ndarray:
    """At most `seconds` of a track from the second `start_s` on: float32 [n], mono, n > 0, finite, from -1 to 1.

    Args:
        path: the file.
        track: its place among the file's audio streams.
        rate: samples a second.
        start_s, seconds: what is read, in seconds.
        deadline: limit on `time.monotonic()`, in seconds.

    Raises:
        MediaError: as raised by `run_ffmpeg`, or "undecodable" where there are no samples.
    """
    data = run_ffmpeg(
        path,
        start_s=start_s,
        max_seconds=seconds,
        timeout_s=max(deadline - time.monotonic(), _LEAST_TIMEOUT_S),
        # All channels as floats, in a format that states their number: the header's number may be wrong. Where the
        # number changes within the track FFmpeg mixes to the first one, and may amplify unless `rematrix_maxval` is 1.
        output={
            "map": f"0:a:{track}",
            "ar": rate,
            "rematrix_maxval": 1,
            "format": "au",
            "acodec": "pcm_f32be",
        },
        max_bytes=4 * MOST_CHANNELS * (round(seconds * rate) + rate),
    )
    channels = _channels(data)
    if not len(channels):
        raise MediaError("undecodable", "the sound track has no samples")
    return downmix(np.nan_to_num(channels, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)).clip(-1.0, 1.0)


def _channels(data: bytes) -> np.ndarray:
    """The samples of an AU file of 32-bit floats, float32 [n, channels]; an incomplete last one is left out."""
    _, start, _, _, _, channels = _AU_HEADER.unpack_from(data)
    whole = (len(data) - start) // (4 * channels)
    values = np.frombuffer(data, ">f4", count=whole * channels, offset=start) if whole > 0 else np.zeros(0)
    return values.reshape(-1, channels).astype(np.float32)
