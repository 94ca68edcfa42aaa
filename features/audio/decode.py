"""Any sound file, or the sound track of a video → mono samples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.base import MediaError
from features.media import probe, run_ffmpeg

SAMPLE_RATE = 22050
_SPARE_S = 0.1


@dataclass(frozen=True)
class Clip:
    """Decoded sound.

    `samples` is float32 [n], mono, at 22,050 Hz, within -1 and 1. `sample_rate` is the file's own, in Hz. `duration_s`
    is the length of the samples, in seconds; `truncated` says that the file went on.
    """

    samples: np.ndarray
    sample_rate: int
    truncated: bool

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def decode_audio(path: Path, *, max_seconds: float = 60.0, timeout_s: float = 60.0) -> Clip:
    """The first sound track of the file at `path`, at most `max_seconds` of it. Safe in threads.

    Raises:
        MediaError: "no-audio" for a file without a sound track, "missing", "empty", "unknown-format", "undecodable"
            with ffmpeg's last words, or "timeout" after `timeout_s` seconds.
    """
    sound = probe(path).sound
    if sound is None:
        raise MediaError("no-audio", "the file has no sound track")
    most = round(max_seconds * SAMPLE_RATE)
    data = run_ffmpeg(
        path,
        max_seconds=max_seconds + _SPARE_S,
        timeout_s=timeout_s,
        output={"map": "0:a:0", "ac": 1, "ar": SAMPLE_RATE, "format": "f32le", "acodec": "pcm_f32le"},
        max_bytes=4 * (most + SAMPLE_RATE),
    )
    samples = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    if not len(samples):
        raise MediaError("undecodable", "the sound track has no samples")
    clean = np.nan_to_num(samples[:most], nan=0.0, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
    return Clip(clean, sound.sample_rate, truncated=len(samples) > most)
