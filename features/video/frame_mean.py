"""Video encoder: the mean of frame embeddings alone, so that a film stands in its image encoder's space."""

from collections.abc import Sequence

import numpy as np

from features.arrays import stacked
from features.video.base import VideoEncoder
from features.video.decode import Film


class FrameMean(VideoEncoder):
    """Mean embedding of the frames under the image encoder `appearance`, whose `space` it shares."""

    name = "frame-mean"
    version = 1

    @property
    def dim(self) -> int:
        return self.appearance.dim

    @property
    def space(self) -> str:  # type: ignore[override]
        return self.appearance.space

    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        return stacked((sequence.mean(axis=0) for sequence in sequences), self.dim)
