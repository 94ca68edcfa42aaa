"""Base class of the video encoders: decoding, embeddings of frames, the sound track, and the readable columns."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder, MediaError
from features.registry import encoder
from features.video.decode import GAP_S, MOST_LOOKED_AT, Film, decode_video
from features.video.motion.columns import motion_columns
from features.video.motion.frame_motion import mean_difference
from features.video.objects import FACES, Detector, count_objects, load_detector

APPEARANCE = {"name": "efficientnet-lite0"}
SOUND = {"name": "mel-mfcc"}


class VideoEncoder(Encoder):
    """Base class of the video encoders; a subclass adds `name`, `version`, `dim` and `vectors`.

    Args:
        appearance: the image encoder that embeds frames, as `{name: ..., parameters: {...}}`.
        sound: the audio encoder for sound tracks, likewise; None leaves them out.
        detector: the object detector, as `module:object` (see `features.video.objects`); None counts nothing.
        rate: frames a second that are candidates for embedding.
        moments: most frames that are embedded; one of every scene is among them, unless there are more scenes.
        max_seconds: most seconds of a film that are read.
        pieces: number of parts, spread evenly, that are read of a longer film.
        timeout_s: wall-clock limit on decoding a film, in seconds; not part of the fingerprint.

    Raises:
        ValueError: a parameter is out of its range, or names no encoder.
    """

    modality = "video"

    def __init__(
        self,
        *,
        appearance: Mapping[str, Any] = APPEARANCE,
        sound: Mapping[str, Any] | None = SOUND,
        detector: str | None = FACES,
        rate: float = 4.0,
        moments: int = 16,
        max_seconds: float = 60.0,
        pieces: int = 8,
        timeout_s: float = 120.0,
    ) -> None:
        for name, value in {"rate": rate, "max_seconds": max_seconds, "timeout_s": timeout_s}.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value!r}; give a number above 0")
        for name, value in {"moments": moments, "pieces": pieces}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; give a whole number from 1")
        if rate * max_seconds > MOST_LOOKED_AT:
            raise ValueError(
                f"rate {rate:g} and max_seconds {max_seconds:g} make {rate * max_seconds:g} frames to look at; "
                f"give less, {MOST_LOOKED_AT} at most"
            )
        self.appearance: Any = _chosen("image", appearance)
        self.sound: Any = None if sound is None else _chosen("audio", sound)
        self.untrained = type(self).untrained or self.appearance.untrained
        self._detector_name = detector
        self.rate = rate
        self.moments = moments
        self.max_seconds = max_seconds
        self.pieces = pieces
        self.timeout_s = timeout_s

    @cached_property
    def detector(self) -> Detector | None:
        """The object detector, imported at first use, as processes that only decode don't need it.

        Raises:
            ValueError: there is none of that name.
        """
        return None if self._detector_name is None else load_detector(self._detector_name)

    def parameters(self) -> dict[str, Any]:
        return {
            "appearance": self.appearance.fingerprint,
            "sound": None if self.sound is None else self.sound.fingerprint,
            "detector": None if self.detector is None else self.detector.fingerprint,
            "rate": self.rate,
            "moments": self.moments,
            "max_seconds": self.max_seconds,
            "pieces": self.pieces,
            "gap_s": GAP_S,
        }

    def other_vectors(self) -> dict[str, int]:
        return {} if self.sound is None else {"audio_vector": self.sound.dim}

    @abstractmethod
    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of films, float32 [n, dim], in order; a row must not depend on the other films.

        Args:
            decoded: n films.
            sequences: for each film the embeddings of its frames in order of time, float32 [frames, appearance.dim].
        """

    def decode(self, content: Path) -> Film:
        """Decodes the file at `content`, with its sound track; raises as `decode_video`. Thread-safe.

        A film whose sound track can't be decoded is returned without sound.
        """
        film = decode_video(
            content,
            rate=self.rate,
            moments=self.moments,
            max_seconds=self.max_seconds,
            pieces=self.pieces,
            side=self.appearance.side,
            timeout_s=self.timeout_s,
        )
        if self.sound is None or not film.has_audio:
            return film
        try:
            return replace(film, sound=self.sound.decode(content))
        except MediaError as error:
            if error.reason == "timeout":
                raise
            return film

    def encode(self, decoded: Sequence[Film]) -> pa.RecordBatch:
        """Features of films, in order; `schemas.features.FeaturesVideo` describes the columns."""
        sequences = self._sequences(decoded)
        sounds = self._sounds(decoded)
        rows = [
            {
                "duration_s": film.duration_s,
                "width": film.width,
                "height": film.height,
                "fps": film.fps,
                "scenes": 1 + len(film.cuts),
                "cuts_s": film.cuts,
                "frames": len(film.pairs),
                "frame_times_s": film.times,
                "sequence": sequence.ravel(),
                "motion_mean": mean_difference(film.pairs, film.gaps),
                **motion_columns(film),
                "objects": None if self.detector is None else count_objects(self.detector, film),
                "has_audio": film.has_audio,
                "audio_vector": sound,
                "truncated": film.truncated,
            }
            for film, sequence, sound in zip(decoded, sequences, sounds, strict=True)
        ]
        return feature_batch(self.schema(), self.vectors(decoded, sequences), rows)

    def _sequences(self, films: Sequence[Film]) -> list[np.ndarray]:
        """Embeddings of each film's frames, computed for the frames of all films together."""
        side = self.appearance.side
        # The empty first array is there for `concatenate` of no films.
        frames = [np.zeros((0, side, side, 3), np.uint8), *(film.pairs[:, 0] for film in films)]
        ends = np.cumsum([len(part) for part in frames])[:-1]
        return np.split(self.appearance.embed(np.concatenate(frames)), ends)[1:]

    def _sounds(self, films: Sequence[Film]) -> list[np.ndarray | None]:
        """The vector of each film's sound track, None where it has none."""
        clips = [film.sound for film in films if film.sound is not None]
        vectors = iter(self.sound.vectors(clips) if clips else ())
        return [None if film.sound is None else next(vectors) for film in films]


def _chosen(modality: str, choice: Mapping[str, Any]) -> Encoder:
    """The encoder that `choice` describes by `name` and `parameters`.

    Raises:
        ValueError: `choice` has other keys, or no encoder has that name.
    """
    if not isinstance(choice, Mapping) or "name" not in choice or set(choice) - {"name", "parameters"}:
        raise ValueError(f"an {modality} encoder is chosen as {{name: ..., parameters: {{...}}}}, not as {choice!r}")
    return encoder(modality, choice["name"], **choice.get("parameters", {}))
