"""Object detector for frontal faces, by the cascade that ships with scikit-image."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from features.weights import file_sha256, package_file

if TYPE_CHECKING:
    from skimage.feature import Cascade

_FRAMES = 4
_HEIGHT = 160
_SMALLEST = 24
_SCALE, _STEP = 1.2, 1.5


class Faces:
    """Counts frontal faces in at most 4 of a film's frames, spread evenly; the other frames count as empty.

    A boosted cascade over local binary patterns (Zhang et al. 2007, trained by OpenCV), on frames of 160 pixels height,
    in which a face must be 24 pixels high. Precision is high, recall is not: the 65 faces found on 400 film posters all
    were faces; in films of a person who faces the camera it found one in 16 of 20.
    """

    @property
    def fingerprint(self) -> str:
        return f"{file_sha256(_cascade_file())[:12]} {_FRAMES} {_HEIGHT} {_SMALLEST} {_SCALE} {_STEP}"

    def __call__(self, frames: np.ndarray) -> list[dict[str, int]]:
        """The number of faces in each of `frames` uint8 [n, h, w, 3], as `{"face": 2}`; `{}` where there are none."""
        chosen = {int((place + 0.5) * len(frames) / _FRAMES) for place in range(_FRAMES)} if len(frames) else set()
        numbers = [_faces(frame) if index in chosen else 0 for index, frame in enumerate(frames)]
        return [{"face": number} if number else {} for number in numbers]


faces = Faces()


def _faces(frame: np.ndarray) -> int:
    height, width = frame.shape[:2]
    picture = Image.fromarray(frame).convert("L").resize((max(1, round(_HEIGHT * width / height)), _HEIGHT))
    if picture.width < _SMALLEST:
        return 0
    return len(
        _cascade().detect_multi_scale(
            img=np.array(picture),
            scale_factor=_SCALE,
            step_ratio=_STEP,
            min_size=(_SMALLEST, _SMALLEST),
            max_size=(_HEIGHT, _HEIGHT),
        )
    )


@cache
def _cascade() -> "Cascade":
    """The cascade, loaded at the first call of a process."""
    from skimage.feature import Cascade

    return Cascade(str(_cascade_file()))


def _cascade_file() -> Path:
    return package_file("skimage", "data/lbpcascade_frontalface_opencv.xml")
