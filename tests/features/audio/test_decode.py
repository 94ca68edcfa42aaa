"""Reading sounds."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from features.audio.decode import MOST_CHANNELS, SAMPLE_RATE, decode_audio
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
    assert [track.sample_rate for track in audio_header(tmp_path / "song.mp3").tracks] == [22050]


def float_wav(path: Path, channels: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    """A WAV file of 32-bit floats [n, c], which may exceed full scale."""
    count, data = channels.shape[1], channels.astype("<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, count, rate, rate * 4 * count, 4 * count, 32)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def ffmpeg(*arguments: object) -> None:
    subprocess.run((get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)), check=True, timeout=60)


def loud(seconds: float = 0.5, rate: int = 44100) -> np.ndarray:
    """A sweep near full scale."""
    time = np.arange(int(seconds * rate)) / rate
    return 0.95 * np.sin(2 * np.pi * (200 + 900 * time) * time)


@pytest.mark.parametrize("count", [*range(1, 17), 60, MOST_CHANNELS])
def test_equal_channels_are_the_sound_itself(count: int, tmp_path: Path) -> None:
    """At another sample rate than the output's, so that every channel is resampled too."""
    mono = decode_audio(float_wav(tmp_path / "mono.wav", loud()[:, None], 44100)).samples
    path = float_wav(tmp_path / "many.wav", np.repeat(loud()[:, None], count, axis=1), 44100)
    np.testing.assert_array_equal(decode_audio(path).samples, mono)


@pytest.mark.parametrize("count", [*range(2, 17), 60])
def test_different_channels_are_averaged(count: int, tmp_path: Path) -> None:
    """Each channel has its own level and pitch, so that a wrong weight of any of them shows; nothing is clipped."""
    time = np.arange(4410) / SAMPLE_RATE
    channels = np.stack([(1 - i / 100) * np.sin(2 * np.pi * 100 * (i + 1) * time) for i in range(count)], axis=1)
    found = decode_audio(float_wav(tmp_path / "many.wav", channels)).samples
    np.testing.assert_allclose(found, sum(channels.T) / count, atol=1e-6)


