"""Sounds as statistics of their spectrum over time: timbre, harmony and rhythm."""

from collections.abc import Sequence

import numpy as np

from features.arrays import stacked
from features.audio.base import AudioEncoder, Sound
from features.audio.rhythm import PULSE_BPM, Rhythm
from features.audio.spectrum import BANDS, CHROMA, COEFFICIENTS, CONTRAST

_SHAPE = 5
# The spread (root of the summed variances) of each block over half of a catalog of 655 short sounds; twice that for
# rhythm, which in most of them is an accident.
_MEL, _MFCC, _DELTA, _DELTA_2, _CHROMA, _CONTRAST, _SHAPES = 22.0, 18.0, 2.0, 1.4, 0.6, 22.0, 0.17
_TEMPO, _PULSE = 1.2, 0.7


class MelMfcc(AudioEncoder):
    """Statistics of log-mel bands, MFCC, chroma, contrast, spectral shape and rhythm, 311 wide.

    In order: mean and standard deviation over time of 64 log-mel bands (0 to 128), of 20 MFCC (to 168), of their first
    (to 208) and second deltas (to 248), slopes of polynomials over 9 frames; then, weighted by power, of 12 chroma (to
    272), of 7 bands of spectral contrast (to 286) and of centroid, bandwidth, roll-off, flatness and zero-crossing rate
    (to 296); tempo in octaves from 120 beats a minute, 0 where there is none, and a quarter of the onsets a second (to
    298); the pulse at 13 tempi (to 311). Each block is divided by a constant that brings its spread among sounds near 1
    (rhythm near a half), so that distances can be taken as is.
    """

    name = "mel-mfcc"
    version = 2

    @property
    def dim(self) -> int:
        return 2 * (BANDS + 3 * COEFFICIENTS + CHROMA + CONTRAST + _SHAPE) + 2 + len(PULSE_BPM)

    def embed(self, sounds: Sequence[Sound]) -> np.ndarray:
        return stacked((_vector(sound) for sound in sounds), self.dim)


def _vector(sound: Sound) -> np.ndarray:
    """The vector [311] of one sound."""
    seen = sound.spectrum
    shape = np.stack([seen.centroid, seen.bandwidth, seen.rolloff, seen.flatness, seen.crossings])
    plain = ((seen.mel_db, _MEL), (seen.mfcc, _MFCC), (seen.deltas(1), _DELTA), (seen.deltas(2), _DELTA_2))
    weighted = ((seen.chroma, _CHROMA), (seen.contrast, _CONTRAST), (shape, _SHAPES))
    return np.concatenate(
        [
            *(stat(curves, axis=1) / unit for curves, unit in plain for stat in (np.mean, np.std)),
            *(stat(curves) / unit for curves, unit in weighted for stat in (seen.mean, seen.deviation)),
            _tempo(sound.beat) / _TEMPO,
            sound.beat.pulse / _PULSE,
        ]
    )


def _tempo(beat: Rhythm) -> np.ndarray:
    octaves = 0.0 if beat.tempo_bpm is None else np.log2(beat.tempo_bpm / 120.0)
    return np.array([octaves, beat.onsets_per_s / 4.0])
