"""Encoding contents within a Spark task: batches of features, and the contents refused, with the reason."""

import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
from pyspark import TaskContext

from features.base import Encoder, MediaError
from features.decoding.worker_pool import Decoders
from features.registry import encoder, locate
from jobs.extraction import gpu
from jobs.landing.raw import Raw, Refusal
from schemas.config import EncoderChoice, Extract
from schemas.table import Medium

log = logging.getLogger("nightweave.encoding")

DECODERS_PER_TASK = 2
VECTORS_PER_BATCH = 2048
"""Vectors that are given are written in batches of this size at least; nothing is computed that they could fill up."""
Row = dict[str, Any]


@cache
def encoder_of_process(modality: str, name: str, parameters: str) -> Encoder:
    """Return the encoder of this process, made once, so that its weights are loaded once; `parameters` are JSON."""
    return encoder(modality, name, **json.loads(parameters))


@cache
def _decoders(modality: str, name: str, parameters: str, timeout_s: float, memory_bytes: int) -> Decoders:
    """The child processes of this process, kept from task to task."""
    where = locate(modality, name)
    return Decoders(where, json.loads(parameters), timeout_s=timeout_s, memory_bytes=memory_bytes)


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads of this process that wait for its decoders."""
    return ThreadPoolExecutor(DECODERS_PER_TASK)


def use_task_resources() -> None:
    """Make this process use the resources of its Spark task: its GPU, and as many threads as the task has cores.

    A network is faster with one thread a core than with threads that wait for each other, and gives the same bits on
    machines with more cores.
    """
    context = TaskContext.get()
    if context is None:
        return
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(context.cpus()))
    gpu.pin(context.resources())


@dataclass(frozen=True)
class Refused:
    """A content that has no features; `reason` is a stable slug."""

    row: Row
    reason: str
    detail: str


@dataclass(frozen=True)
class Encoding:
    """A callable from contents to batches of features; picklable, models are loaded in the process that calls it."""

    raw: Raw
    modality: Medium
    choice: EncoderChoice
    settings: Extract
    max_media_bytes: int

    @property
    def batch_size(self) -> int:
        return max(self.choice.batch_size, VECTORS_PER_BATCH) if self.choice.is_given else self.choice.batch_size

    def encoder(self) -> Encoder:
        return encoder_of_process(self.modality, self.choice.name, _json(self.choice.parameters))

    def __call__(self, rows: Iterable[Row]) -> Iterator[pa.RecordBatch | Refused]:
        """Yield batches with `content_key` and the features of contents, in order, and between them the refused.

        Batches are filled across files; decoding runs ahead of encoding.

        Args:
            rows: contents with their `content_key`, and as `content` the text, the file's path relative to RAW, or the
                vector.
        """
        good: list[tuple[Row, Any]] = []
        for row, decoded in self._decoded(rows):
            if isinstance(decoded, MediaError | Refusal):
                yield Refused(row, decoded.reason, decoded.detail)
                continue
            good.append((row, decoded))
            if len(good) == self.batch_size:
                yield from self._encoded(good)
                good = []
        if good:
            yield from self._encoded(good)

    def _decoded(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Any]]:
        """Rows with their decoded content or its refusal, in order, decoded at most a batch ahead of the consumer."""
        if self.choice.is_given:  # a thread would cost more than the decoding
            yield from ((row, self._attempt(row)) for row in rows)
            return
        ahead: deque[tuple[Row, Future]] = deque()
        for row in rows:
            ahead.append((row, _threads().submit(self._attempt, row)))
            if len(ahead) > self.batch_size:
                first, decoded = ahead.popleft()
                yield first, decoded.result()
        for row, decoded in ahead:
            yield row, decoded.result()

    def _attempt(self, row: Row) -> Any:
        try:
            if self.modality == "text" or self.choice.is_given:
                return self.encoder().decode(row["content"])
            return self._decode_file(row)
        except (MediaError, Refusal) as refusal:
            return refusal

    def _decode_file(self, row: Row) -> Any:
        """Decode a media file, whose bytes must be those that were cleaned.

        Raises:
            MediaError: it cannot be decoded.
            Refusal: it is no longer there, or its bytes have changed.
        """
        limits = (self.settings.decode_timeout_s, self.settings.decode_memory_mib << 20)
        decoders = _decoders(self.modality, self.choice.name, _json(self.choice.parameters), *limits)
        with self.raw.local(row["content"], key=row["content_key"], max_bytes=self.max_media_bytes) as path:
            try:
                return decoders.decode(path)
            except MediaError as error:
                detail = error.detail  # the copy's name is another one in each run
                for name in (str(path), path.name):
                    detail = detail.replace(name, row["content"])
                raise MediaError(error.reason, detail) from None

    def _encoded(self, good: list[tuple[Row, Any]]) -> Iterator[pa.RecordBatch | Refused]:
        """Features of decoded contents; where a batch fails, its contents are tried one by one."""
        try:
            features = self.encoder().encode([decoded for _, decoded in good])
        except Exception as error:
            if len(good) == 1:
                log.exception("%s cannot be encoded", good[0][0]["content_key"])
                yield Refused(good[0][0], "unencodable", f"{type(error).__name__}: {error}")
                return
            for one in good:
                yield from self._encoded([one])
            return
        yield features.add_column(0, "content_key", pa.array([row["content_key"] for row, _ in good], pa.string()))


def _json(parameters: dict[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True)
