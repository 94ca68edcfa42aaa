"""What all film encoders share: reading a file, its frames' embeddings, its sound, the readable columns."""

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
from features.video.motion.columns import columns as flow_columns
from features.video.motion.frame_motion import mean_change
from features.video.objects import FACES, Detector, counts, detector_at

APPEARANCE = {"name": "efficientnet-lite0"}
SOUND = {"name": "mel-mfcc"}


class VideoEncoder(Encoder):
    """Base of the film encoders: one is a subclass that makes vectors of films and their frames' embeddings.

    Args:
        appearance: the image encoder that embeds frames, as `{name: ..., parameters: {...}}`.
        sound: the audio encoder for sound tracks, likewise; None leaves them out.
        detector: what counts objects, as `module:object` (see `features.video.objects`); None counts nothing.
        rate: frames a second that are looked at.
        moments: at most so many frames are embedded, every scene's among them.
        max_seconds: so much of a film is read: of a longer one, `pieces` spread evenly over all of it.
        timeout_s: a film that takes longer to decode is refused; not part of the fingerprint.

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
        self.appearance: Any = _other("image", appearance)
        self.sound: Any = None if sound is None else _other("audio", sound)
        self.untrained = type(self).untrained or self.appearance.untrained
        self._detector_place = detector
        self.rate = rate
        self.moments = moments
        self.max_seconds = max_seconds
        self.pieces = pieces
        self.timeout_s = timeout_s

    @cached_property
    def detector(self) -> Detector | None:
        """What counts objects; it is imported at first use, so that a process that only decodes does without.

        Raises:
            ValueError: there is none of that name.
        """
        return None if self._detector_place is None else detector_at(self._detector_place)

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

    @abstractmethod
    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of films, float32 [n, dim], in order; a row must not depend on the other films.

        Args:
            decoded: the films.
            sequences: for each the embeddings of its frames in order of time, float32 [frames, appearance.dim].
        """

    def decode(self, content: Path) -> Film:
        """The film in the file `content`, with its sound; errors as in `decode_video`. Safe in threads.

        A sound track that can't be decoded is none.
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
        """Features of films, in order; `schemas.features.FeaturesVideo` says what the columns are."""
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
                "motion_mean": mean_change(film.pairs, film.gaps),
                **flow_columns(film),
                "objects": None if self.detector is None else counts(self.detector, film),
                "has_audio": film.has_audio,
                "audio_vector": sound,
                "truncated": film.truncated,
            }
            for film, sequence, sound in zip(decoded, sequences, sounds, strict=True)
        ]
        return feature_batch(self.schema(), self.vectors(decoded, sequences), rows)

    def _sequences(self, films: Sequence[Film]) -> list[np.ndarray]:
        """Embeddings of the films' frames; the frames of all of them go through the network together."""
        side = self.appearance.side
        frames = [np.zeros((0, side, side, 3), np.uint8), *(film.pairs[:, 0] for film in films)]
        ends = np.cumsum([len(part) for part in frames])[:-1]
        return np.split(self.appearance.embed(np.concatenate(frames)), ends)[1:]

    def _sounds(self, films: Sequence[Film]) -> list[np.ndarray | None]:
        """Vectors of the films' sound tracks, None where there is none."""
        clips = [film.sound for film in films if film.sound is not None]
        vectors = iter(self.sound.vectors(clips) if clips else ())
        return [None if film.sound is None else next(vectors) for film in films]


def _other(modality: str, choice: Mapping[str, Any]) -> Encoder:
    """The encoder that `choice` names.

    Raises:
        ValueError: it has other keys than `name` and `parameters`, or names none.
    """
    if not isinstance(choice, Mapping) or "name" not in choice or set(choice) - {"name", "parameters"}:
        raise ValueError(f"an {modality} encoder is chosen as {{name: ..., parameters: {{...}}}}, not as {choice!r}")
    return encoder(modality, choice["name"], **choice.get("parameters", {}))
