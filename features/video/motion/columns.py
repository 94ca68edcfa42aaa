"""The readable columns on motion: from the codec's motion vectors, or else from the film's frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.video.decode import Film
from features.video.motion.frame_motion import luma, phase_shifts

DIRECTIONS = 8
SPEEDS = (0.02, 0.1, 0.5)
"""Lower bounds of the classes of speed, in picture diagonals a second; below the first, a cell counts as still."""


@dataclass(frozen=True)
class Displacements:
    """Displacements of cells of the picture.

    `pixels` is float32 [n, cells, 2], right and down as shown, in pixels of the file a frame, NaN where unknown;
    `frame_s` [n] the seconds between two frames. `source` is "codec" or "frames".
    """

    pixels: np.ndarray
    frame_s: np.ndarray
    source: str


def displacements(film: Film) -> Displacements:
    """The codec's motion vectors if there are any, else shifts between the frames of the film's pairs; n may be 0."""
    if np.isfinite(film.fields).any():
        return Displacements(film.fields.reshape(len(film.fields), -1, 2), film.frame_s, "codec")
    return _between_frames(film)


def _between_frames(film: Film) -> Displacements:
    """Shifts in 3 x 3 overlapping tiles, each half as wide and high as the picture, by phase correlation."""
    apart = film.gaps > 0
    lumas = luma(film.pairs[apart])
    side = lumas.shape[-1] // 2
    starts = (0, side // 2, side)
    tiles = np.stack([lumas[:, :, y : y + side, x : x + side] for y in starts for x in starts], axis=2)
    before, after = (tiles[:, when].reshape(-1, side, side) for when in (0, 1))
    shifts = phase_shifts(before, after).reshape(-1, len(starts) ** 2, 2)
    frames = np.maximum(np.round(film.gaps[apart] * film.fps), 1.0)
    across, down = (film.height, film.width) if film.sideways else (film.width, film.height)
    # Shifts are shares of a tile, which is half the picture.
    pixels = shifts * (across / 2, down / 2) / frames[:, None, None]
    return Displacements(pixels.astype(np.float32), film.gaps[apart] / frames, "frames")


def motion_columns(film: Film) -> dict[str, Any]:
    """The columns on motion by name, as described in `schemas.features.FeaturesVideo`; None where none is known."""
    found = displacements(film)
    right, down = np.moveaxis(found.pixels.astype(np.float64), -1, 0)
    known = np.isfinite(right)
    if not known.any():
        return dict.fromkeys(("motion_source", "motion_right_px", "motion_down_px", "motion_speed", "motion_histogram"))
    speeds = (
        np.hypot(right, down)[known] / np.repeat(found.frame_s, known.sum(axis=1)) / np.hypot(film.width, film.height)
    )
    measured = known.any(axis=1)
    return {
        "motion_source": found.source,
        # The median over cells is the motion of most of the picture, such as the camera's.
        "motion_right_px": np.nanmedian(right[measured], axis=1).mean(),
        "motion_down_px": np.nanmedian(down[measured], axis=1).mean(),
        "motion_speed": speeds.mean(),
        "motion_histogram": motion_histogram(speeds, np.arctan2(down, right)[known]),
    }


def motion_histogram(speeds: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Histogram of motions by speed and direction.

    Args:
        speeds: [n], n > 0, in picture diagonals a second.
        angles: [n], clockwise from the right in radians.

    Returns: float32 [1 + 3 * 8], which sums to 1: first the share of still cells, then one class of speed after the
        other, in each the 8 directions clockwise from the right: right, right and down, down, ...

    >>> shares = motion_histogram(np.array([0.01, 0.2]), np.array([0.0, np.pi / 2]))
    >>> {int(place): float(shares[place]) for place in np.flatnonzero(shares)}  # still; the second class, down
    {0: 0.5, 11: 0.5}
    """
    classes = np.searchsorted(SPEEDS, speeds, side="right")
    sectors = np.round(angles / (2 * np.pi / DIRECTIONS)).astype(np.int64) % DIRECTIONS
    places = np.where(classes == 0, 0, 1 + (classes - 1) * DIRECTIONS + sectors)
    return (np.bincount(places, minlength=1 + len(SPEEDS) * DIRECTIONS) / len(places)).astype(np.float32)
