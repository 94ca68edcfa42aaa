import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from features.base import MediaError
from features.image import cnn
from features.registry import encoder
from features.video.decode import decode_video
from features.video.motion import DIM, mean_change, motion
from tests.features.conftest import panned, sine, texture

MakeFile = Callable[..., Path]


def refused(path: Path) -> MediaError:
    with pytest.raises(MediaError) as error:
        decode_video(path)
    assert str(path.parent) not in str(error.value)
    return error.value


def greys(levels: np.ndarray, side: int = 64) -> np.ndarray:
    """One plain grey frame a level."""
    return np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (len(levels), side, side, 3)).copy()


def test_frames_are_spread_evenly(make_film: MakeFile) -> None:
    film = decode_video(make_film(greys(np.arange(200)), "film.mkv", "-c:v", "ffv1"), moments=8)
    assert film.pairs.shape == (8, 2, 224, 224, 3)
    assert film.pairs.dtype == np.uint8
    levels = film.pairs[:, :, 100, 100, 0].astype(int)
    np.testing.assert_allclose(levels[:, 0], np.arange(8) * 25, atol=3)
    np.testing.assert_allclose(levels[:, 1] - levels[:, 0], 2, atol=1)  # 0.08 s at 25 frames a second
    assert (film.fps, film.gap_s, film.duration_s) == (pytest.approx(25, 0.01), pytest.approx(0.08, 0.01), 8.0)
    assert (film.has_audio, film.truncated) == (False, False)


def test_long_films_are_cut_and_say_so(make_film: MakeFile) -> None:
    path = make_film(greys(np.arange(200)), "film.mkv", "-c:v", "ffv1")
    film = decode_video(path, moments=4, max_seconds=2.0)
    assert film.truncated
    assert film.duration_s == 2.0
    assert film.pairs[:, 0, 100, 100, 0].max() < 50


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_films(make_film: MakeFile, count: int) -> None:
    film = decode_video(make_film(greys(np.arange(count) * 50), "film.mkv", "-c:v", "ffv1"))
    assert 1 <= len(film.pairs) <= 2
    assert np.isfinite(motion(film.pairs, film.gap_s)).all()


def test_odd_sizes_and_rotation(make_film: MakeFile) -> None:
    frames = np.zeros((20, 101, 57, 3), np.uint8)
    frames[:, :50] = (255, 0, 0)
    options = ("-c:v", "mjpeg", "-pix_fmt", "yuvj444p", "-q:v", "2")
    odd = decode_video(make_film(frames, "odd.avi", *options))
    assert (odd.width, odd.height) == (57, 101)
    assert odd.pairs[0, 0, 30, 112, 0] > 200
    plain = make_film(frames[:, :100, :56], "plain.mp4")
    turned = plain.with_name("turned.mp4")
    copy = ("-display_rotation:v:0", "90", "-i", str(plain), "-c", "copy", str(turned))
    subprocess.run((get_ffmpeg_exe(), "-v", "error", *copy), check=True, timeout=30)
    upright = decode_video(turned).pairs[0, 0]
    assert upright[112, 30, 0] > 200
    assert upright[112, 200, 0] < 50


def test_variable_frame_rate(make_film: MakeFile) -> None:
    """50 frames in the first second, one in each of the three after it: moments follow time, not frames."""
    times = "setpts='if(lt(N,50),N/50,N-49)/TB'"
    film = decode_video(
        make_film(greys(np.arange(53) * 4), "vfr.mkv", "-vf", times, "-fps_mode", "passthrough", "-c:v", "ffv1"),
        moments=4,
    )
    firsts = film.pairs[:, 0, 0, 0, 0].tolist()
    assert firsts[0] == 0
    assert firsts[1] == pytest.approx(0.76 * 50 * 4, abs=3)  # a quarter of 3.04 s
    assert firsts[-1] >= 200


@pytest.mark.parametrize("name", ["-y.mp4", "a:b.mp4", "100%d.mp4", "two words.mp4", "new\nline.mp4", "\U0001f438.mp4"])
def test_any_file_name(make_film: MakeFile, name: str) -> None:
    path = make_film(panned(10, step=2), "plain.mp4")
    assert len(decode_video(path.rename(path.with_name(name))).pairs) > 0