@pytest.mark.parametrize(
    "layout", ["stereo", "2.1", "3.0(back)", "quad", "4.1", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1"]
)
def test_the_names_of_channels_do_not_weigh_them(layout: str, tmp_path: Path) -> None:
    source = float_wav(tmp_path / "mono.wav", loud()[:, None], 44100)
    count = 2 if layout == "stereo" else sum(int(digit) for digit in layout[:3] if digit.isdigit()) or 4
    pan = f"pan={layout}|" + "|".join(f"c{i}=c0" for i in range(count))
    for name, codec in (("mono.flac", ()), ("many.flac", ("-af", pan))):
        ffmpeg("-i", source, *codec, "-sample_fmt", "s32", tmp_path / name)
    many, mono = (decode_audio(tmp_path / name).samples for name in ("many.flac", "mono.flac"))
    np.testing.assert_array_equal(many, mono)


def test_channels_beyond_full_scale_are_clipped_after_the_mean(tmp_path: Path) -> None:
    samples = loud(rate=SAMPLE_RATE)
    found = decode_audio(float_wav(tmp_path / "a.wav", np.stack([1.6 * samples, 0.4 * samples], axis=1))).samples
    np.testing.assert_allclose(found, samples, atol=1e-6)


@pytest.mark.parametrize(("count", "level"), [(2, 1.0), (4, 1.0), (7, 1.0), (16, 1.0), (2, 0.8), (4, 0.8)])
def test_opposite_phase_is_the_strongest_channel(count: int, level: float, tmp_path: Path) -> None:
    samples = loud(rate=SAMPLE_RATE)
    channels = np.zeros((len(samples), count))
    channels[:, : count // 2 * 2] = np.stack([-level * samples, samples] * (count // 2), axis=1)
    found = decode_audio(float_wav(tmp_path / "a.wav", channels)).samples
    np.testing.assert_allclose(found, samples if level < 1 else -samples, atol=1e-6)


def test_opposite_phase_in_windows_of_a_long_sound(tmp_path: Path) -> None:
    samples = sine(440, seconds=4.0)
    path = float_wav(tmp_path / "a.wav", np.stack([samples, -samples], axis=1))
    found = decode_audio(path, max_seconds=1.5, windows=3)
    expected = decode_audio(float_wav(tmp_path / "b.wav", samples[:, None]), max_seconds=1.5, windows=3)
    assert found.truncated
    np.testing.assert_array_equal(found.samples, expected.samples)


def test_more_channels_than_are_read(tmp_path: Path) -> None:
    path = float_wav(tmp_path / "a.wav", np.zeros((100, MOST_CHANNELS + 1)))
    assert str(refused(path)) == "undecodable: the sound track has 65 channels, and at most 64 are read"


def test_a_change_of_channels_is_not_clipped(tmp_path: Path) -> None:
    """As where a broadcast goes from stereo to 5.1; all channels are equal."""
    source = float_wav(tmp_path / "mono.wav", loud(2.0, 48000)[:, None], 48000)
    parts = []
    for layout, count in (("stereo", 2), ("5.1", 6)):
        pan = f"pan={layout}|" + "|".join(f"c{i}=c0" for i in range(count))
        ffmpeg("-i", source, "-af", pan, "-c:a", "ac3", "-b:a", "448k", tmp_path / f"{count}.ts")
        parts.append((tmp_path / f"{count}.ts").read_bytes())
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    samples = decode_audio(tmp_path / "both.ts").samples
    before, after = (np.sqrt(np.mean(samples[int(at * SAMPLE_RATE) :][: SAMPLE_RATE // 2] ** 2)) for at in (1.0, 3.0))
    assert before == pytest.approx(0.95 / 2**0.5, rel=0.03)
    assert after == pytest.approx(0.95 / 2**0.5, rel=0.03)


@pytest.fixture
def two_tracks(tmp_path: Path, make_wav: MakeFile) -> Callable[[bytes], Path]:
    """Writes a QuickTime sound of two uncompressed tracks, 440 and 880 Hz, and names another codec for the first."""

    def make(codec: bytes) -> Path:
        inputs = [argument for pitch in (440, 880) for argument in ("-i", make_wav(sine(pitch), f"{pitch}.wav"))]
        ffmpeg(*inputs, "-map", "0", "-map", "1", "-c:a", "pcm_s16be", tmp_path / "two.mov")
        (tmp_path / "two.mov").write_bytes((tmp_path / "two.mov").read_bytes().replace(b"twos", codec, 1))
        return tmp_path / "two.mov"

    return make


def pitch(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * SAMPLE_RATE / len(samples)


@pytest.mark.parametrize(
    ("codec", "positions", "heard"),
    [(b"twos", [0, 1], 440), (b"apac", [1], 880), (b"alac", [0, 1], 880)],
    ids=["both", "no decoder for the first", "the first cannot be decoded"],
)
def test_the_first_track_that_can_be_decoded(
    two_tracks: Callable[[bytes], Path], codec: bytes, positions: list[int], heard: float
) -> None:
    path = two_tracks(codec)
    assert [track.position for track in audio_header(path).tracks] == positions
    assert pitch(decode_audio(path).samples) == pytest.approx(heard, abs=1)


def test_no_track_can_be_decoded(two_tracks: Callable[[bytes], Path]) -> None:
    path = two_tracks(b"apac")
    path.write_bytes(path.read_bytes().replace(b"twos", b"apac"))
    assert refused(path).reason == "no-audio"
    path.write_bytes(path.read_bytes().replace(b"apac", b"alac"))
    assert refused(path).reason == "undecodable"
    assert len({str(refused(path)) for _ in range(2)}) == 1
