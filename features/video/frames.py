"""Films as the sequence of their frames' image embeddings, with motion beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch, stacked
from features.base import Encoder
from features.image import cnn
from features.video.decode import GAP_S, SIDE, Film, decode_video
from features.video.motion import DIM as MOTION_DIM
from features.video.motion import mean_change, motion


class FrameSequence(Encoder):
    """Mean image embedding of up to 16 frames [1280], then motion statistics [34]: 1314 wide.

    The embeddings are EfficientNet-Lite0's; `features.video.motion` says what the motion statistics are. The column
    `sequence` keeps the frames' embeddings in order of time, flattened row by row: reshape it to [frames, 1280].

    Args:
        moments: at most so many frames are embedded.
        max_seconds: so much of the beginning of a film is read.
        timeout_s: a film that takes longer to decode is refused; not part of the fingerprint.
    """

    modality = "video"
    name = "frame-sequence"
    version = 1

    def __init__(self, *, moments: int = 16, max_seconds: float = 60.0, timeout_s: float = 120.0) -> None:
        self.moments = moments
        self.max_seconds = max_seconds
        self.timeout_s = timeout_s

    @property
    def dim(self) -> int:
        return cnn.DIM + MOTION_DIM

    def parameters(self) -> dict[str, Any]:
        return {"moments": self.moments, "max_seconds": self.max_seconds, "side": SIDE, "gap_s": GAP_S}

    def weights_hash(self) -> str:
        return cnn.weights_hash()

    def decode(self, content: Path) -> Film:
        """Frames of the file `content`; errors as in `decode_video`. Safe in threads."""
        return decode_video(content, moments=self.moments, max_seconds=self.max_seconds, timeout_s=self.timeout_s)

    def encode(self, decoded: Sequence[Film]) -> pa.RecordBatch:
        """Features of films, in order; the frames of all of them go through the network together.

        Columns as in `Film`; `frames` is the number of frames in `sequence`, `motion_mean` the mean absolute change of
        luma (0 to 1) within 0.08 s.
        """
        frames = [np.zeros((0, SIDE, SIDE, 3), np.uint8), *(film.pairs[:, 0] for film in decoded)]
        ends = np.cumsum([len(part) for part in frames])[:-1]
        sequences = np.split(cnn.embed(np.concatenate(frames)), ends)[1:]
        vectors = (
            np.concatenate([sequence.mean(axis=0), motion(film.pairs, film.gap_s)])
            for film, sequence in zip(decoded, sequences, strict=True)
        )
        rows = [_row(film, sequence) for film, sequence in zip(decoded, sequences, strict=True)]
        return feature_batch(self.schema(), stacked(vectors, self.dim), rows)


def _row(film: Film, sequence: np.ndarray) -> dict[str, Any]:
    return {
        "duration_s": film.duration_s,
        "width": film.width,
        "height": film.height,
        "fps": film.fps,
        "frames": len(film.pairs),
        "sequence": sequence.ravel(),
        "motion_mean": mean_change(film.pairs),
        "has_audio": film.has_audio,
        "truncated": film.truncated,
    }
