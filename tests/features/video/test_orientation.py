"""Films whose display matrix turns or mirrors them stand as players show them."""

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from features.registry import encoder
from features.video.decode import Film, decode_video
from features.video.motion.columns import motion_columns
from features.video.orientation import Orientation, matrix_orientation
from tests.features.conftest import panned, sine, texture

MakeFile = Callable[..., Path]
ONE = 1 << 16
EIGHT = [(degrees, flips) for degrees in (0, 90, 180, 270) for flips in ((), ("-display_hflip:v:0",))]
CODED = {
    "h264.mp4": ("-c:v", "libx264", "-bf", "0"),
    "mjpeg.mov": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "2"),
    "prores.mov": ("-c:v", "prores", "-pix_fmt", "yuv422p10le"),
    "rgb.mov": ("-c:v", "qtrle", "-pix_fmt", "rgb24"),
}


def ffmpeg(*arguments: object) -> None:
    subprocess.run((get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)), check=True, timeout=60)


def with_matrix(plain: Path, degrees: int, *flips: str) -> Path:
    """The same film with a display matrix."""
    path = plain.with_name(f"matrix-{plain.name}")
    ffmpeg("-display_rotation:v:0", degrees, *flips, "-i", plain, "-c", "copy", path)
    return path


def as_played(path: Path, *options: str) -> Path:
    """The film as ffmpeg shows it, its pixels turned, without a display matrix."""
    played = path.with_name(f"played-{path.name}")
    ffmpeg("-i", path, *options, played)
    return played


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "turns", "mirrored"),
    [
        (1, 0, 0, 1, 0, False),
        (0, -1, 1, 0, 1, False),  # right becomes up
        (-1, 0, 0, -1, 2, False),
        (0, 1, -1, 0, 3, False),  # right becomes down
        (-1, 0, 0, 1, 0, True),
        (0, 1, 1, 0, 1, True),  # a transposition: mirrored left becomes down
        (1, 0, 0, -1, 2, True),
        (0, -1, -1, 0, 3, True),
        (0.5, 0, 0, 2, 0, False),  # scaled
        (-3, 0, 0, 1, 0, True),
        (0.9, -0.44, 0.44, 0.9, 0, False),  # 26 degrees
        (0.5, -0.87, 0.87, 0.5, 1, False),  # 60 degrees
        (0, 0, 0, 0, 0, False),
    ],
)
def test_display_matrix_by_hand(a: float, b: float, c: float, d: float, turns: int, mirrored: bool) -> None:
    matrix = np.array([a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30], np.int32)
    assert matrix_orientation(matrix) == Orientation(turns, mirrored)


@pytest.mark.parametrize(("degrees", "flips"), EIGHT)
@pytest.mark.parametrize("name", CODED)
def test_a_film_stands_and_moves_as_it_is_played(
    make_film: MakeFile, name: str, degrees: int, flips: tuple[str, ...]
) -> None:
    """The stored picture, 192 x 128, moves left by 4 pixels a frame."""
    path = with_matrix(make_film(panned(20, step=4)[:, :128], name, *CODED[name]), degrees, *flips)
    film, played = decode_video(path), decode_video(as_played(path, *CODED[name]))
    assert film.times.tolist() == played.times.tolist()
    # Most of it comes from coding the turned pixels again, chroma at half width in particular.
    assert np.abs(film.pairs.astype(float) - played.pairs).mean() < 6
    assert (film.width, film.height) == (192, 128)
    assert (film.aspect, played.aspect) == (pytest.approx(played.width / played.height),) * 2
    row, expected = motion_columns(film), motion_columns(played)
    assert row["motion_source"] == expected["motion_source"] == ("codec" if name == "h264.mp4" else "frames")
    for column in ("motion_right_px", "motion_down_px"):
        assert row[column] == pytest.approx(expected[column], abs=0.15)
    assert np.hypot(row["motion_right_px"], row["motion_down_px"]) == pytest.approx(4, abs=0.15)
    assert row["motion_speed"] == pytest.approx(expected["motion_speed"], rel=0.05)
    assert int(np.argmax(row["motion_histogram"])) == int(np.argmax(expected["motion_histogram"]))


