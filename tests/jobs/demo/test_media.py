"""The media files: all decode but those planted, and what they show follows from the item's hidden traits."""

from collections import defaultdict
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jobs.demo import write_catalog
from jobs.demo.encode import encode_audio
from jobs.demo.pictures import KINDS, PALETTES, SIZE, TEXTURES, picture
from jobs.demo.sounds import RATE, SECONDS, VOICES, beats_per_minute, tune
from jobs.demo.traits import stream
from jobs.demo.videos import DIRECTIONS, FPS, HEIGHT, PATTERNS, WIDTH, clip, pixels_per_second
from jobs.landing.raw import LandingZoneError
from jobs.landing.writing import Summary
from tests.jobs.demo.reading import fingerprints, read_rows


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    raw = tmp_path_factory.mktemp("media") / "raw"
    return raw, write_catalog(raw, items=60, users=10, nights=2, progress=False)


def test_every_uri_names_a_file_and_every_file_is_named(catalog: tuple[Path, Summary]) -> None:
    raw, summary = catalog
    text = "\n".join(str(row) for row in read_rows(raw, "items") if row)
    files = [str(path.relative_to(raw)) for path in (raw / "media").rglob("*.*")]
    assert all(f"{name}'" in text or f'{name}"' in text for name in files)
    assert text.count("media/") >= len(files) == sum(summary.media.values())


def test_pictures_decode_but_the_truncated_ones(catalog: tuple[Path, Summary]) -> None:
    raw, summary = catalog
    bad = [path for path in sorted((raw / "media/image").iterdir()) if not _decodes(path)]
    assert len(bad) == summary.planted["truncated_picture"] == 1
    assert {path.suffix for path in (raw / "media/image").iterdir()} == {".jpg", ".png", ".webp"}


def _decodes(path: Path) -> bool:
    with Image.open(path) as image:
        try:
            image.load()
        except OSError:
            return False
        return image.size == (SIZE, SIZE)


def test_sounds_decode_and_only_the_silent_ones_are_silent(catalog: tuple[Path, Summary]) -> None:
    raw, summary = catalog
    loudness = {}
    for path in (raw / "media/audio").iterdir():
        with av.open(str(path)) as media:
            samples = np.concatenate([frame.to_ndarray().ravel() for frame in media.decode(audio=0)]).astype(float)
        loudness[path.name] = np.abs(samples).max()
        assert len(samples) / RATE == pytest.approx(SECONDS, abs=0.15)
    assert sum(level == 0 for level in loudness.values()) == summary.planted["silent_sound"] == 1


def test_clips_decode_and_some_have_a_sound_track(catalog: tuple[Path, Summary]) -> None:
    raw, _ = catalog
    tracks = []
    for path in (raw / "media/video").iterdir():
        with av.open(str(path)) as media:
            frames = list(media.decode(video=0))
            tracks.append(len(media.streams.audio))
        assert (len(frames), frames[0].width, frames[0].height) == (24, WIDTH, HEIGHT)
    assert set(tracks) == {0, 1}


def test_variants_share_the_very_bytes_of_a_picture(catalog: tuple[Path, Summary]) -> None:
    raw, summary = catalog
    owners = defaultdict(set)
    for path, print_ in fingerprints(raw / "media/image").items():
        owners[print_].add(path)
    shared = [paths for paths in owners.values() if len(paths) > 1]
    assert len(shared) == summary.planted["shared_picture"] == 2
    assert all({path[4:10] for path in paths} in ({"000006", "000007"}, {"000046", "000047"}) for paths in shared)


def test_a_changed_item_brings_a_new_picture(catalog: tuple[Path, Summary]) -> None:
    raw, _ = catalog
    anew = [path for path in (raw / "media/image").iterdir() if "-v2" in path.name]
    assert anew
    for path in anew:
        assert path.read_bytes() != path.with_name(path.name.replace("-v2", "")).read_bytes()


