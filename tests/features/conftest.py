"""Tiny media files, made when they are needed, and the real ones where there are any."""

import os
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

RATE = 22050


@pytest.fixture(scope="session")
def stamps() -> Path:
    """The media folder of the real catalog `stamps`."""
    repository = Path(__file__).resolve().parents[2]
    data = Path(os.environ.get("NIGHTWEAVE_TEST_DATA", repository.parent / "shared" / "data"))
    folder = data / "stamps" / "media"
    if not folder.is_dir():
        pytest.skip(f"the real catalog is not at {folder} (NIGHTWEAVE_TEST_DATA names another folder)")
    return folder


@pytest.fixture
def make_wav(tmp_path: Path) -> Callable[..., Path]:
    """Writes mono samples (floats within -1 and 1) as a 16-bit WAV file at 22,050 Hz."""

    def make(samples: np.ndarray, name: str = "sound.wav") -> Path:
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        return tmp_path / name

    return make


@pytest.fixture
def make_film(tmp_path: Path) -> Callable[..., Path]:
    """Writes RGB frames [n, h, w, 3] as a video (25 frames a second), with more ffmpeg options where wanted."""

    def make(frames: np.ndarray, name: str = "film.mp4", *options: str, sound: Path | None = None) -> Path:
        _, height, width, _ = frames.shape
        raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "25", "-i", "pipe:0")
        extra = () if sound is None else ("-i", str(sound))
        command = (get_ffmpeg_exe(), "-v", "error", "-y", *raw, *extra, "-pix_fmt", "yuv420p", *options, name)
        subprocess.run(command, input=frames.tobytes(), check=True, cwd=tmp_path, timeout=30)
        return tmp_path / name

    return make


def sine(frequency: float, seconds: float = 2.0) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def clicks(bpm: float, seconds: float = 6.0) -> np.ndarray:
    """Short decaying beeps, `bpm` a minute."""
    samples = np.zeros(int(seconds * RATE) + 400)
    beep = np.sin(0.3 * np.arange(400)) * np.exp(-np.arange(400) / 80)
    for start in np.arange(0, seconds, 60 / bpm):
        samples[int(start * RATE) :][:400] += beep
    return samples.clip(-1, 1)


def texture(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Random soft blocks of 8 pixels, uint8 [height, width, 3]."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def panned(frames: int = 30, *, step: int, side: int = 192) -> np.ndarray:
    """A window that moves right over a texture by `step` pixels a frame: what it shows moves left."""
    ground = texture(side, side + step * frames)
    return np.stack([ground[:, i * step : i * step + side] for i in range(frames)])


def save(pixels: np.ndarray, path: Path, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path
