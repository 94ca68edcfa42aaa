"""What is shown of media files, from real ones."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.audio.decode import decode_audio
from features.base import MediaError
from features.preview import Preview
from tests.features.conftest import sine

MakeFile = Callable[..., Path]


def shown(webp: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(webp)) as image:
        assert image.format == "WEBP"
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_picture_is_cut_to_its_middle(tmp_path: Path) -> None:
    """Red in the middle third, blue beside it: the square keeps red alone."""
    pixels = np.zeros((60, 180, 3), np.uint8)
    pixels[:, :, 2] = 200
    pixels[:, 60:120] = (200, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = shown(Preview("image", side=32).decode(tmp_path / "wide.png"))
    assert found.shape == (32, 32, 3)
    assert np.abs(found[:, 2:-2].mean(axis=(0, 1)) - (200, 0, 0)).max() < 12


def test_of_a_film_the_first_frame(make_film: MakeFile) -> None:
    frames = np.zeros((5, 48, 96, 3), np.uint8)
    frames[0], frames[1:] = (0, 180, 0), (180, 0, 0)
    found = shown(Preview("video", side=32).decode(make_film(frames, "film.mp4", "-g", "1")))
    assert found.shape == (32, 32, 3)
    assert found[..., 1].mean() > 150 and found[..., 0].mean() < 40


def test_of_a_sound_the_beginning(make_wav: MakeFile, tmp_path: Path) -> None:
    (tmp_path / "part.mp3").write_bytes(Preview("audio", seconds=1.0).decode(make_wav(sine(440, 3.0))))
    clip = decode_audio(tmp_path / "part.mp3")
    assert clip.duration_s == pytest.approx(1.0, abs=0.15)
    spectrum = np.abs(np.fft.rfft(clip.samples))
    assert np.argmax(spectrum) / clip.duration_s == pytest.approx(440, abs=5)


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_what_is_no_such_file_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no media" * 40)
    with pytest.raises(MediaError):
        Preview(kind).decode(tmp_path / "x")  # type: ignore[arg-type]
