"""Video encoder: the mean of frame embeddings, and motion statistics."""

from collections.abc import Sequence

import numpy as np

from features.arrays import stacked
from features.video.base import VideoEncoder
from features.video.decode import Film
from features.video.motion.frame_motion import DIM as MOTION_DIM
from features.video.motion.frame_motion import motion_statistics


class FrameSequence(VideoEncoder):
    """Mean embedding of the frames under the image encoder (1280 by default), then motion statistics [34].

    The motion statistics are those of `features.video.motion.frame_motion`, which are measured on frames for every
    codec, so that films of different codecs can be compared.
    """

    name = "frame-sequence"
    version = 3

    @property
    def dim(self) -> int:
        return self.appearance.dim + MOTION_DIM

    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        rows = (
            np.concatenate([sequence.mean(axis=0), motion_statistics(film.pairs, film.gaps)])
            for film, sequence in zip(decoded, sequences, strict=True)
        )
        return stacked(rows, self.dim)
