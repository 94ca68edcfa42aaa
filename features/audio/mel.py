"""Sounds as statistics of their spectrum over time: timbre, and rhythm beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch, stacked
from features.audio.decode import SAMPLE_RATE, Clip, decode_audio
from features.audio.rhythm import PULSE_BPM, Rhythm, rhythm
from features.base import Encoder

BANDS = 64
COEFFICIENTS = 20
_WINDOW, _HOP = 2048, 512
_FRAMES_PER_S = SAMPLE_RATE / _HOP
_FLOOR_DB = -100.0
_SILENT_DB = -70.0
_SPECTRAL = 8


@dataclass(frozen=True)
class _Spectra:
    """`power` [1025, frames], `mel_db` [64, frames] in dB, `mfcc` [20, frames]."""

    power: np.ndarray
    mel_db: np.ndarray
    mfcc: np.ndarray


class MelMfcc(Encoder):
    """Log-mel and MFCC statistics, spectral shape and rhythm, 231 wide.

    In order: mean and standard deviation over time of 64 log-mel bands (0 to 128), of 20 MFCC (to 168) and of their
    first differences over 9 frames (to 208); centroid, bandwidth, roll-off and flatness, mean and standard deviation
    (to 216); tempo in octaves from 120 beats a minute and onsets a second, 0 where there is none (to 218); the pulse at
    13 tempi (to 231). Each block is divided by a constant that brings it near 1, so that distances can be taken as is.

    Args:
        max_seconds: so much of the beginning of a sound is read.
        timeout_s: a sound that takes longer to decode is refused; not part of the fingerprint.
    """

    modality = "audio"
    name = "mel-mfcc"
    version = 1

    def __init__(self, *, max_seconds: float = 60.0, timeout_s: float = 60.0) -> None:
        self.max_seconds = max_seconds
        self.timeout_s = timeout_s

    @property
    def dim(self) -> int:
        return 2 * BANDS + 4 * COEFFICIENTS + _SPECTRAL + 2 + len(PULSE_BPM)

    def parameters(self) -> dict[str, Any]:
        return {"max_seconds": self.max_seconds, "sample_rate": SAMPLE_RATE, "window": _WINDOW, "hop": _HOP}

    def decode(self, content: Path) -> Clip:
        """The sound of the file `content`; errors as in `decode_audio`. Safe in threads."""
        return decode_audio(content, max_seconds=self.max_seconds, timeout_s=self.timeout_s)

    def encode(self, decoded: Sequence[Clip]) -> pa.RecordBatch:
        """Features of sounds, in order.

        Columns: `duration_s` of what was read, `sample_rate` of the file, `rms_db` below full scale (-100 at least),
        `tempo_bpm` (null where nothing repeats), `spectral_centroid_hz` (mean over time weighted by power, null in
        silence), `mfcc` (means over time, unscaled), `silent` (below -70 dB), `truncated` (the file went on).
        """
        features = [_features(clip) for clip in decoded]
        return feature_batch(self.schema(), stacked((v for v, _ in features), self.dim), [row for _, row in features])


def _features(clip: Clip) -> tuple[np.ndarray, dict[str, Any]]:
    """Vector and readable columns of one sound."""
    spectra = _spectra(clip.samples)
    rms_db = _decibels(float(np.mean(np.square(clip.samples, dtype=np.float64))))
    silent = bool(rms_db < _SILENT_DB)
    beat = rhythm(np.zeros(0) if silent else _onset_envelope(spectra.mel_db), _FRAMES_PER_S)
    shape, centroid = _spectral_shape(spectra.power)
    row = {
        "duration_s": clip.duration_s,
        "sample_rate": clip.sample_rate,
        "rms_db": rms_db,
        "tempo_bpm": beat.tempo_bpm,
        "spectral_centroid_hz": None if silent else centroid,
        "mfcc": spectra.mfcc.mean(axis=1).tolist(),
        "silent": silent,
        "truncated": clip.truncated,
    }
    return np.concatenate([_timbre(spectra), shape, _beat(beat)]), row


def _spectra(samples: np.ndarray) -> _Spectra:
    import librosa
    import scipy.fft

    padded = np.pad(samples, (0, max(0, _WINDOW - len(samples))))
    power = np.abs(librosa.stft(padded, n_fft=_WINDOW, hop_length=_HOP, pad_mode="constant")) ** 2
    power = power.astype(np.float32) / np.float32(_WINDOW)
    mel_db = _decibels(_filters() @ power)
    mfcc = scipy.fft.dct(mel_db, axis=0, type=2, norm="ortho")[:COEFFICIENTS]
    return _Spectra(power, mel_db, mfcc)


@cache
def _filters() -> Any:
    """Mel filter bank, sparse float32 [64, 1025], made at the first call of a process.

    Sparse because nearly all of it is zero, and because a sparse product is one thread adding in one order.
    """
    import librosa
    import scipy.sparse

    return scipy.sparse.csr_array(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=_WINDOW, n_mels=BANDS, dtype=np.float32))


def _decibels(power: Any) -> Any:
    """Power in dB, at least -100."""
    return 10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10.0)))


def _onset_envelope(mel_db: np.ndarray) -> np.ndarray:
    """How much louder each frame is than the one before, in dB averaged over bands, [frames]."""
    audible = np.maximum(mel_db, mel_db.max() - 80.0)
    rises = np.maximum(np.diff(audible, axis=1), 0.0).mean(axis=0)
    return np.concatenate([np.zeros(1), rises])


def _timbre(spectra: _Spectra) -> np.ndarray:
    """Means and standard deviations of mel bands, MFCC and MFCC differences, [208]."""
    differences = _differences(spectra.mfcc)
    blocks = ((spectra.mel_db, 30.0), (spectra.mfcc, 30.0), (differences, 3.0))
    return np.concatenate([part / unit for block, unit in blocks for part in (block.mean(axis=1), block.std(axis=1))])


def _differences(values: np.ndarray) -> np.ndarray:
    """Slope of the least-squares line over 9 frames, [rows, frames]; ends are repeated."""
    half = 4
    padded = np.pad(values, ((0, 0), (half, half)), mode="edge")
    frames = values.shape[1]
    ahead_less_behind = (
        k * (padded[:, half + k : half + k + frames] - padded[:, half - k : half - k + frames])
        for k in range(1, half + 1)
    )
    return sum(ahead_less_behind) / (2 * sum(k * k for k in range(1, half + 1)))


def _spectral_shape(power: np.ndarray) -> tuple[np.ndarray, float]:
    """Centroid, bandwidth, roll-off (85 % of power; all three as shares of 11,025 Hz) and flatness, mean and standard
    deviation over frames weighted by their power, [8]; and the mean centroid in Hz."""
    frequencies = np.linspace(0.0, 1.0, len(power), dtype=np.float32)[:, None]
    loudness = power.sum(axis=0)
    share = power / np.maximum(loudness, np.float32(1e-12))
    centroid = (share * frequencies).sum(axis=0)
    bandwidth = np.sqrt((share * (frequencies - centroid) ** 2).sum(axis=0))
    rolloff = (np.cumsum(share, axis=0) < 0.85).mean(axis=0)
    floored = power + np.float32(1e-10)
    flatness = np.exp(np.log(floored).mean(axis=0)) / floored.mean(axis=0)
    weights = loudness / loudness.sum() if loudness.sum() > 0 else np.full(len(loudness), 1 / len(loudness))
    curves = np.stack([centroid, bandwidth, rolloff, flatness])
    means = curves @ weights
    deviations = np.sqrt(((curves - means[:, None]) ** 2) @ weights)
    return np.concatenate([means, deviations]), float(means[0] * SAMPLE_RATE / 2)


def _beat(beat: Rhythm) -> np.ndarray:
    octaves = 0.0 if beat.tempo_bpm is None else np.log2(beat.tempo_bpm / 120.0)
    return np.concatenate([[octaves, beat.onsets_per_s / 4.0], beat.pulse])
