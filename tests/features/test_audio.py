import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from features.audio.decode import SAMPLE_RATE, Clip, decode_audio
from features.audio.mel import MelMfcc
from features.audio.rhythm import PULSE_BPM, rhythm
from features.base import MediaError
from features.media import probe
from features.process import run_limited
from tests.features.conftest import clicks, panned, sine, texture

MakeFile = Callable[..., Path]


def clip(samples: np.ndarray) -> Clip:
    return Clip(samples.astype(np.float32), SAMPLE_RATE, truncated=False)


def features(*clips: np.ndarray) -> pa.RecordBatch:
    return MelMfcc().encode([clip(samples) for samples in clips])


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


def test_long_sounds_are_cut_and_say_so(make_wav: MakeFile) -> None:
    path = make_wav(sine(440, seconds=3.0))
    cut = decode_audio(path, max_seconds=1.0)
    assert (cut.duration_s, cut.truncated) == (1.0, True)
    assert not decode_audio(path, max_seconds=3.0).truncated


@pytest.mark.parametrize(
    "name", ["-i.wav", "a:b.wav", "100%d.wav", "two words.wav", "new\nline.wav", "\U0001f438.mp3", "file"]
)
def test_any_file_name(make_wav: MakeFile, name: str) -> None:
    assert decode_audio(make_wav(sine(440), name)).duration_s == 2.0


def test_sound_track_of_a_film(make_wav: MakeFile, make_film: MakeFile) -> None:
    film = make_film(panned(step=2), "film.mkv", "-c:a", "pcm_s16le", "-shortest", sound=make_wav(sine(440)))
    assert decode_audio(film).duration_s == pytest.approx(1.2, abs=0.1)


def test_film_without_sound_is_refused(make_film: MakeFile) -> None:
    assert refused(make_film(panned(step=2))).reason == "no-audio"


def test_playlists_are_refused(make_wav: MakeFile, tmp_path: Path) -> None:
    secret = make_wav(sine(440), "secret.wav")
    playlists = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        "list.mp3": f"ffconcat version 1.0\nfile '{secret.name}'\n",
        "list.mpd": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{secret.as_uri()}</BaseURL></MPD>',
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    }
    for name, text in playlists.items():
        (tmp_path / name).write_text(text)
        assert refused(tmp_path / name).reason in ("unknown-format", "undecodable"), name


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    for content, reason in ((b"", "empty"), (b"this is a text", "undecodable"), (bytes(1000), "undecodable")):
        (tmp_path / "sound.ogg").write_bytes(content)
        assert refused(tmp_path / "sound.ogg").reason == reason
    assert refused(tmp_path / "nowhere.ogg").reason == "missing"


def test_header_without_sound_is_refused(make_wav: MakeFile, tmp_path: Path) -> None:
    header = make_wav(sine(440)).read_bytes()[:44]
    (tmp_path / "header.wav").write_bytes(header)
    assert refused(tmp_path / "header.wav").reason == "undecodable"


def test_time_limit(make_wav: MakeFile) -> None:
    assert refused(make_wav(sine(440)), timeout_s=0.001).reason == "timeout"
    with pytest.raises(MediaError, match="timeout"):
        run_limited(("sleep", "30"), timeout_s=0.05)


@pytest.mark.parametrize("frequency", [220.0, 1000.0, 5000.0])
def test_centroid_of_a_sine_is_its_frequency(frequency: float) -> None:
    row = features(sine(frequency)).to_pylist()[0]
    assert row["spectral_centroid_hz"] == pytest.approx(frequency, rel=0.02)
    assert row["rms_db"] == pytest.approx(20 * np.log10(0.4 / 2**0.5), abs=0.05)
    assert not row["silent"]


@pytest.mark.parametrize("bpm", [75, 90, 120, 150])
def test_tempo_of_a_click_track(bpm: int) -> None:
    batch = features(clicks(bpm))
    assert batch["tempo_bpm"][0].as_py() == pytest.approx(bpm, rel=0.01)


def test_silence_is_finite_and_has_no_tempo() -> None:
    for samples in (np.zeros(SAMPLE_RATE), np.zeros(1)):
        row = features(samples).to_pylist()[0]
        assert np.isfinite(row["vector"]).all()
        assert (row["silent"], row["tempo_bpm"], row["spectral_centroid_hz"], row["rms_db"]) == (True, None, None, -100)


def test_vector_sees_timbre_and_tempo() -> None:
    tone = sine(440, seconds=4.0)
    noise = np.random.default_rng(0).normal(size=len(tone)) * 0.1
    slow, slow_again, fast, bright = (
        np.array(vector)
        for vector in features(tone + noise, tone + 0.9 * noise, clicks(150, 4.0), sine(4000, 4.0))[
            "vector"
        ].to_pylist()
    )
    near = np.linalg.norm(slow - slow_again)
    assert near < 0.5 * np.linalg.norm(slow - bright)
    assert near < 0.5 * np.linalg.norm(slow - fast)
    at_75, at_150 = (np.array(v)[-15:] for v in features(clicks(80, 4.0), clicks(150, 4.0))["vector"].to_pylist())
    assert np.linalg.norm(at_75 - at_150) > 0.5


def test_rhythm_of_a_hand_made_envelope() -> None:
    """An onset in every 10th of 20 frames a second: two a second, 120 a minute."""
    envelope = np.tile(np.eye(1, 10)[0] * 5, 12)
    found = rhythm(envelope, frames_per_s=20.0)
    assert found.tempo_bpm == pytest.approx(120, rel=0.01)
    assert found.onsets_per_s == pytest.approx(2.0)
    assert int(np.argmax(found.pulse[4:])) + 4 == int(np.argmin(np.abs(PULSE_BPM - 120)))


def test_cover_art_is_no_film(make_wav: MakeFile, tmp_path: Path) -> None:
    Image.fromarray(texture(64, 64)).save(tmp_path / "cover.png")
    inputs = ("-i", str(make_wav(sine(440))), "-i", str(tmp_path / "cover.png"))
    art = ("-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic")
    subprocess.run((get_ffmpeg_exe(), "-v", "error", *inputs, *art, str(tmp_path / "song.mp3")), check=True, timeout=30)
    assert probe(tmp_path / "song.mp3").moving is None
    assert probe(tmp_path / "song.mp3").sound is not None