@settings(max_examples=25, deadline=None)
@given(
    kind=st.integers(0, len(KINDS) - 1),
    palette=st.integers(0, len(PALETTES) - 1),
    texture=st.integers(0, len(TEXTURES) - 1),
    count=st.integers(0, 2),
    daylight=st.floats(-1, 1),
)
def test_pictures_of_all_traits(kind: int, palette: int, texture: int, count: int, daylight: float) -> None:
    traits = {"kind": kind, "palette": palette, "texture": texture, "count": count, "daylight": daylight}
    image = picture(stream(1, "test"), **traits)
    assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
    assert image.tobytes() == picture(stream(1, "test"), **traits).tobytes()


def test_a_picture_is_lighter_by_day_and_shows_its_palette() -> None:
    base = {"kind": 0, "texture": 0, "count": 0}
    pixels = {
        (palette, light): np.asarray(picture(stream(1, "test"), palette=palette, daylight=light, **base), float)
        for palette in range(len(PALETTES))
        for light in (-1, 1)
    }
    for palette, (main, *_) in enumerate(PALETTES):
        assert pixels[palette, 1].mean() > pixels[palette, -1].mean() + 60
        middle = np.median(pixels[palette, 1][110:160, 75:110], axis=(0, 1))
        nearest = np.argmin([np.abs(middle - colours[0]).sum() for colours in PALETTES])
        assert nearest == palette, (middle, main)


@settings(max_examples=25, deadline=None)
@given(timbre=st.integers(0, len(VOICES) - 1), tempo=st.floats(-1, 1), daylight=st.floats(-1, 1))
def test_tunes_of_all_traits(timbre: int, tempo: float, daylight: float) -> None:
    samples = tune(stream(1, "test"), timbre=timbre, tempo=tempo, daylight=daylight)
    assert samples.shape == (int(RATE * SECONDS),) and samples.dtype == np.int16
    assert 25_000 < np.abs(samples.astype(int)).max() <= 32_767


@pytest.mark.parametrize("timbre", range(len(VOICES)))
def test_a_quick_tune_has_more_onsets_and_a_day_tune_a_higher_centroid(timbre: int) -> None:
    def heard(tempo: float, daylight: float) -> np.ndarray:
        samples = tune(stream(1, "test"), timbre=timbre, tempo=tempo, daylight=daylight)
        return samples.astype(np.float32) / 32768

    def centroid(samples: np.ndarray) -> float:
        return float(librosa.feature.spectral_centroid(y=samples, sr=RATE).mean())

    slow, quick = (len(librosa.onset.onset_detect(y=heard(tempo, 0), sr=RATE)) for tempo in (-1, 1))
    assert quick > 1.5 * slow
    assert centroid(heard(0, 1)) > 1.15 * centroid(heard(0, -1))
    assert beats_per_minute(-1) == pytest.approx(70) and beats_per_minute(1) == pytest.approx(168, abs=0.5)


@pytest.mark.parametrize("pattern", range(len(PATTERNS)))
@pytest.mark.parametrize("direction", range(len(DIRECTIONS)))
def test_a_clip_moves_as_its_traits_say(pattern: int, direction: int) -> None:
    """The second of two frames is the first, moved on: the displacement that fits best is the trait's."""
    frames = clip(stream(1, "test"), pattern=pattern, direction=direction, speed=1, daylight=0).astype(float)
    first, last = frames[0].mean(axis=2), frames[2].mean(axis=2)
    step = round(pixels_per_second(1) * 2 / FPS)
    errors = [
        np.abs(np.roll(first, (dy * step, dx * step), (0, 1))[20:-20, 20:-20] - last[20:-20, 20:-20]).mean()
        for dx, dy in DIRECTIONS
    ]
    assert errors[direction] == min(errors) < 3


def test_clips_are_lighter_by_day() -> None:
    dark, light = (clip(stream(1, "t"), pattern=0, direction=0, speed=0, daylight=v).mean() for v in (-1, 1))
    assert light > dark + 80


def test_an_encoder_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandingZoneError, match=r"could not write x\.unheard"):
        encode_audio(tmp_path / "x.unheard", np.zeros(100, np.int16), RATE)