def test_motion_of_a_mirrored_film_by_hand(make_film: MakeFile) -> None:
    path = with_matrix(make_film(panned(20, step=4), "film.mp4"), 0, "-display_hflip:v:0")
    row = motion_columns(decode_video(path))
    assert row["motion_right_px"] == pytest.approx(4, abs=0.15)
    assert row["motion_down_px"] == pytest.approx(0, abs=0.05)


def test_upside_down_and_mirrored_is_mirrored_top_to_bottom(make_film: MakeFile) -> None:
    frames = np.zeros((10, 64, 96, 3), np.uint8)
    frames[:, :32, :48] = (255, 0, 0)
    plain = make_film(frames, "film.mov", "-c:v", "qtrle", "-pix_fmt", "rgb24")
    shown = decode_video(with_matrix(plain, 0, "-display_vflip:v:0")).pairs[0, 0]
    assert shown[180, 50].tolist() == [255, 0, 0]
    assert not shown[50, 50].any()
    assert not shown[180, 180].any()


def test_motion_grid_by_hand() -> None:
    """A cell at the top left that goes right by 2 and down by 1, in a grid of zeros."""
    grid = np.zeros((8, 8, 2), np.float32)
    grid[0, 0] = (2, 1)
    mirrored = Orientation(mirrored=True).motion(grid)
    assert mirrored[0, 7].tolist() == [-2, 1]
    quarter = Orientation(turns=1).motion(grid)
    assert quarter[7, 0].tolist() == [1, -2]
    both = Orientation(turns=1, mirrored=True).motion(grid)  # mirrored, then a quarter: the transposition
    assert both[0, 0].tolist() == [1, 2]


def test_orientation_of_photos_that_make_a_film(tmp_path: Path) -> None:
    """Their EXIF block becomes side data that PyAV can't list; the rotation is known all the same."""
    picture = Image.fromarray(texture(64, 96))
    exif = picture.getexif()
    exif[0x0112] = 6  # a quarter turn clockwise
    stored = BytesIO()
    picture.save(stored, "JPEG", exif=exif, quality=95)
    (tmp_path / "photos").write_bytes(stored.getvalue() * 5)
    ffmpeg("-f", "mjpeg", "-i", tmp_path / "photos", "-c", "copy", tmp_path / "film.avi")
    film = decode_video(tmp_path / "film.avi")
    expected = np.asarray(picture.rotate(-90, expand=True).resize((224, 224), Image.Resampling.BICUBIC))
    assert np.abs(film.pairs[0, 0].astype(float) - expected).mean() < 8
    assert film.sideways


def described(film: Film) -> tuple[bool, bool]:
    return film.has_audio, film.sound is not None


def test_sound_of_the_first_track_that_can_be_decoded(make_film: MakeFile, make_wav: MakeFile) -> None:
    plain = make_film(panned(step=2), "plain.mov", "-c:a", "pcm_s16be", sound=make_wav(sine(440)))
    ffmpeg("-i", plain, "-i", make_wav(sine(880), "other.wav"), *("-map", "0", "-map", "1", "-c:v", "copy"),
           *("-c:a", "pcm_s16be"), plain.with_name("two.mov"))  # fmt: skip
    two = plain.with_name("two.mov")
    two.write_bytes(two.read_bytes().replace(b"twos", b"apac", 1))
    frames = encoder("video", "frame-sequence", appearance={"name": "hog"}, detector=None)
    film = frames.decode(two)
    assert described(film) == (True, True)
    heard = encoder("audio", "mel-mfcc")
    expected = heard.vectors([heard.decode(plain.with_name("other.wav"))])[0]
    row = frames.encode([film]).to_pylist()[0]
    assert row["has_audio"]
    np.testing.assert_allclose(row["audio_vector"], expected, atol=1e-4)
    two.write_bytes(two.read_bytes().replace(b"twos", b"apac"))
    assert described(frames.decode(two)) == (True, False)
