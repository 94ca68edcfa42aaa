"""Encoders that cost next to nothing and still tell any two contents apart, so that a night lasts seconds.

A configuration names them as `tests.faults.encoders:TextBytes` and so on.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder
from tests.jobs.toys import empty

DIM = 24


class Bytes(Encoder):
    """How often each byte, modulo `DIM`, occurs in a content, as shares; readable columns are empty."""

    name, version, dim = "bytes", 1, DIM

    def parameters(self) -> dict[str, Any]:
        return {}

    def decode(self, content: Path) -> bytes:
        return content.read_bytes()

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        vectors = np.array([self.vector(data) for data in decoded], np.float32)
        readable = {field.name: empty(field) for field in self.schema() if field.name != "vector"}
        return feature_batch(self.schema(), vectors, [readable] * len(decoded))

    def vector(self, data: bytes) -> np.ndarray:
        counts = np.bincount(np.frombuffer(data, np.uint8) % DIM, minlength=DIM)
        return counts / counts.sum()


class TextBytes(Bytes):
    modality = "text"

    def decode(self, content: str) -> bytes:
        return content.encode()


class ImageBytes(Bytes):
    modality = "image"


class AudioBytes(Bytes):
    modality = "audio"


class VideoBytes(Bytes):
    modality = "video"


class TextNoise(TextBytes):
    """Vectors that have nothing to do with the content but that the same content gets the same one."""

    name = "noise"

    def vector(self, data: bytes) -> np.ndarray:
        seed = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        return np.random.default_rng(seed).standard_normal(DIM)
