"""Encoders that cost next to nothing, so that a night lasts seconds; a configuration names them as
`tests.toys:TextBytes` and so on. What is shown with them is how nights go, not what vectors are worth."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder

DIM = 24


class Toy(Encoder):
    """Reads nothing of a content but its bytes; readable columns are empty. A subclass gives the vector."""

    version = 1

    def parameters(self) -> dict[str, Any]:
        return {}

    def decode(self, content: str | Path) -> bytes:
        return content.encode() if isinstance(content, str) else content.read_bytes()

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        vectors = np.array([self.vector(data) for data in decoded], np.float32)
        readable = {field.name: empty(field) for field in self.schema() if field.name != "vector"}
        return feature_batch(self.schema(), vectors, [readable] * len(decoded))

    @abstractmethod
    def vector(self, data: bytes) -> Sequence[float] | np.ndarray:
        """Of one content, `dim` numbers."""


def empty(field: pa.Field) -> Any:
    """Null where the column may be, else nothing of its type."""
    if field.nullable:
        return None
    return [] if pa.types.is_nested(field.type) else pa.scalar(0).cast(field.type).as_py()


class Histogram(Toy):
    """How often each byte, modulo `DIM`, occurs, as shares: tells any two contents apart."""

    name, dim = "histogram", DIM

    def vector(self, data: bytes) -> np.ndarray:
        counts = np.bincount(np.frombuffer(data, np.uint8) % DIM, minlength=DIM)
        return counts / counts.sum()


class TextBytes(Histogram):
    modality = "text"


class ImageBytes(Histogram):
    modality = "image"


class AudioBytes(Histogram):
    modality = "audio"


class VideoBytes(Histogram):
    modality = "video"


class Noise(Toy):
    """Vectors that have nothing to do with the content but that the same content gets the same one."""

    name, dim = "noise", DIM

    def vector(self, data: bytes) -> np.ndarray:
        seed = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        return np.random.default_rng(seed).standard_normal(DIM)


class TextNoise(Noise):
    modality = "text"


class ImageNoise(Noise):
    modality = "image"
