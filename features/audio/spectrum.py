"""Short-time spectrum of samples, and the measurements on each of its frames."""

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
# At -23 LUFS the loudest band of short sounds reaches -12 dB. With a lower floor, vectors of one sound differ by the
# noise of its recordings; with a higher one, too little of the sound is left.
FLOOR_DB = -45.0
_TUNING = 0.0


@dataclass(frozen=True)
class Spectrum:
    """A sound frame by frame, 43 frames a second; all arrays are floating-point.

    Attributes:
        power: [frames], the sum over frequencies.
        mel_db: [64, frames], power in mel bands in dB, at least -45.
        mfcc: [20, frames], the first cosine coefficients of `mel_db` over its bands.
        chroma: [12, frames], power by pitch class from C on, tuned to A = 440 Hz, 1 for the strongest.
        contrast: [7, frames], difference between peaks and valleys in octave bands, in dB.
        centroid, bandwidth, rolloff: [frames], as shares of 11,025 Hz; 85 % of the power lies below the roll-off.
        flatness: [frames], geometric over arithmetic mean of the power, 0 to 1.
        crossings: [frames], sign changes a sample, 0 to 1.
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
        """Each frame's share of the sound's power, [frames], which sums to 1; equal shares in silence."""
        whole = self.power.sum()
        return self.power / whole if whole > 0 else np.full(len(self.power), 1 / len(self.power), np.float32)

    def mean(self, curves: np.ndarray) -> np.ndarray:
        """Mean over time weighted by power, [...], of `curves` [..., frames]; quiet frames are mostly noise."""
        return (curves * self.weights).sum(axis=-1)

    def deviation(self, curves: np.ndarray) -> np.ndarray:
        """Standard deviation over time weighted by power, [...], of `curves` [..., frames]."""
        return np.sqrt(self.mean((curves - self.mean(curves)[..., None]) ** 2))

    def deltas(self, order: int) -> np.ndarray:
        """Slope (`order` 1) or bend (2) of the MFCC by least squares over 9 frames, [20, frames]; edges are
        repeated."""
        import librosa

        return librosa.feature.delta(self.mfcc, order=order, mode="nearest")


def spectrum(samples: np.ndarray) -> Spectrum:
    """The spectrum of mono `samples` float32 [n] at 22,050 Hz, in Hann windows of 2048 samples, 512 apart."""
    import librosa
    import scipy.fft

    # librosa.stft warns about sounds shorter than a window.
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    power = np.abs(librosa.stft(padded, n_fft=WINDOW, hop_length=HOP, pad_mode="constant")) ** 2 / np.float32(WINDOW)
    mel, chroma = _filters()
    mel_db = 10.0 * np.log10(np.maximum(mel @ power, np.float32(10.0 ** (FLOOR_DB / 10.0))))
    centroid, bandwidth, rolloff, flatness = _spectral_shape(power)
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


def segment_means(curves: np.ndarray, count: int) -> np.ndarray:
    """Means over `count` equal segments of time, which needn't begin at a frame and may be shorter than one.

    Args:
        curves: [rows, frames]; each value stands for the whole of its frame.
        count: number of segments.

    Returns: float64 [rows, count].

    >>> segment_means(np.array([[0.0, 1.0, 2.0]]), 2).round(3).tolist()  # (0 + 1/2) / 1.5, (1/2 + 2) / 1.5
    [[0.333, 1.667]]
    """
    frames = curves.shape[1]
    # The integral of each curve up to every frame's edge; between edges it is linear.
    area = np.pad(np.cumsum(curves, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    edges = np.linspace(0, frames, count + 1)
    at_edges = np.stack([np.interp(edges, np.arange(frames + 1), row) for row in area])
    return np.diff(at_edges, axis=1) * (count / frames)


@cache
def _filters() -> tuple[Any, Any]:
    """Mel [64, 1025] and chroma [12, 1025] filter banks, built at the first call of a process.

    They are sparse because a sparse product runs in one thread and adds in one order: fast for matrices of this size,
    and the same bits on any machine. `librosa.feature.chroma_stft` would build its filters again for every sound.
    """
    import librosa
    from scipy.sparse import csr_array

    mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS, dtype=np.float32)
    chroma = librosa.filters.chroma(sr=SAMPLE_RATE, n_fft=WINDOW, n_chroma=CHROMA, tuning=_TUNING)
    return csr_array(mel), csr_array(chroma)


def _spectral_shape(power: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centroid, bandwidth, roll-off and flatness of `power` [1025, frames], each [frames].

    They are of power, not of amplitude as librosa's are by default, and take a third of the time of librosa's
    functions, as they share intermediate results.
    """
    frequencies = np.linspace(0.0, 1.0, len(power), dtype=np.float32)[:, None]
    share = power / np.maximum(power.sum(axis=0), np.float32(1e-12))
    centroid = (share * frequencies).sum(axis=0)
    bandwidth = np.sqrt((share * (frequencies - centroid) ** 2).sum(axis=0))
    rolloff = (np.cumsum(share, axis=0) < 0.85).mean(axis=0)
    # The logarithm of 0 would make the geometric mean 0 wherever a single frequency is missing.
    floored = power + np.float32(1e-10)
    flatness = np.exp(np.log(floored).mean(axis=0)) / floored.mean(axis=0)
    return centroid, bandwidth, rolloff, flatness
