"""Films as the mean of their frames' embeddings, with motion beside it."""

from collections.abc import Sequence

import numpy as np

from features.arrays import stacked
from features.video.base import VideoEncoder
from features.video.decode import Film
from features.video.motion.frame_motion import DIM as MOTION_DIM
from features.video.motion.frame_motion import motion


class FrameSequence(VideoEncoder):
    """Mean embedding of the frames under the image encoder (1280 by default), then motion statistics [34].

    The motion statistics are those of `features.video.motion.frame_motion`: measured on frames whatever the film's
    codec, so that films of different codecs can be compared.
    """

    name = "frame-sequence"
    version = 2

    @property
    def dim(self) -> int:
        return self.appearance.dim + MOTION_DIM

    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        rows = (
            np.concatenate([sequence.mean(axis=0), motion(film.pairs, film.gaps)])
            for film, sequence in zip(decoded, sequences, strict=True)
        )
        return stacked(rows, self.dim)
