"""Samples → what is measured in each frame of their spectrum."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from features.audio.decode import SAMPLE_RATE

WINDOW, HOP = 2048, 512
FRAMES_PER_S = SAMPLE_RATE / HOP
BANDS = 64
COEFFICIENTS = 20
CHROMA = 12
CONTRAST = 7
# At -23 LUFS the loudest band of short sounds reaches -12 dB. With a lower floor, vectors of one sound drift apart by
# the noise of its recordings; with a higher one, they lose the sound.
FLOOR_DB = -45.0
_TUNING = 0.0


@dataclass(frozen=True)
class Spectrum:
    """A sound frame by frame, 43 frames a second; float32 unless said otherwise.

    `power` [frames] is the sum over frequencies. `mel_db` [64, frames] is the power in mel bands in dB, -45 at least.
    `mfcc` [20, frames] are its first cosine coefficients. `chroma` [12, frames] is the power by pitch class from C on,
    tuned to A = 440 Hz, 1 for the strongest. `contrast` [7, frames] is the distance of peaks from valleys in octave
    bands, in dB. `centroid`, `bandwidth` and `rolloff` [frames] (85 % of the power lie below) are shares of 11,025 Hz,
    `flatness` [frames] and `crossings` [frames] (sign changes a sample) lie between 0 and 1.
    """

    power: np.ndarray
    mel_db: np.ndarray
    mfcc: np.ndarray
    chroma: np.ndarray
    contrast: np.ndarray
    centroid: np.ndarray
    bandwidth: np.ndarray
    rolloff: np.ndarray
    flatness: np.ndarray
    crossings: np.ndarray

    @cached_property
    def weights(self) -> np.ndarray:
        """Each frame's share of the sound's power, [frames]; equal shares in silence."""
        whole = self.power.sum()
        return self.power / whole if whole > 0 else np.full(len(self.power), 1 / len(self.power), np.float32)

    def mean(self, curves: np.ndarray) -> np.ndarray:
        """Mean over time weighted by power, [...] of `curves` [..., frames]: what is quiet says little."""
        return (curves * self.weights).sum(axis=-1)

    def deviation(self, curves: np.ndarray) -> np.ndarray:
        """Standard deviation over time weighted by power, [...] of `curves` [..., frames]."""
        return np.sqrt(self.mean((curves - self.mean(curves)[..., None]) ** 2))

    def deltas(self, order: int) -> np.ndarray:
        """Slope (`order` 1) or bend (2) of the MFCC by least squares over 9 frames, [20, frames]; ends are repeated."""
        import librosa

        return librosa.feature.delta(self.mfcc, order=order, mode="nearest")


def spectrum(samples: np.ndarray) -> Spectrum:
    """The spectrum of mono `samples` float32 [n] at 22,050 Hz, in frames of 2048 samples, 512 apart."""
    import librosa
    import scipy.fft

    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    power = np.abs(librosa.stft(padded, n_fft=WINDOW, hop_length=HOP, pad_mode="constant")) ** 2 / np.float32(WINDOW)
    mel, chroma = _filters()
    mel_db = 10.0 * np.log10(np.maximum(mel @ power, np.float32(10.0 ** (FLOOR_DB / 10.0))))
    centroid, bandwidth, rolloff, flatness = _shape(power)
    return Spectrum(
        power=power.sum(axis=0),
        mel_db=mel_db,
        mfcc=scipy.fft.dct(mel_db, axis=0, type=2, norm="ortho")[:COEFFICIENTS],
        chroma=librosa.util.normalize(chroma @ power),
        contrast=librosa.feature.spectral_contrast(S=power, sr=SAMPLE_RATE, n_fft=WINDOW),
        centroid=centroid,
        bandwidth=bandwidth,
        rolloff=rolloff,
        flatness=flatness,
        crossings=librosa.feature.zero_crossing_rate(padded, frame_length=WINDOW, hop_length=HOP)[0],
    )


def steps(curves: np.ndarray, count: int) -> np.ndarray:
    """Means of `curves` [rows, frames] over `count` equal parts of time, [rows, count]; parts may be below a frame."""
    frames = curves.shape[1]
    area = np.pad(np.cumsum(curves, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    edges = np.linspace(0, frames, count + 1)
    at_edges = np.stack([np.interp(edges, np.arange(frames + 1), row) for row in area])
    return np.diff(at_edges, axis=1) * (count / frames)


@cache
def _filters() -> tuple[Any, Any]:
    """Mel [64, 1025] and chroma [12, 1025] filter banks, made at the first call of a process.

    Sparse, as a sparse product is one thread that adds in one order: quick for matrices of this size, and the same bits
    on any machine. `librosa.feature.chroma_stft` would make its filters anew for every sound.
    """
    import librosa
    from scipy.sparse import csr_array

    mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS, dtype=np.float32)
    chroma = librosa.filters.chroma(sr=SAMPLE_RATE, n_fft=WINDOW, n_chroma=CHROMA, tuning=_TUNING)
    return csr_array(mel), csr_array(chroma)


def _shape(power: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centroid, bandwidth, roll-off and flatness of `power` [1025, frames], each [frames].

    Of power, not of amplitude as librosa's are by default, and in a third of the time, as they share the work.
    """
    frequencies = np.linspace(0.0, 1.0, len(power), dtype=np.float32)[:, None]
    share = power / np.maximum(power.sum(axis=0), np.float32(1e-12))
    centroid = (share * frequencies).sum(axis=0)
    bandwidth = np.sqrt((share * (frequencies - centroid) ** 2).sum(axis=0))
    rolloff = (np.cumsum(share, axis=0) < 0.85).mean(axis=0)
    floored = power + np.float32(1e-10)
    flatness = np.exp(np.log(floored).mean(axis=0)) / floored.mean(axis=0)
    return centroid, bandwidth, rolloff, flatness
