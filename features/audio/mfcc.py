"""Audio encoder of statistics of mel-frequency cepstral coefficients."""

from collections.abc import Sequence

import numpy as np

from features.arrays import stacked
from features.audio.base import AudioEncoder, Sound
from features.audio.spectrum import COEFFICIENTS

_MFCC, _DELTA = 18.0, 2.0


class Mfcc(AudioEncoder):
    """Mean and standard deviation over time of 20 MFCC, then of their first deltas, 80 wide.

    The two halves are scaled as in `mel-mfcc`, so that Euclidean distances need no further scaling.
    """

    name = "mfcc"
    version = 2

    @property
    def dim(self) -> int:
        return 4 * COEFFICIENTS

    def embed(self, sounds: Sequence[Sound]) -> np.ndarray:
        return stacked((_vector(sound) for sound in sounds), self.dim)


def _vector(sound: Sound) -> np.ndarray:
    """The vector [80] of one sound."""
    blocks = ((sound.spectrum.mfcc, _MFCC), (sound.spectrum.deltas(1), _DELTA))
    return np.concatenate([stat(curves, axis=1) / unit for curves, unit in blocks for stat in (np.mean, np.std)])
