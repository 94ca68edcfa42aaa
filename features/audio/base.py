"""Base class of the audio encoders: decoding, preparation and analysis of samples, and the readable columns."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.audio.decode import SAMPLE_RATE, Clip, decode_audio
from features.audio.downmix import CANCELLED
from features.audio.loudness import integrated_loudness
from features.audio.preprocessing import (
    DENOISE,
    TARGET_LUFS,
    Denoise,
    normalise_loudness,
    spectral_gate,
    trim_silence,
)
from features.audio.rhythm import Rhythm, onset_envelope, rhythm
from features.audio.spectrum import BANDS, FLOOR_DB, FRAMES_PER_S, HOP, WINDOW, Spectrum, segment_means, spectrum
from features.base import Encoder

SEQUENCE_STEPS, SEQUENCE_BANDS = 32, 32
_SILENT_DB, _LOWEST_DB = -70.0, -100.0


@dataclass(frozen=True)
class Sound:
    """A clip, prepared and analysed.

    `samples` float32 [n] are denoised if the encoder does so, trimmed and at -23 LUFS; `spectrum` and `rhythm` are
    computed on them. `waveform` is the clip as it was decoded, at the encoder's `sample_rate`. `rms_db` (dB below full
    scale) and `loudness_lufs` (None in silence) are those of the clip before; `trimmed_s` is the length in seconds that
    was cut off at both ends.
    """

    samples: np.ndarray
    waveform: np.ndarray
    spectrum: Spectrum
    rhythm: Rhythm
    rms_db: float
    loudness_lufs: float | None
    trimmed_s: float

    @property
    def silent(self) -> bool:
        return self.rms_db < _SILENT_DB


class AudioEncoder(Encoder):
    """Base class of the audio encoders; a subclass adds `name`, `version`, `dim` and `embed`.

    Args:
        max_seconds: most seconds of a sound that are read.
        window_s, windows: length in seconds and number of the windows that are read of a longer sound, spread evenly
            over it.
        denoise: "gate" reduces steady noise, "none" doesn't; `features.audio.preprocessing.spectral_gate` describes
            when it helps.
        trim_db: parts so many dB below the loudest moment are cut off at the beginning and the end.
        timeout_s: wall-clock limit on decoding a sound, in seconds; not part of the fingerprint.

    Attributes:
        sample_rate: samples a second of the waveforms that `embed` is given, in Hz. The readable columns are measured
            at 22,050 Hz whatever it is.

    Raises:
        ValueError: a parameter is out of its range.
    """

    modality = "audio"
    sample_rate: int = SAMPLE_RATE

    def __init__(
        self,
        *,
        max_seconds: float = 60.0,
        window_s: float = 10.0,
        windows: int = 6,
        denoise: Denoise = "none",
        trim_db: float = 40.0,
        timeout_s: float = 60.0,
    ) -> None:
        positive = {"max_seconds": max_seconds, "window_s": window_s, "trim_db": trim_db, "timeout_s": timeout_s}
        for name, value in positive.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value!r}; give a number above 0")
        if windows < 1:
            raise ValueError(f"windows is {windows!r}; give 1 or more")
        if denoise not in DENOISE:
            raise ValueError(f"denoise is {denoise!r}; give one of {', '.join(DENOISE)}")
        self.max_seconds = max_seconds
        self.window_s = window_s
        self.windows = windows
        self.denoise = denoise
        self.trim_db = trim_db
        self.timeout_s = timeout_s

    def parameters(self) -> dict[str, Any]:
        return {
            "max_seconds": self.max_seconds,
            "window_s": self.window_s,
            "windows": self.windows,
            "denoise": self.denoise,
            "trim_db": self.trim_db,
            "target_lufs": TARGET_LUFS,
            "sample_rate": self.sample_rate,
            "cancelled": CANCELLED,
            "window": WINDOW,
            "hop": HOP,
            "floor_db": FLOOR_DB,
        }

    @abstractmethod
    def embed(self, sounds: Sequence[Sound]) -> np.ndarray:
        """Vectors of analysed sounds, float32 [n, dim], in order; a row must not depend on the other sounds."""

    def decode(self, content: Path) -> Clip:
        """Decodes the file at `content`; raises as `decode_audio`. Thread-safe."""
        read = partial(
            decode_audio,
            content,
            max_seconds=self.max_seconds,
            timeout_s=self.timeout_s,
            window_s=self.window_s,
            windows=self.windows,
        )
        clip = read()
        # Decoded anew, not resampled, so that a rate above 22,050 Hz has what such a sound holds.
        return clip if self.sample_rate == SAMPLE_RATE else replace(clip, resampled=read(rate=self.sample_rate).samples)

    def vectors(self, decoded: Sequence[Clip]) -> np.ndarray:
        """Vectors of clips, float32 [n, dim], in order, without the readable columns."""
        return self.embed([self._sound(clip) for clip in decoded])

    def encode(self, decoded: Sequence[Clip]) -> pa.RecordBatch:
        """Features of clips, in order; `schemas.features.FeaturesAudio` describes the columns."""
        sounds = [self._sound(clip) for clip in decoded]
        rows = [_columns(clip, sound) for clip, sound in zip(decoded, sounds, strict=True)]
        return feature_batch(self.schema(), self.embed(sounds), rows)

    def _sound(self, clip: Clip) -> Sound:
        rms_db = _decibels(float(np.mean(np.square(clip.samples, dtype=np.float64))))
        denoised = spectral_gate(clip.samples) if self.denoise == "gate" else clip.samples
        trimmed = trim_silence(denoised, self.trim_db)
        samples = normalise_loudness(trimmed)
        frames = spectrum(samples)
        return Sound(
            samples=samples,
            waveform=waveform(clip),
            spectrum=frames,
            rhythm=rhythm(onset_envelope(frames.mel_db), FRAMES_PER_S),
            rms_db=rms_db,
            loudness_lufs=integrated_loudness(clip.samples),
            trimmed_s=(len(clip.samples) - len(trimmed)) / SAMPLE_RATE,
        )


def waveform(clip: Clip) -> np.ndarray:
    """The clip's samples at the rate of the encoder that decoded it, float32 [n]."""
    return clip.samples if clip.resampled is None else clip.resampled


