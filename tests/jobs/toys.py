"""Encoders with which things go wrong, named in a configuration as `tests.jobs.toys:...`."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from features.base import MediaError
from tests import toys


class Toy(toys.Toy):
    """Of a sound file, its length in bytes, and 1."""

    modality, name, dim = "audio", "toy", 2

    def vector(self, data: bytes) -> list[float]:
        return [len(data), 1]


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

    def vector(self, data: bytes) -> list[float]:
        if data.startswith(b"fail"):
            raise ZeroDivisionError("nothing to divide by")
        return super().vector(data)


class Killed(Toy):
    """Its worker is killed the first time that it encodes; `mark` is a file that remembers."""

    def __init__(self, *, mark: str) -> None:
        self.mark = Path(mark)

    def vector(self, data: bytes) -> list[float]:
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().vector(data)


class OnGpu(Toy):
    """The second number of its vectors is the GPU that its process sees."""

    def vector(self, data: bytes) -> list[float]:
        return [len(data), float(os.environ["CUDA_VISIBLE_DEVICES"])]


class Restless(Toy):
    """The file `changes` in RAW is written over before what is decoded is read."""

    def __init__(self, *, changes: str) -> None:
        self.changes = Path(changes)

    def decode(self, content: Path) -> bytes:
        self.changes.write_bytes(b"not the same")
        return content.read_bytes()


class Lost(Toy):
    """Cannot decode, and names the file in its error, once with its folder and once without."""

    def decode(self, content: Path) -> bytes:
        raise MediaError("odd", f"{content} is odd, says {content.name}")


class Told(Toy):
    """The second number of its vectors stands in the file `says`; its fingerprint knows nothing of that."""

    def __init__(self, *, says: str) -> None:
        self.says = Path(says)

    def vector(self, data: bytes) -> list[float]:
        if self.says.read_text() == "fail":
            raise ZeroDivisionError("told to")
        return [len(data), float(self.says.read_text())]


class Changed(Choosy):
    """Another encoder than `Toy`, of the same numbers doubled; fails to encode what says so."""

    version = 2

    def vector(self, data: bytes) -> list[float]:
        return [2 * number for number in super().vector(data)]


class Gift(toys.TextBytes):
    """Has a name that the encoders keep for themselves that are given their vectors."""

    name = "given-away"
