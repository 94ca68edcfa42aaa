"""Motion vectors that a decoder exports from a film's stream."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.video.orientation import Orientation

CELLS = 8
# AVPictureType: P, and those that aren't predicted from both sides (I, P, S).
_P = 2
_ANCHORS = (1, 2, 4)
_TYPE = "MOTION_VECTORS"


@dataclass
class MotionVectors:
    """Collects the motion vectors of a film that is given frame by frame, on a grid of `CELLS` x `CELLS` cells.

    Only frames that are predicted from the past alone (P) are used, and their vectors are taken to refer to the last
    frame that isn't predicted from both sides: FFmpeg exports a vector's direction but not its reference frame
    (`AVMotionVector.source`), and in B frames the two differ too often. A vector points from a block's former place to
    its present one, so that motion to the right has a positive x (`AVMotionVector.motion_x` has the other sign).

    Attributes:
        fields: for each frame used float32 [8, 8, 2], right and down as shown, in pixels a frame, averaged over the
            blocks whose centre lies in the cell, NaN where none does.
        frame_s: for each the seconds between two frames.
    """

    fields: list[np.ndarray] = field(default_factory=list)
    frame_s: list[float] = field(default_factory=list)
    _anchor: float | None = None
    _frames: int = 0

    def add_frame(
        self, time: float, frame: Any, *, attached: dict[str, Any], orientation: Orientation, follows: bool
    ) -> None:
        """Processes the next frame.

        Args:
            time: when the frame is shown, in seconds.
            frame: a decoded `av.VideoFrame`.
            attached: its side data.
            orientation: how it is shown.
            follows: the frame comes directly after the one before it.
        """
        # `_frames` counts the frames since the anchor: vectors cover so many frames.
        self._anchor = self._anchor if follows else None
        self._frames += 1
        if frame.pict_type == _P and self._anchor is not None and _TYPE in attached:
            found = _field(attached[_TYPE].to_ndarray(), frame.width, frame.height)
            self.fields.append(orientation.motion(found / np.float32(self._frames)))
            self.frame_s.append((time - self._anchor) / self._frames)
        if frame.pict_type in _ANCHORS:
            self._anchor, self._frames = time, 0


def _field(vectors: np.ndarray, width: int, height: int) -> np.ndarray:
    """Mean displacement by cell, weighted by area, float32 [8, 8, 2], NaN in cells without a vector.

    Args:
        vectors: structured array of `AVMotionVector`.
        width, height: of the picture, in pixels.
    """
    # A negative source is a reference to the past.
    past = vectors[(vectors["source"] < 0) & (vectors["motion_scale"] > 0)]
    columns = np.clip(past["dst_x"].astype(np.int64) * CELLS // width, 0, CELLS - 1)
    rows = np.clip(past["dst_y"].astype(np.int64) * CELLS // height, 0, CELLS - 1)
    cells, areas = rows * CELLS + columns, past["w"].astype(np.float64) * past["h"]
    total = np.bincount(cells, areas, CELLS**2)
    moved = [
        np.bincount(cells, -past[axis] / past["motion_scale"] * areas, CELLS**2) for axis in ("motion_x", "motion_y")
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.stack(moved, axis=-1) / total[:, None]).astype(np.float32).reshape(CELLS, CELLS, 2)