def _columns(clip: Clip, sound: Sound) -> dict[str, Any]:
    """The readable columns of one sound by name."""
    frames = sound.spectrum
    bands = frames.mel_db.reshape(SEQUENCE_BANDS, BANDS // SEQUENCE_BANDS, -1).mean(axis=1)
    undefined_in_silence = {
        "tempo_bpm": sound.rhythm.tempo_bpm,
        "loudness_lufs": sound.loudness_lufs,
        "spectral_centroid_hz": frames.mean(frames.centroid) * SAMPLE_RATE / 2,
        "spectral_bandwidth_hz": frames.mean(frames.bandwidth) * SAMPLE_RATE / 2,
        "spectral_rolloff_hz": frames.mean(frames.rolloff) * SAMPLE_RATE / 2,
        "spectral_flatness": frames.mean(frames.flatness),
        "zero_crossing_rate": frames.mean(frames.crossings),
        "chroma": frames.mean(frames.chroma),
        "spectral_contrast": frames.mean(frames.contrast),
    }
    return {
        **(dict.fromkeys(undefined_in_silence) if sound.silent else undefined_in_silence),
        "duration_s": clip.duration_s,
        "header_duration_s": clip.header_duration_s,
        "sample_rate": clip.sample_rate,
        "rms_db": sound.rms_db,
        "onsets_per_s": 0.0 if sound.silent else sound.rhythm.onsets_per_s,
        "mfcc": frames.mfcc.mean(axis=1),
        "mel_sequence": segment_means(bands, SEQUENCE_STEPS).T.ravel(),
        "trimmed_s": sound.trimmed_s,
        "silent": sound.silent,
        "truncated": clip.truncated,
    }


def _decibels(power: float) -> float:
    """Power (mean square of samples from -1 to 1) in dB, at least -100."""
    return max(10.0 * np.log10(max(power, 1e-20)), _LOWEST_DB)
