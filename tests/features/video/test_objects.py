"""Counting objects: the place where a detector plugs in, and the one for faces."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.registry import encoder
from features.video.decode import decode_video
from features.video.faces import faces
from features.video.objects import count_objects
from tests.features.conftest import texture

MakeFile = Callable[..., Path]


class Reds:
    """Counts what is red in a frame; "wide" is a frame that is wider than high."""

    fingerprint = "reds 1"

    def __call__(self, frames: np.ndarray) -> list[dict[str, int]]:
        red = (frames[:, 100, 100] > (200, 60, 60)).tolist()
        wide = int(frames.shape[2] > frames.shape[1])
        return [
            ({"red": 2 if index else 1} if r and not g else {}) | {"wide": wide} for index, (r, g, _) in enumerate(red)
        ]


reds = Reds()


def test_a_detector_of_ones_own(make_film: MakeFile) -> None:
    """The most at once of each class, from frames in the film's own proportions."""
    frames = np.zeros((30, 48, 96, 3), np.uint8)
    frames[:20] = (255, 0, 0)
    used = encoder(
        "video",
        "frame-sequence",
        appearance={"name": "hog"},
        sound=None,
        detector="tests.features.video.test_objects:reds",
    )
    row = used.encode([used.decode(make_film(frames, "film.mkv", "-c:v", "ffv1"))]).to_pylist()[0]
    assert row["objects"] == [("red", 2), ("wide", 1)]


def test_no_face_in_a_texture(make_film: MakeFile) -> None:
    film = decode_video(make_film(np.stack([texture(64, 96)] * 3)))
    assert count_objects(faces, film) == {}


def test_frames_that_are_too_narrow_have_no_face() -> None:
    assert faces(np.zeros((2, 224, 20, 3), np.uint8)) == [{}, {}]
    assert faces(np.zeros((0, 224, 224, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("asl_gestures-night.mkv", {"face": 1}),
        ("asl_gestures-please.mkv", {"face": 1}),
        ("mdn-flower.mp4", {}),
        ("mdn-bug_video_640.mp4", {}),
        ("intel-bottle-detection.mp4", {}),
    ],
)
def test_real_faces(stamps: Path, name: str, seen: dict[str, int]) -> None:
    assert count_objects(faces, decode_video(stamps / "video" / f"clip-{name}")) == seen
