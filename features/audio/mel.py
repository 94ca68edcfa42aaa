"""Audio encoder of spectral statistics over time: timbre, harmony and rhythm."""

from collections.abc import Sequence

import numpy as np

from features.arrays import stacked
from features.audio.base import AudioEncoder, Sound
from features.audio.rhythm import PULSE_BPM, Rhythm
from features.audio.spectrum import BANDS, CHROMA, COEFFICIENTS, CONTRAST

_SHAPE = 5
# The spread (root of the summed variances) of each block over half of a catalog of 655 short sounds; twice the spread
# for rhythm, as most of these sounds have none and its values are then accidental.
_MEL, _MFCC, _DELTA, _DELTA_2, _CHROMA, _CONTRAST, _SHAPES = 22.0, 18.0, 2.0, 1.4, 0.6, 22.0, 0.17
_TEMPO, _PULSE = 1.2, 0.7


class MelMfcc(AudioEncoder):
    """Statistics of log-mel bands, MFCC, chroma, contrast, spectral shape and rhythm, 311 wide.

    In order, with the end of each block:
        128: mean, then standard deviation over time, of 64 log-mel bands;
        168: the same of 20 MFCC;
        208, 248: the same of their first and second deltas (slope and bend of a polynomial over 9 frames);
        272: mean, then standard deviation over time, both weighted by power, of 12 chroma;
        286: the same of 7 bands of spectral contrast;
        296: the same of centroid, bandwidth, roll-off, flatness and zero-crossing rate;
        298: tempo in octaves from 120 beats a minute, 0 where there is none, and a quarter of the onsets a second;
        311: the pulse at 13 tempi.

    Each block is divided by a constant that brings its spread among sounds near 1 (rhythm near 1/2), so that Euclidean
    distances need no further scaling.
    """

    name = "mel-mfcc"
    version = 3

    @property
    def dim(self) -> int:
        return 2 * (BANDS + 3 * COEFFICIENTS + CHROMA + CONTRAST + _SHAPE) + 2 + len(PULSE_BPM)

    def embed(self, sounds: Sequence[Sound]) -> np.ndarray:
        return stacked((_vector(sound) for sound in sounds), self.dim)


def _vector(sound: Sound) -> np.ndarray:
    """The vector [311] of one sound."""
    frames = sound.spectrum
    shape = np.stack([frames.centroid, frames.bandwidth, frames.rolloff, frames.flatness, frames.crossings])
    # Chroma, contrast and shape of a quiet frame are those of noise, so frames are weighted by power there.
    plain = ((frames.mel_db, _MEL), (frames.mfcc, _MFCC), (frames.deltas(1), _DELTA), (frames.deltas(2), _DELTA_2))
    weighted = ((frames.chroma, _CHROMA), (frames.contrast, _CONTRAST), (shape, _SHAPES))
    return np.concatenate(
        [
            *(stat(curves, axis=1) / unit for curves, unit in plain for stat in (np.mean, np.std)),
            *(stat(curves) / unit for curves, unit in weighted for stat in (frames.mean, frames.deviation)),
            _tempo(sound.rhythm) / _TEMPO,
            sound.rhythm.pulse / _PULSE,
        ]
    )


def _tempo(rhythm: Rhythm) -> np.ndarray:
    """Tempo in octaves from 120 beats a minute, and a quarter of the onsets a second, [2]."""
    octaves = 0.0 if rhythm.tempo_bpm is None else np.log2(rhythm.tempo_bpm / 120.0)
    return np.array([octaves, rhythm.onsets_per_s / 4.0])
