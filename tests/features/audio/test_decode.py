"""Reading sounds."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from features.audio.decode import SAMPLE_RATE, decode_audio
from features.base import MediaError
from features.decoding.ffmpeg import audio_header, open_media, video_stream
from features.decoding.limited_process import run_limited
from tests.features.conftest import panned, sine, texture

MakeFile = Callable[..., Path]


def refused(path: Path, **options: float) -> MediaError:
    with pytest.raises(MediaError) as error:
        decode_audio(path, **options)
    assert str(path.parent) not in str(error.value)
    return error.value


def test_samples_are_those_of_the_file(make_wav: MakeFile) -> None:
    samples = sine(440)
    decoded = decode_audio(make_wav(samples))
    np.testing.assert_allclose(decoded.samples, samples, atol=1e-4)
    assert (decoded.sample_rate, decoded.duration_s, decoded.truncated) == (22050, 2.0, False)


def test_a_sound_within_the_limit_is_read_whole(make_wav: MakeFile) -> None:
    decoded = decode_audio(make_wav(sine(440, seconds=3.0)), max_seconds=3.0)
    assert (decoded.duration_s, decoded.truncated, decoded.header_duration_s) == (3.0, False, 3.0)


def test_windows_lie_in_the_middle_of_equal_parts(make_wav: MakeFile) -> None:
    """Three windows of 12 s: parts of 4 s, so that seconds 1.5, 5.5 and 9.5 begin them."""
    samples = np.concatenate([sine(frequency, 4.0) for frequency in (300, 900, 2700)])
    decoded = decode_audio(make_wav(samples), max_seconds=6.0, window_s=1.0, windows=3)
    expected = np.concatenate([samples[int(at * SAMPLE_RATE) :][:SAMPLE_RATE] for at in (1.5, 5.5, 9.5)])
    np.testing.assert_allclose(decoded.samples, expected, atol=1e-4)
    assert (decoded.truncated, decoded.header_duration_s) == (True, 12.0)


def test_windows_share_what_may_be_read(make_wav: MakeFile) -> None:
    path = make_wav(sine(440, seconds=4.0))
    assert decode_audio(path, max_seconds=1.5, window_s=10.0, windows=3).duration_s == 1.5
    assert decode_audio(path, max_seconds=1.5, windows=1).duration_s == 1.5
    assert decode_audio(path, max_seconds=1.5, windows=1).truncated


def test_sound_track_of_a_film(make_wav: MakeFile, make_film: MakeFile) -> None:
    film = make_film(panned(step=2), "film.mkv", "-c:a", "pcm_s16le", "-shortest", sound=make_wav(sine(440)))
    assert decode_audio(film).duration_s == pytest.approx(1.2, abs=0.1)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.ogg").reason == "missing"


def test_time_limit(make_wav: MakeFile) -> None:
    assert refused(make_wav(sine(440)), timeout_s=0.001).reason == "timeout"
    with pytest.raises(MediaError, match="timeout"):
        run_limited(("sleep", "30"), timeout_s=0.05)


def test_cover_art_is_no_film(make_wav: MakeFile, tmp_path: Path) -> None:
    Image.fromarray(texture(64, 64)).save(tmp_path / "cover.png")
    inputs = ("-i", str(make_wav(sine(440))), "-i", str(tmp_path / "cover.png"))
    art = ("-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic")
    subprocess.run((get_ffmpeg_exe(), "-v", "error", *inputs, *art, str(tmp_path / "song.mp3")), check=True, timeout=30)
    with open_media(tmp_path / "song.mp3") as container:
        assert len(container.streams.video) == 1
        assert video_stream(container) is None
    assert audio_header(tmp_path / "song.mp3").sample_rate == 22050
