"""Encoders with which things go wrong, named in a configuration as `tests.jobs.toys:...`."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder, MediaError


class Toy(Encoder):
    """Of a sound file, its length in bytes; readable columns are empty."""

    modality, name, version, dim = "audio", "toy", 1, 2

    def parameters(self) -> dict[str, Any]:
        return {}

    def decode(self, content: Path) -> bytes:
        return content.read_bytes()

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        vectors = np.array([[len(data), 1] for data in decoded], np.float32)
        fields = [field for field in self.schema() if field.name != "vector"]
        return feature_batch(self.schema(), vectors, [{f.name: empty(f) for f in fields}] * len(decoded))


def empty(field: pa.Field) -> Any:
    """Null where the column may be, else nothing of its type."""
    if field.nullable:
        return None
    return [] if pa.types.is_nested(field.type) else pa.scalar(0).cast(field.type).as_py()


class Moody(Toy):
    """Does while decoding what the file says."""

    def decode(self, content: Path) -> bytes:
        match content.read_bytes():
            case b"hang":
                time.sleep(600)
            case b"crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case b"eat":
                np.ones(1 << 40, np.uint8)
            case b"refuse":
                raise MediaError("odd", "it is odd")
        return content.read_bytes()


class Choosy(Toy):
    """Fails to encode what says so."""

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        if any(data.startswith(b"fail") for data in decoded):
            raise ZeroDivisionError("nothing to divide by")
        return super().encode(decoded)


class Killed(Toy):
    """Its worker is killed the first time that it encodes; `mark` is a file that remembers."""

    def __init__(self, *, mark: str) -> None:
        self.mark = Path(mark)

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(decoded)


class OnGpu(Toy):
    """The second number of its vectors is the GPU that its process sees."""

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        batch = super().encode(decoded)
        seen = float(os.environ["CUDA_VISIBLE_DEVICES"])
        vectors = pa.array([[len(data), seen] for data in decoded], batch["vector"].type)
        return batch.set_column(0, batch.schema.field(0), vectors)


class Restless(Toy):
    """A file that says `restless` is written over while it is decoded."""

    def decode(self, content: Path) -> bytes:
        if content.read_bytes() != b"restless":
            return content.read_bytes()
        before = content.stat().st_mtime_ns
        content.write_bytes(b"not the same")
        os.utime(content, ns=(before + 1, before + 1))
        return content.read_bytes()


class Told(Toy):
    """The second number of its vectors stands in the file `says`; its fingerprint knows nothing of that."""

    def __init__(self, *, says: str) -> None:
        self.says = Path(says)

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        if self.says.read_text() == "fail":
            raise ZeroDivisionError("told to")
        batch, number = super().encode(decoded), float(self.says.read_text())
        vectors = pa.array([[len(data), number] for data in decoded], batch["vector"].type)
        return batch.set_column(0, batch.schema.field(0), vectors)


class Changed(Toy):
    """Another encoder than `Toy`, of the same numbers doubled; fails to encode what says so."""

    version = 2

    def encode(self, decoded: Sequence[bytes]) -> pa.RecordBatch:
        if any(data.startswith(b"fail") for data in decoded):
            raise ZeroDivisionError("nothing to divide by")
        batch = super().encode(decoded)
        vectors = pa.array([[2 * len(data), 2] for data in decoded], batch["vector"].type)
        return batch.set_column(0, batch.schema.field(0), vectors)
