"""How the parts of a film's picture move: from the motion vectors of its code, or else from its frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.video.decode import Film
from features.video.motion.frame_motion import luma, shifts

DIRECTIONS = 8
SPEEDS = (0.02, 0.1, 0.5)
"""Lower ends of the classes of speed, in picture diagonals a second; slower is still."""


@dataclass(frozen=True)
class Flow:
    """Displacements of cells of the picture.

    `moved` is float32 [n, cells, 2], right and down in pixels of the file a frame, NaN where unknown; `frame_s` [n] the
    seconds between two frames there. `source` is "codec" or "frames".
    """

    moved: np.ndarray
    frame_s: np.ndarray
    source: str


def flow(film: Film) -> Flow:
    """The film's own motion vectors where it has any, else shifts between the frames of its pairs; n may be 0."""
    if np.isfinite(film.fields).any():
        return Flow(film.fields.reshape(len(film.fields), -1, 2), film.frame_s, "codec")
    return _between_frames(film)


def _between_frames(film: Film) -> Flow:
    """Shifts in 3 x 3 overlapping tiles, each half as wide and high as the picture, by phase correlation."""
    apart = film.gaps > 0
    lumas = luma(film.pairs[apart])
    side = lumas.shape[-1] // 2
    starts = (0, side // 2, side)
    tiles = np.stack([lumas[:, :, y : y + side, x : x + side] for y in starts for x in starts], axis=2)
    before, after = (tiles[:, when].reshape(-1, side, side) for when in (0, 1))
    found = shifts(before, after).reshape(-1, len(starts) ** 2, 2)
    frames = np.maximum(np.round(film.gaps[apart] * film.fps), 1.0)
    moved = found * (film.width / 2, film.height / 2) / frames[:, None, None]
    return Flow(moved.astype(np.float32), film.gaps[apart] / frames, "frames")


def columns(film: Film) -> dict[str, Any]:
    """The readable columns on motion, as `schemas.features.FeaturesVideo` explains them."""
    found = flow(film)
    right, down = np.moveaxis(found.moved.astype(np.float64), -1, 0)
    known = np.isfinite(right)
    if not known.any():
        return dict.fromkeys(("motion_source", "motion_right_px", "motion_down_px", "motion_speed", "motion_histogram"))
    speeds = (
        np.hypot(right, down)[known] / np.repeat(found.frame_s, known.sum(axis=1)) / np.hypot(film.width, film.height)
    )
    told = known.any(axis=1)
    return {
        "motion_source": found.source,
        "motion_right_px": np.nanmedian(right[told], axis=1).mean(),
        "motion_down_px": np.nanmedian(down[told], axis=1).mean(),
        "motion_speed": speeds.mean(),
        "motion_histogram": histogram(speeds, np.arctan2(down, right)[known]),
    }


def histogram(speeds: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Shares of motions by class, float32 [1 + 3 * 8], that add up to 1.

    First what is still, then one class of speed after the other, in each the 8 directions clockwise from the right:
    right, right and down, down, ...

    Args:
        speeds: [n], n > 0, in picture diagonals a second.
        angles: [n], clockwise from the right in radians.
    """
    classes = np.searchsorted(SPEEDS, speeds, side="right")
    sectors = np.round(angles / (2 * np.pi / DIRECTIONS)).astype(np.int64) % DIRECTIONS
    places = np.where(classes == 0, 0, 1 + (classes - 1) * DIRECTIONS + sectors)
    return (np.bincount(places, minlength=1 + len(SPEEDS) * DIRECTIONS) / len(places)).astype(np.float32)
