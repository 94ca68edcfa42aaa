"""Detecting the cuts between a film's scenes, and selecting the frames that represent them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_BINS = 4
_PIXELS = 0.06
_COLOURS = 0.1
_RISE = 3.0
_USUAL = 8
_SHORTEST_S = 0.25
_CONFIRM_S = 0.1


@dataclass
class CutDetector:
    """Finds hard cuts in a film that is given frame by frame, in constant memory but for `cuts`.

    A frame begins a scene when it differs from the one before both pixel by pixel and in its colour histogram (Zhang,
    Kankanhalli and Smoliar 1993; histograms are little affected by motion), when the difference is much larger than
    those between recent frames, and when it persists: after a flash of light the picture before it comes back. Fades
    and dissolves aren't found, nor cuts between pictures that are dark throughout (below a quarter of full scale all
    colours are in one box of the histogram).

    Attributes:
        cuts: the seconds at which scenes begin, but for the first; complete after `finish`.
    """

    cuts: list[float] = field(default_factory=list)
    _last: np.ndarray | None = None
    _usual: list[float] = field(default_factory=list)
    _suspect: tuple[float, np.ndarray] | None = None
    _begun: float = 0.0

    def add_frame(self, time: float, picture: np.ndarray) -> bool:
        """Processes the next frame.

        Args:
            time: when the frame is shown, in seconds.
            picture: the frame reduced to a small size, RGB, uint8 [h, w, 3].

        Returns: whether the frame may begin a scene. It is entered in `cuts` only after the frames that follow have
            confirmed it.
        """
        last, self._last = self._last, picture
        if last is None:
            self._begun = time
            return True
        if self._suspect is not None and time - self._suspect[0] >= _CONFIRM_S:
            self.finish()
        change = _distance(last, picture)
        usual, self._usual = float(np.median(self._usual or [0.0])), [*self._usual[1 - _USUAL :], change]
        if self._suspect is None and change >= 1.0 and change >= _RISE * usual and time - self._begun >= _SHORTEST_S:
            self._suspect, self._begun = (time, last), time
            return True
        return False

    def finish(self) -> None:
        """Decides about the latest suspected cut; to be called after the last frame."""
        # A suspect keeps the picture before it: a cut is confirmed while the present picture still differs from that.
        if self._suspect is not None and self._last is not None and _distance(self._suspect[1], self._last) >= 1.0:
            self.cuts.append(self._suspect[0])
        self._suspect = None


def _distance(before: np.ndarray, after: np.ndarray) -> float:
    """The difference between two pictures uint8 [h, w, 3]; from 1 on it is large enough for a cut."""
    pixels = float(np.abs(before.astype(np.float32) - after).mean()) / 255
    colours = float(np.abs(_histogram(before) - _histogram(after)).sum()) / 2
    return min(pixels / _PIXELS, colours / _COLOURS)


def _histogram(picture: np.ndarray) -> np.ndarray:
    """Shares of a picture's pixels in 4 x 4 x 4 boxes of RGB, float64 [64]."""
    levels = (picture // (256 // _BINS)).reshape(-1, 3) @ np.array([_BINS**2, _BINS, 1])
    return np.bincount(levels, minlength=_BINS**3) / len(levels)


def select_frames(times: Sequence[float], cuts: Sequence[float], *, most: int) -> list[int]:
    """Selects frames that represent a film.

    If there are more frames than `most`, every scene gets one frame and the others are allotted in proportion to the
    scenes' frames, evenly spaced within each scene. If there are more scenes than `most`, evenly spaced scenes get one
    frame each.

    Args:
        times: when the frames are shown, ascending, in seconds.
        cuts: when scenes begin, but for the first, ascending, in seconds.
        most: number of frames to select.

    Returns: at most `most` indices into `times`, ascending.

    >>> select_frames([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [8], most=4)  # 3 of the first scene's 8, 1 of the second's 2
    [1, 4, 6, 9]
    """
    if len(times) <= most:
        return list(range(len(times)))
    scenes = [part for part in np.split(np.arange(len(times)), np.searchsorted(times, cuts)) if len(part)]
    if len(scenes) > most:
        scenes = [scenes[index] for index in _evenly(len(scenes), most)]
    shares = _apportioned([len(scene) for scene in scenes], most)
    return [
        int(scene[index]) for scene, share in zip(scenes, shares, strict=True) for index in _evenly(len(scene), share)
    ]


def _evenly(count: int, wanted: int) -> list[int]:
    """`wanted` of the indices below `count`: the middles of equal parts."""
    return [int((index + 0.5) * count / wanted) for index in range(wanted)]


def _apportioned(sizes: Sequence[int], most: int) -> list[int]:
    """`most` seats for groups of `sizes`, each at least one and at most its size, by Jefferson's (D'Hondt's) method.

    Each next seat goes to the group with the largest size / (seats + 1), the earlier one of equals.
    """
    seats = [1] * len(sizes)
    for _ in range(min(most, sum(sizes)) - len(sizes)):
        open_ = [size / (seat + 1) if seat < size else 0.0 for size, seat in zip(sizes, seats, strict=True)]
        seats[int(np.argmax(open_))] += 1
    return seats
