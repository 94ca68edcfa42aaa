"""Counting the objects in a film by class, with a detector that can be replaced.

A detector is a callable object that is given frames uint8 [n, h, w, 3], RGB, in their natural proportions, and returns
a list of n dicts from class names to counts. Its attribute `fingerprint` is a string that changes with everything that
may change its results (weights, thresholds). An encoder is given one by name, as `module:object`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol

import numpy as np
from PIL import Image

from features.video.decode import Film

FACES = "features.video.faces:faces"
"""The built-in detector."""
_WIDEST = 4.0


class Detector(Protocol):
    """The interface of a detector, as described above."""

    @property
    def fingerprint(self) -> str: ...

    def __call__(self, frames: np.ndarray) -> Sequence[Mapping[str, int]]: ...


def load_detector(name: str) -> Detector:
    """The detector called `name`, as `module:object`.

    Raises:
        ValueError: there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"no detector at {name!r} ({error}); give one as module:object") from error
    if not callable(found) or not isinstance(getattr(found, "fingerprint", None), str):
        raise ValueError(f"{name!r} is no detector; it must be callable and have a string `fingerprint`")
    return found


def count_objects(detector: Detector, film: Film) -> dict[str, int]:
    """The largest number of objects of each class in any one of the film's frames, classes in alphabetical order.

    Classes that occur in no frame are left out.
    """
    most: Counter[str] = Counter()
    for found in detector(_unsquashed(film)):
        most |= Counter(found)
    return dict(sorted(most.items()))


def _unsquashed(film: Film) -> np.ndarray:
    """The film's frames in their displayed proportions (at most 4:1), uint8 [n, side, w, 3]."""
    frames = film.pairs[:, 0]
    side = frames.shape[1]
    size = (round(side * min(max(film.aspect, 1 / _WIDEST), _WIDEST)), side)
    return np.array([np.asarray(Image.fromarray(frame).resize(size)) for frame in frames])
