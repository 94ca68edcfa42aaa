"""Short tunes, synthesised from an item's timbre, tempo and daylight (as the register)."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.demo.encode import encode_audio

RATE = 16_000
SECONDS = 4.0
_PENTATONIC = np.array([0, 2, 4, 7, 9, 12])
Samples = NDArray[np.float32]


def beats_per_minute(tempo: float) -> float:
    """Return 70 to 168 for a tempo of -1 to 1."""
    return 108.5 * 1.55**tempo


def base_frequency(daylight: float) -> float:
    """Return 110 to 440 Hz for a daylight of -1 to 1."""
    return float(220 * 2**daylight)


def tune(rng: np.random.Generator, *, timbre: int, tempo: float, daylight: float) -> NDArray[np.int16]:
    """Return a melody with one note a beat, int16 mono, `SECONDS` long at `RATE` Hz."""
    step = int(RATE * 60 / beats_per_minute(tempo))
    time = (np.arange(int(1.5 * step)) / RATE).astype(np.float32)
    out = np.zeros(int(RATE * SECONDS) + len(time), np.float32)
    for start in range(0, int(RATE * SECONDS), step):
        frequency = base_frequency(daylight) * 2 ** (int(rng.choice(_PENTATONIC)) / 12)
        out[start : start + len(time)] += VOICES[timbre](rng, frequency, time) * rng.uniform(0.8, 1)
    out = out[: int(RATE * SECONDS)] + 0.002 * rng.standard_normal(int(RATE * SECONDS), np.float32)
    return np.round(out / np.abs(out).max() * 0.8 * 32767).astype(np.int16)


def write_sound(path: Path, samples: NDArray[np.int16]) -> None:
    """Write samples in the format of the extension of `path`: WAV directly, any other through ffmpeg."""
    if path.suffix != ".wav":
        return encode_audio(path, samples, RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def silence() -> NDArray[np.int16]:
    """Return zeros, as long as a tune."""
    return np.zeros(int(RATE * SECONDS), np.int16)


def _tones(frequency: float, time: Samples, strengths: dict[float, float]) -> Samples:
    """A sum of sines: multiple of `frequency` → amplitude. Frequencies above half of `RATE` are left out."""
    audible = {k: v for k, v in strengths.items() if k * frequency < RATE / 2}
    return sum((v * np.sin(2 * np.pi * k * frequency * time) for k, v in audible.items()), np.zeros_like(time))


def _envelope(time: Samples, *, attack: float, decay: float) -> Samples:
    """The envelope: rises for `attack` seconds, falls by a factor of e every `decay` seconds."""
    return np.minimum(time / attack, 1) * np.exp(-time / decay)


def _flute(rng: np.random.Generator, frequency: float, time: Samples) -> Samples:
    breath = 0.02 * rng.standard_normal(len(time), np.float32)
    return (_tones(frequency, time, {1: 1, 2: 0.08}) + breath) * _envelope(time, attack=0.08, decay=0.5)


def _clarinet(rng: np.random.Generator, frequency: float, time: Samples) -> Samples:
    return _tones(frequency, time, {k: 1 / k for k in (1, 3, 5, 7, 9)}) * _envelope(time, attack=0.04, decay=0.4)


def _brass(rng: np.random.Generator, frequency: float, time: Samples) -> Samples:
    return _tones(frequency, time, {k: k**-0.7 for k in range(1, 15)}) * _envelope(time, attack=0.03, decay=0.35)


def _bell(rng: np.random.Generator, frequency: float, time: Samples) -> Samples:
    partials = {2.0: 1.0, 3.01: 0.6, 4.17: 0.5, 5.43: 0.35, 6.8: 0.25, 8.21: 0.2}
    return _tones(frequency, time, partials) * _envelope(time, attack=0.002, decay=0.6)


def _pluck(rng: np.random.Generator, frequency: float, time: Samples) -> Samples:
    knock = rng.standard_normal(len(time), np.float32) * np.exp(-time / 0.012)
    string = _tones(frequency, time, {k: 1 / k**1.2 for k in range(1, 12)})
    return string * _envelope(time, attack=0.001, decay=0.09) + 0.7 * knock


VOICES = (_flute, _clarinet, _brass, _bell, _pluck)
