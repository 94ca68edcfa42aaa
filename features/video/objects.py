"""What is to be seen in a film, as counts by class: the place where a detector plugs in.

A detector is an object that is called with frames uint8 [n, h, w, 3], RGB, in their natural proportions, and returns a
list of n dicts from a class's name to how many of it are seen. Its attribute `fingerprint` is a string that changes
whenever its answers may (weights, thresholds). An encoder is given one by name, as `module:object`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol

import numpy as np
from PIL import Image

from features.video.decode import Film

FACES = "features.video.faces:faces"
"""The detector that is built in."""
_WIDEST = 4.0


class Detector(Protocol):
    """See the module."""

    @property
    def fingerprint(self) -> str: ...

    def __call__(self, frames: np.ndarray) -> Sequence[Mapping[str, int]]: ...


def detector_at(place: str) -> Detector:
    """The detector at `module:object`.

    Raises:
        ValueError: there is none.
    """
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"no detector at {place!r} ({error}); give one as module:object") from error
    if not callable(found) or not isinstance(getattr(found, "fingerprint", None), str):
        raise ValueError(f"{place!r} is no detector; it must be callable and have a string `fingerprint`")
    return found


def counts(detector: Detector, film: Film) -> dict[str, int]:
    """The most of each class that are seen at once in one of the film's frames; classes never seen are left out."""
    most: Counter[str] = Counter()
    for seen in detector(_in_proportion(film)):
        most |= Counter(seen)
    return dict(sorted(most.items()))


def _in_proportion(film: Film) -> np.ndarray:
    """The film's frames, unsquashed: uint8 [n, side, w, 3]."""
    frames = film.pairs[:, 0]
    side = frames.shape[1]
    size = (round(side * min(max(film.aspect, 1 / _WIDEST), _WIDEST)), side)
    return np.array([np.asarray(Image.fromarray(frame).resize(size)) for frame in frames])