def test_sound_track_is_seen(make_film: MakeFile, make_wav: MakeFile) -> None:
    assert decode_video(make_film(panned(step=2), "film.mkv", sound=make_wav(sine(440)))).has_audio
    assert refused(make_wav(sine(440))).reason == "no-video"


def test_what_is_no_film_is_refused(make_film: MakeFile, tmp_path: Path) -> None:
    film = make_film(panned(step=2), "film.mp4")
    for content, reason in ((b"", "empty"), (b"a text", "undecodable"), (film.read_bytes()[:2000], "undecodable")):
        (tmp_path / "bad.mp4").write_bytes(content)
        assert refused(tmp_path / "bad.mp4").reason == reason
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{film}'\n")
    assert refused(tmp_path / "list.mp4").reason in ("unknown-format", "undecodable")
    assert refused(tmp_path / "nowhere.mp4").reason == "missing"


def test_a_film_that_ends_too_early_gives_what_it_has(make_film: MakeFile) -> None:
    whole = make_film(panned(60, step=2), "film.mkv", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p").read_bytes()
    cut = make_film(panned(1, step=2), "cut.mkv")
    cut.write_bytes(whole[: len(whole) // 2])
    film = decode_video(cut)
    assert len(film.pairs) > 4
    assert film.duration_s < 2.0


def test_a_panned_film_moves_the_other_way(make_film: MakeFile) -> None:
    """The window goes right by 4 of 192 pixels every 1/25 s, so the picture goes left by 0.52 widths a second."""
    film = decode_video(make_film(panned(step=4), "film.mkv", "-c:v", "ffv1"))
    camera = motion(film.pairs, film.gap_s)[6:20]
    assert camera[0] == pytest.approx(-4 * 25 / 192, rel=0.03)  # right
    assert camera[1] == pytest.approx(0, abs=0.01)  # down
    assert camera[2] == pytest.approx(4 * 25 / 192, rel=0.03)  # speed
    assert camera[5] == 1  # every pair moves
    assert int(np.argmax(camera[6:])) == 4  # left is the fifth of eight directions
    assert mean_change(film.pairs) > 0.01


def disc(x: int, y: int) -> np.ndarray:
    rows, columns = np.mgrid[:224, :224]
    inside = (columns - x) ** 2 + (rows - y) ** 2 < 30**2
    return np.where(inside[..., None], np.uint8(220), texture(224, 224) // 8)


def test_a_thing_that_moves_before_a_fixed_camera() -> None:
    """Down by 8 of 224 pixels in 0.08 s: 0.45 heights a second."""
    pairs = np.stack([[disc(112, 60 + 8 * i), disc(112, 68 + 8 * i)] for i in range(12)])
    thing = motion(pairs, 0.08)[20:34]
    assert thing[1] == pytest.approx(8 / 224 / 0.08, rel=0.2)
    assert int(np.argmax(thing[6:])) == 2  # down


def test_a_still_film_has_no_motion() -> None:
    still = np.broadcast_to(texture(224, 224), (5, 2, 224, 224, 3))
    np.testing.assert_array_equal(motion(still, 0.08), np.zeros(DIM, np.float32))
    assert mean_change(still) == 0


def test_sequence_holds_the_frames_embeddings(make_film: MakeFile) -> None:
    frames = encoder("video", "frame-sequence", moments=4)
    paths = [make_film(panned(20, step=step), f"{step}.mkv", "-c:v", "ffv1") for step in (0, 2, 4)]
    with ThreadPoolExecutor(2) as pool:
        films = list(pool.map(frames.decode, paths))
    for film, row in zip(films, frames.encode(films).to_pylist(), strict=True):
        sequence = np.array(row["sequence"], np.float32).reshape(row["frames"], cnn.DIM)
        np.testing.assert_array_equal(sequence, cnn.embed(film.pairs[:, 0]))
        np.testing.assert_allclose(row["vector"][: cnn.DIM], sequence.mean(axis=0), rtol=1e-5)
        assert (row["width"], row["height"], row["frames"]) == (192, 192, len(film.pairs))
