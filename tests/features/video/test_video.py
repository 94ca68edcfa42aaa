"""Reading films, and what the film encoders make of them."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from features.base import MediaError
from features.registry import encoder
from features.video.decode import decode_video
from features.video.motion.frame_motion import DIM as MOTION_DIM
from tests.features import tiny_onnx
from tests.features.conftest import panned, sine, texture

MakeFile = Callable[..., Path]
LOSSLESS = ("-c:v", "ffv1")


def greys(levels: np.ndarray, side: int = 64) -> np.ndarray:
    """One plain grey frame a level."""
    return np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (len(levels), side, side, 3)).copy()


def levels(frames: np.ndarray) -> np.ndarray:
    return frames[..., 100, 100, 0].astype(int)


def made(name: str, **parameters: Any) -> Any:
    """A film encoder with a quick image encoder and without sound and detector, unless they are asked for."""
    return encoder("video", name, **({"appearance": {"name": "hog"}, "sound": None, "detector": None} | parameters))


def test_frames_are_taken_at_a_fixed_rate(make_film: MakeFile) -> None:
    film = decode_video(make_film(greys(np.arange(200)), "film.mkv", *LOSSLESS), rate=2.5, moments=99)
    assert film.pairs.shape == (20, 2, 224, 224, 3)
    assert film.pairs.dtype == np.uint8
    np.testing.assert_allclose(film.times, 0.4 * np.arange(20), atol=2e-3)
    np.testing.assert_allclose(levels(film.pairs)[:, 0], 10 * np.arange(20), atol=1)
    np.testing.assert_allclose(film.gaps, 0.08, atol=2e-3)
    np.testing.assert_allclose(levels(film.pairs)[:, 1] - levels(film.pairs)[:, 0], 2, atol=1)
    assert (film.fps, film.duration_s) == (pytest.approx(25, 0.01), pytest.approx(8.0))
    assert (film.has_audio, film.truncated) == (False, False)


def test_of_more_frames_than_wanted_an_even_choice_is_kept(make_film: MakeFile) -> None:
    film = decode_video(make_film(greys(np.arange(200)), "film.mkv", *LOSSLESS), rate=5, moments=4)
    np.testing.assert_allclose(film.times, [1, 3, 5, 7], atol=0.01)


def test_of_a_long_film_pieces_are_read(make_film: MakeFile) -> None:
    path = make_film(greys(np.arange(200)), "film.mkv", *LOSSLESS, "-g", "5")
    film = decode_video(path, max_seconds=2.0, pieces=4)
    assert film.truncated
    assert film.duration_s == pytest.approx(8.0, abs=0.3)
    assert sorted(set(np.round(film.times / 2.5).astype(int))) == [0, 1, 2, 3]
    np.testing.assert_allclose(levels(film.pairs)[:, 0], film.times * 25, atol=1)
    beginning = decode_video(path, max_seconds=2.0, pieces=1)
    assert (beginning.truncated, beginning.duration_s) == (True, pytest.approx(2.0))
    assert beginning.times.max() < 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_films(make_film: MakeFile, count: int) -> None:
    frames = made("frame-sequence")
    film = frames.decode(make_film(greys(np.arange(count) * 50), "film.mkv", *LOSSLESS))
    row = frames.encode([film]).to_pylist()[0]
    assert (row["frames"], row["scenes"]) == (1, 1)
    assert row["duration_s"] == pytest.approx(count / 25)
    assert (row["motion_source"] is None) == (count < 3)  # a second frame 0.08 s later, or none
    assert (row["motion_histogram"] is None) == (count < 3)


def test_odd_sizes_and_rotation(make_film: MakeFile) -> None:
    frames = np.zeros((20, 101, 57, 3), np.uint8)
    frames[:, :50] = (255, 0, 0)
    odd = decode_video(make_film(frames, "odd.avi", "-c:v", "mjpeg", "-pix_fmt", "yuvj444p", "-q:v", "2"))
    assert (odd.width, odd.height, odd.aspect) == (57, 101, pytest.approx(57 / 101))
    assert odd.pairs[0, 0, 30, 112, 0] > 200
    plain = make_film(frames[:, :100, :56], "plain.mp4")
    turned = plain.with_name("turned.mp4")
    copy = ("-display_rotation:v:0", "90", "-i", str(plain), "-c", "copy", str(turned))
    subprocess.run((get_ffmpeg_exe(), "-v", "error", *copy), check=True, timeout=30)
    film = decode_video(turned)
    assert (film.width, film.height, film.aspect) == (56, 100, pytest.approx(100 / 56))
    assert film.pairs[0, 0, 112, 30, 0] > 200
    assert film.pairs[0, 0, 112, 200, 0] < 50


def test_variable_frame_rate(make_film: MakeFile) -> None:
    """50 frames in the first second, one in each of the three after it: frames are taken by time, not by number."""
    times = "settb=1/1000,setpts='if(lt(N,50),N/50,N-49)/TB'"
    options = ("-vf", times, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", *LOSSLESS)
    film = decode_video(make_film(greys(np.arange(53) * 4), "vfr.mkv", *options))
    np.testing.assert_allclose(film.times, [0, 0.26, 0.5, 0.76, 1, 2, 3], atol=0.01)
    np.testing.assert_allclose(levels(film.pairs)[:, 0], [0, 52, 100, 152, 200, 204, 208], atol=2)
    assert film.fps == pytest.approx(53 / film.duration_s)


def test_a_time_limit(make_film: MakeFile) -> None:
    with pytest.raises(MediaError, match="timeout"):
        decode_video(make_film(greys(np.arange(9))), timeout_s=1e-9)


def test_sequence_holds_the_frames_embeddings(make_film: MakeFile) -> None:
    frames = made("frame-sequence", rate=2.5)
    paths = [make_film(panned(20, step=step), f"{step}.mkv", *LOSSLESS) for step in (0, 2, 4)]
    with ThreadPoolExecutor(2) as pool:
        films = list(pool.map(frames.decode, paths))
    for film, row in zip(films, frames.encode(films).to_pylist(), strict=True):
        sequence = np.array(row["sequence"], np.float32).reshape(row["frames"], frames.appearance.dim)
        np.testing.assert_array_equal(sequence, frames.appearance.embed(film.pairs[:, 0]))
        np.testing.assert_allclose(row["vector"][:-MOTION_DIM], sequence.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(row["frame_times_s"], [0, 0.4], atol=2e-3)
        assert (row["width"], row["height"], row["frames"]) == (192, 192, 2)
        assert (row["objects"], row["audio_vector"], row["has_audio"]) == (None, None, False)


def test_a_mean_of_frames_stands_in_its_image_encoder_s_space(make_film: MakeFile, tmp_path: Path) -> None:
    """Frames of two greys, 51 and 153 of 255, two of each: their mean is 0.4 of white, and the colours sum to 1.2."""
    pictures = {"weights": tiny_onnx.image(tmp_path / "model.onnx"), "output": "embeds", "size": tiny_onnx.SIDE}
    means = made("frame-mean", appearance={"name": "onnx", "parameters": pictures | {"space": "clip"}}, rate=2.5)
    film = means.decode(make_film(greys(np.array([51] * 20 + [153] * 20)), "film.mkv", *LOSSLESS))
    (vector,) = means.encode([film])["vector"].to_pylist()
    np.testing.assert_allclose(vector, [0.4, 0.4, 0.4, 1.2], atol=0.01)
    assert means.space == "clip"


def test_the_sound_track_has_the_sound_encoders_vector(make_film: MakeFile, make_wav: MakeFile) -> None:
    frames = made("frame-sequence", sound={"name": "mel-mfcc"})
    paths = [
        make_film(panned(step=2), "sound.mkv", sound=make_wav(sine(440))),
        make_film(panned(step=2), "none.mkv"),
        make_film(panned(step=2), "other.mkv", sound=make_wav(sine(880))),
    ]
    rows = frames.encode([frames.decode(path) for path in paths]).to_pylist()
    heard = encoder("audio", "mel-mfcc")
    for path, row in zip(paths, rows, strict=True):
        expected = None
        if row["has_audio"]:
            expected = heard.encode([heard.decode(path)])["vector"].to_pylist()[0]
        assert row["audio_vector"] == expected
    assert [row["has_audio"] for row in rows] == [True, False, True]


def test_a_film_backwards_has_another_vector_where_order_counts(make_film: MakeFile) -> None:
    scenes = np.stack([texture(64, 64, seed=i // 10) // (1 + i // 10) for i in range(40)])
    paths = [make_film(film, f"{i}.mkv", *LOSSLESS) for i, film in enumerate((scenes, scenes[::-1]))]
    vectors = {}
    for name in ("frame-sequence", "frame-rnn"):
        used = made(name, rate=2.5, moments=8)
        batch = used.encode([used.decode(path) for path in paths])
        vectors[name] = np.array(batch["vector"].to_pylist(), np.float32)[:, :-MOTION_DIM]
    forwards, backwards = vectors["frame-sequence"]
    np.testing.assert_allclose(forwards, backwards, atol=1e-4)
    last_and_mean = vectors["frame-rnn"].reshape(2, 2, 512)
    difference = np.linalg.norm(last_and_mean[0] - last_and_mean[1], axis=1)
    assert (difference > 0.1 * np.linalg.norm(last_and_mean[0], axis=1)).all()


def test_old_frames_fade_from_the_state() -> None:
    """The echo state property: after different beginnings, the same later frames lead to the same state."""
    from features.video.recurrent import CONTRACTION, _network

    random = np.random.default_rng(0)
    frames = random.normal(size=(2, 80, 6)).astype(np.float32)
    frames[1, 20:] = frames[0, 20:]
    last, mean = _network(80, 6, 32, "float32").predict_on_batch([frames, np.ones((2, 80), np.float32)])
    farthest = 2 * np.sqrt(32)
    assert np.linalg.norm(last[0] - last[1]) < farthest * CONTRACTION**60
    assert np.linalg.norm(mean[0] - mean[1]) > 0.1


def test_padding_leaves_no_trace() -> None:
    from features.video.recurrent import _network

    frames = np.random.default_rng(0).normal(size=(1, 5, 6)).astype(np.float32)
    exact = _network(5, 6, 8, "float32").predict_on_batch([frames, np.ones((1, 5), np.float32)])
    padded = np.concatenate([frames, np.full((1, 3, 6), 7, np.float32)], axis=1)
    there = np.array([[1, 1, 1, 1, 1, 0, 0, 0]], np.float32)
    for one, other in zip(exact, _network(8, 6, 8, "float32").predict_on_batch([padded, there]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_any_image_encoder_sees_the_frames(make_film: MakeFile) -> None:
    path = make_film(panned(20, step=2))
    for name in ("hog", "efficientnet-lite0"):
        used = made("frame-sequence", appearance={"name": name})
        row = used.encode([used.decode(path)]).to_pylist()[0]
        width = encoder("image", name).dim
        assert len(row["vector"]) == used.dim == width + MOTION_DIM
        assert len(row["sequence"]) == row["frames"] * width


def test_fingerprint_follows_the_encoders_within() -> None:
    choices: list[dict[str, Any]] = [
        {},
        {"appearance": {"name": "efficientnet-lite0"}},
        {"appearance": {"name": "hog", "parameters": {"fit": "crop"}}},
        {"sound": {"name": "mel-mfcc"}},
        {"sound": {"name": "mel-mfcc", "parameters": {"max_seconds": 9.0}}},
        {"detector": "features.video.faces:faces"},
        {"rate": 3.0},
        {"pieces": 3},
    ]
    assert len({made("frame-sequence", **choice).fingerprint for choice in choices}) == len(choices)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rate": 0}, "rate is 0"),
        ({"moments": 0}, "moments is 0"),
        ({"max_seconds": float("nan")}, "max_seconds is nan"),
        ({"max_seconds": 3600.0}, "14400 frames to look at"),
        ({"appearance": "hog"}, "chosen as"),
        ({"appearance": {"name": "hog", "fit": "crop"}}, "chosen as"),
        ({"appearance": {"name": "nothing"}}, "'nothing'"),
        ({"detector": "features.video.faces"}, "module:object"),
        ({"detector": "features.video.nowhere:faces"}, "nowhere"),
        ({"detector": "math:pi"}, "callable"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _ = made("frame-sequence", **parameters).fingerprint
