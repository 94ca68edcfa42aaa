"""Where one scene of a film ends and the next begins, and which of its frames stand for it."""

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
    """Finds hard cuts in a film that passes by frame by frame; memory doesn't grow with the film but for `cuts`.

    A frame begins a scene when it differs from the one before both pixel by pixel and in its colours (Zhang,
    Kankanhalli and Smoliar 1993 compare histograms, which motion leaves alone), when it does so much more than frames
    have lately, and when the difference lasts: a flash of light goes back to the picture before it. Fades and
    dissolves are not found.
    """

    cuts: list[float] = field(default_factory=list)
    _last: np.ndarray | None = None
    _usual: list[float] = field(default_factory=list)
    _suspect: tuple[float, np.ndarray] | None = None
    _begun: float = 0.0

    def see(self, time: float, picture: np.ndarray) -> bool:
        """Whether the frame at `time` seconds may begin a scene; `cuts` has it only once the frames after it agree.

        Args:
            picture: uint8 [h, w, 3], the frame made small.
        """
        last, self._last = self._last, picture
        if last is None:
            self._begun = time
            return True
        if self._suspect is not None and time - self._suspect[0] >= _CONFIRM_S:
            self.settle()
        change = _distance(last, picture)
        usual, self._usual = float(np.median(self._usual or [0.0])), [*self._usual[1 - _USUAL :], change]
        if self._suspect is None and change >= 1.0 and change >= _RISE * usual and time - self._begun >= _SHORTEST_S:
            self._suspect, self._begun = (time, last), time
            return True
        return False

    def settle(self) -> None:
        """Decides about the latest suspected cut; to be called when the film has ended."""
        if self._suspect is not None and self._last is not None and _distance(self._suspect[1], self._last) >= 1.0:
            self.cuts.append(self._suspect[0])
        self._suspect = None


def _distance(before: np.ndarray, after: np.ndarray) -> float:
    """How different two pictures uint8 [h, w, 3] are: 1 and more is enough for a cut."""
    pixels = float(np.abs(before.astype(np.float32) - after).mean()) / 255
    colours = float(np.abs(_histogram(before) - _histogram(after)).sum()) / 2
    return min(pixels / _PIXELS, colours / _COLOURS)


def _histogram(picture: np.ndarray) -> np.ndarray:
    """Shares of the picture in 4 x 4 x 4 boxes of RGB, float64 [64]."""
    levels = (picture // (256 // _BINS)).reshape(-1, 3) @ np.array([_BINS**2, _BINS, 1])
    return np.bincount(levels, minlength=_BINS**3) / len(levels)


def pick(times: Sequence[float], cuts: Sequence[float], *, most: int) -> list[int]:
    """Which of the frames at `times` (ascending, in seconds) stand for a film: at most `most` indices, ascending.

    All, where there is room. Else every scene gets one frame and the rest go to where most frames lie, evenly within
    each scene; of more than `most` scenes an even choice gets one frame each.
    """
    if len(times) <= most:
        return list(range(len(times)))
    scenes = [part for part in np.split(np.arange(len(times)), np.searchsorted(times, cuts)) if len(part)]
    if len(scenes) > most:
        scenes = [scenes[index] for index in _evenly(len(scenes), most)]
    shares = _shared([len(scene) for scene in scenes], most)
    return [
        int(scene[index]) for scene, share in zip(scenes, shares, strict=True) for index in _evenly(len(scene), share)
    ]


def _evenly(count: int, wanted: int) -> list[int]:
    """`wanted` of `count` places, the middles of equal parts."""
    return [int((index + 0.5) * count / wanted) for index in range(wanted)]


def _shared(sizes: Sequence[int], most: int) -> list[int]:
    """`most` seats among groups of `sizes`, each at least one and at most its size: a seat goes to the group with the
    most members a seat (Jefferson's rule), the earlier one where two are equal."""
    seats = [1] * len(sizes)
    for _ in range(min(most, sum(sizes)) - len(sizes)):
        open_ = [size / (seat + 1) if seat < size else 0.0 for size, seat in zip(sizes, seats, strict=True)]
        seats[int(np.argmax(open_))] += 1
    return seats
