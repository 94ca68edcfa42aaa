"""The interface of an encoder: one piece of content in, one row of features out.

An encoder turns pieces of content of one modality (a text, or a media file) into vectors of a fixed width plus the
readable features of that modality. Decoding is separate from encoding, so that a job can decode files one by one,
refuse the bad ones, and encode the rest in batches that are filled across files.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from schemas.features import FEATURES
from schemas.table import Medium


class MediaError(Exception):
    """A piece of content cannot be decoded. `reason` is a short stable slug, `detail` the decoder's error message."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Encoder(ABC):
    """Base class of every encoder.

    Class attributes: `modality` (text, image, audio, video), `name` (unique within the modality), `version` (to be
    raised with every change of what the encoder computes). The readable features and quality flags beside `vector` are
    the same for every encoder of a modality: the columns of its feature store in `schemas.features`.

    Attributes:
        untrained: the vectors depend on random weights; the fingerprint, and with it every table and report that names
            the encoder, contains the word.
        space: a name that encoders of several modalities have in common where their vectors can be compared with each
            other, such as the two towers of an image-text model; empty for a space of its own. It changes no vector, so
            it is no part of the fingerprint.
    """

    modality: ClassVar[Medium]
    name: ClassVar[str]
    version: ClassVar[int]
    untrained: bool = False
    space: str = ""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of the vector."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """All settings that change the output; JSON-serialisable."""

    def weights_hash(self) -> str:
        """SHA-256 of the weight files, hex; empty for an encoder without weights."""
        return ""

    @cached_property
    def fingerprint(self) -> str:
        """`name-` or `name-untrained-`, then 12 hex digits of SHA-256 over name, version, weights and parameters."""
        identity = json.dumps([self.name, self.version, self.weights_hash(), self.parameters()], sort_keys=True)
        name = f"{self.name}-untrained" if self.untrained else self.name
        return f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    @abstractmethod
    def decode(self, content: Any) -> Any:
        """Decodes one piece of content.

        Args:
            content: a `str` for text, the `pathlib.Path` of a local file for the other modalities; for an encoder
                that is given its vectors, a list or array of numbers.

        Returns: what `encode` takes; picklable, as it crosses processes.

        Raises:
            MediaError: the content cannot be decoded.
        """

    @abstractmethod
    def encode(self, decoded: Sequence[Any]) -> pa.RecordBatch:
        """Encodes a batch of decoded contents.

        Returns: a record batch of `len(decoded)` rows, in order, with the fields of `schema()`.
        """

    def other_vectors(self) -> dict[str, int]:
        """Columns of the feature store, beside `vector`, that hold vectors of the content for fusion, with the width of
        each."""
        return {}

    def schema(self) -> pa.Schema:
        """The fields of a batch that `encode` returns."""
        return pa.schema(
            [pa.field("vector", pa.list_(pa.float32(), self.dim), nullable=False), *FEATURES[self.modality].columns]
        )
