"""Motion, measured from motion vectors and from frames."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from features.video.decode import Film, decode_video
from features.video.motion.columns import SPEEDS, motion_columns, motion_histogram
from features.video.motion.frame_motion import DIM, mean_difference, motion_statistics
from tests.features.conftest import panned, texture

MakeFile = Callable[..., Path]
CODED = {
    "h264.mp4": ("-c:v", "libx264"),
    "h264-p.mkv": ("-c:v", "libx264", "-bf", "0"),
    "mpeg4.avi": ("-c:v", "mpeg4"),
    "mpeg4-b.mp4": ("-c:v", "mpeg4", "-bf", "2"),
    "mpeg2.ts": ("-c:v", "mpeg2video"),
}
PLAIN = {
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime"),
    "mjpeg.mkv": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "ffv1.mkv": ("-c:v", "ffv1"),
    "picture.gif": ("-pix_fmt", "rgb8"),
}


def columns_of(make_film: MakeFile, frames: np.ndarray, name: str, *options: str) -> dict[str, Any]:
    return motion_columns(decode_video(make_film(frames, name, *options)))


@pytest.mark.parametrize("name", [*CODED, *PLAIN])
def test_a_pan_by_4_pixels_reads_4_pixels(make_film: MakeFile, name: str) -> None:
    """The camera goes right, so what it shows goes left: by 4 pixels a frame, 100 a second."""
    row = columns_of(make_film, panned(40, step=4), name, *(CODED | PLAIN)[name])
    assert row["motion_source"] == ("codec" if name in CODED else "frames")
    assert row["motion_right_px"] == pytest.approx(-4, abs=0.15)
    assert row["motion_down_px"] == pytest.approx(0, abs=0.05)
    assert row["motion_speed"] == pytest.approx(100 / np.hypot(192, 192), rel=0.06)
    left = 1 + 8 + 4  # after what is still and 8 slow directions, the fifth of the next
    assert row["motion_histogram"][left] > 0.9


@pytest.mark.parametrize("name", ["h264.mp4", "mjpeg.mkv"])
def test_what_moves_down_has_a_positive_y(make_film: MakeFile, name: str) -> None:
    frames = panned(40, step=4).swapaxes(1, 2)[::-1]
    row = columns_of(make_film, frames, name, *(CODED | PLAIN)[name])
    assert row["motion_down_px"] == pytest.approx(4, abs=0.15)
    assert row["motion_right_px"] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("name", ["h264.mp4", "mjpeg.mkv"])
def test_nothing_moves(make_film: MakeFile, name: str) -> None:
    row = columns_of(make_film, panned(30, step=0), name, *(CODED | PLAIN)[name])
    assert row["motion_speed"] < SPEEDS[0] / 4
    assert row["motion_histogram"][0] == 1
    assert row["motion_histogram"].sum() == 1


def test_motion_turns_with_the_picture(make_film: MakeFile) -> None:
    """Stored, the picture moves left; a quarter turn counterclockwise makes that down."""
    plain = make_film(panned(40, step=4), "plain.mp4")
    turned = plain.with_name("turned.mp4")
    copy = ("-display_rotation:v:0", "90", "-i", str(plain), "-c", "copy", str(turned))
    subprocess.run((get_ffmpeg_exe(), "-v", "error", *copy), check=True, timeout=30)
    row = motion_columns(decode_video(turned))
    assert row["motion_source"] == "codec"
    assert row["motion_down_px"] == pytest.approx(4, abs=0.15)


def test_a_film_of_one_frame_has_no_motion(make_film: MakeFile) -> None:
    assert set(columns_of(make_film, panned(1, step=0), "one.mp4").values()) == {None}


def test_histogram_by_hand() -> None:
    right, down_left, up = 0.0, 3 * np.pi / 4, -np.pi / 2
    shares = motion_histogram(np.array([0.01, 0.05, 0.2, 0.2]), np.array([1.0, right, down_left, up]))
    expected = np.zeros(25)
    expected[[0, 1 + 0, 1 + 8 + 3, 1 + 8 + 6]] = 0.25
    np.testing.assert_array_equal(shares, expected.astype(np.float32))
    fast = motion_histogram(np.array([0.5, 9.0]), np.array([np.pi, -np.pi]))
    assert fast[1 + 16 + 4] == 1


def test_both_sources_agree_on_a_real_film(stamps: Path) -> None:
    """The clouds of the cartoon go up slowly; without the film's motion vectors, frames give the same speed."""
    film = decode_video(stamps / "video" / "clip-bbb-video.mp4")
    coded = motion_columns(film)
    frames = motion_columns(Film(**(vars(film) | {"fields": film.fields[:0], "frame_s": film.frame_s[:0]})))
    assert (coded["motion_source"], frames["motion_source"]) == ("codec", "frames")
    assert coded["motion_down_px"] == pytest.approx(frames["motion_down_px"], abs=0.3)
    assert coded["motion_down_px"] < -0.5


def test_a_panned_film_moves_the_other_way(make_film: MakeFile) -> None:
    """The window goes right by 4 of 192 pixels every 1/25 s, so the picture goes left by 0.52 widths a second."""
    film = decode_video(make_film(panned(step=4), "film.mkv", "-c:v", "ffv1"))
    camera = motion_statistics(film.pairs, film.gaps)[6:20]
    assert camera[0] == pytest.approx(-4 * 25 / 192, rel=0.03)  # right
    assert camera[1] == pytest.approx(0, abs=0.01)  # down
    assert camera[2] == pytest.approx(4 * 25 / 192, rel=0.03)  # speed
    assert camera[5] == 1  # every pair moves
    assert int(np.argmax(camera[6:])) == 4  # left is the fifth of eight directions
    assert mean_difference(film.pairs, film.gaps) > 0.01


def disc(x: int, y: int) -> np.ndarray:
    rows, across = np.mgrid[:224, :224]
    inside = (across - x) ** 2 + (rows - y) ** 2 < 30**2
    return np.where(inside[..., None], np.uint8(220), texture(224, 224) // 8)


def test_a_thing_that_moves_before_a_fixed_camera() -> None:
    """Down by 8 of 224 pixels in 0.08 s: 0.45 heights a second."""
    pairs = np.stack([[disc(112, 60 + 8 * i), disc(112, 68 + 8 * i)] for i in range(12)])
    thing = motion_statistics(pairs, np.full(12, 0.08))[20:34]
    assert thing[1] == pytest.approx(8 / 224 / 0.08, rel=0.2)
    assert int(np.argmax(thing[6:])) == 2  # down


def test_a_still_film_has_no_motion() -> None:
    still = np.broadcast_to(texture(224, 224), (5, 2, 224, 224, 3))
    np.testing.assert_array_equal(motion_statistics(still, np.full(5, 0.08)), np.zeros(DIM, np.float32))
    assert mean_difference(still, np.full(5, 0.08)) == 0


def test_a_frame_without_a_partner_is_not_counted() -> None:
    pairs = np.stack([[disc(112, 60 + 8 * i), disc(112, 68 + 8 * i)] for i in range(3)])
    gaps = np.array([0.08, 0.08, 0.0])
    assert mean_difference(pairs, gaps) == mean_difference(pairs[:2], gaps[:2])
    np.testing.assert_array_equal(motion_statistics(pairs, np.zeros(3))[6:], np.zeros(DIM - 6))
