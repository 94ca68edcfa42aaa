"""Motion vectors as a decoder finds them in a film's stream."""

import gc
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CELLS = 8
_P = 2
_ANCHORS = (1, 2, 4)
_TYPE = "MOTION_VECTORS"
_PIXELS_HELD = 100_000_000


@dataclass
class MotionVectors:
    """Collects the motion of a film that passes by frame by frame, on a grid of `CELLS` x `CELLS` cells.

    Only frames that are predicted from the past alone (P) count, and their vectors are taken to reach back to the last
    frame that isn't predicted from both sides: FFmpeg tells a vector's direction but not the frame that it points to
    (`AVMotionVector.source`), and in B frames the two differ too often. A vector points from where a block was to where
    it is, so that what moves right has a positive x (`AVMotionVector.motion_x` has the other sign).

    `fields` holds float32 [8, 8, 2], right and down in pixels a frame, averaged over the blocks whose centre lies in
    the cell, NaN where none does; `frame_s` the seconds between two frames there.
    """

    fields: list[np.ndarray] = field(default_factory=list)
    frame_s: list[float] = field(default_factory=list)
    _anchor: float | None = None
    _frames: int = 0
    _held: int = 0

    def see(self, time: float, frame: Any, *, follows: bool) -> None:
        """Takes in the decoded `frame` (an `av.VideoFrame`), shown at `time` seconds; whether it `follows` the last."""
        self._anchor = self._anchor if follows else None
        self._frames += 1
        if frame.pict_type == _P and self._anchor is not None:
            found = self._found(frame)
            if found is not None:
                self.fields.append(_field(found, frame.width, frame.height) / np.float32(self._frames))
                self.frame_s.append((time - self._anchor) / self._frames)
        if frame.pict_type in _ANCHORS:
            self._anchor, self._frames = time, 0

    def _found(self, frame: Any) -> np.ndarray | None:
        """The frame's array of `AVMotionVector`, if it has one.

        PyAV ties a frame whose side data was looked at into a reference cycle: pictures pile up until it is collected.
        """
        self._held += frame.width * frame.height
        if self._held > _PIXELS_HELD:
            gc.collect()
            self._held = 0
        found = next((data for data in frame.side_data if data.type.name == _TYPE), None)
        return None if found is None else found.to_ndarray()

    def turned(self, turns: int) -> np.ndarray:
        """All fields, float32 [n, 8, 8, 2], of the film turned counterclockwise by so many quarters."""
        fields = np.array(self.fields, np.float32).reshape(-1, CELLS, CELLS, 2)
        for _ in range(turns % 4):
            right, down = np.moveaxis(np.rot90(fields, axes=(1, 2)), -1, 0)
            fields = np.stack([down, -right], axis=-1)
        return fields


def _field(vectors: np.ndarray, width: int, height: int) -> np.ndarray:
    """Mean displacement by cell, float32 [8, 8, 2], of an array of `AVMotionVector` in a picture of this size."""
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
