"""Encoders that cost next to nothing, named in a configuration as `tests.services.toys:...`: what is shown with them is
how nights go through Airflow, not what vectors are worth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from tests.jobs.toys import Toy, empty


class Histogram(Toy):
    """Of a text or a file, the shares of its bytes by their lowest four bits."""

    name, dim = "histogram", 16

    def decode(self, content: str | Path) -> bytes:
        return content.encode() if isinstance(content, str) else content.read_bytes()

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        counts = [np.bincount(np.frombuffer(data, np.uint8) & 15, minlength=16) / len(data) for data in decoded]
        fields = [field for field in self.schema() if field.name != "vector"]
        readable = [{field.name: empty(field) for field in fields}] * len(decoded)
        return feature_batch(self.schema(), np.asarray(counts, np.float32), readable)


class Text(Histogram):
    modality = "text"


class Image(Histogram):
    modality = "image"


class Audio(Histogram):
    modality = "audio"


class Video(Histogram):
    modality = "video"
