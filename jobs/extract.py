"""Extract one modality of a night: contents that the feature store lacks are decoded, encoded and added to it."""

import argparse
import json
import logging
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.storagelevel import StorageLevel

import lake.spark as tables
from features.base import Encoder, MediaError
from features.registry import encoder
from jobs.ledger import Account, check_share, close
from jobs.night import Night, run_step
from jobs.raw import Raw, Refusal
from jobs.session import spark_session
from schemas.features import FEATURES
from schemas.tables import Interactions, Items, Quarantine

log = logging.getLogger("nightweave.extract")

CONTENTS_PER_TASK = 2000
DECODERS_PER_TASK = 2
REFUSAL = pa.schema([pa.field("reason", pa.string()), pa.field("detail", pa.string())])


@cache
def _encoder(modality: str, name: str, parameters: str) -> Encoder:
    """One encoder a process, so that a Spark worker loads its weights once."""
    return encoder(modality, name, **json.loads(parameters))


@dataclass(frozen=True)
class Extraction:
    """What a Spark task needs to encode contents: picklable, the model itself is loaded where it runs."""

    raw: Raw
    modality: str
    name: str
    parameters: dict[str, Any]
    batch_size: int
    max_media_bytes: int

    def encoder(self) -> Encoder:
        return _encoder(self.modality, self.name, json.dumps(self.parameters, sort_keys=True))

    def schema(self) -> pa.Schema:
        """The contents' own columns, the features, and why there are none."""
        content = [
            pa.field("content_key", pa.string()),
            pa.field("content", pa.string()),
            pa.field("arrives", pa.bool_()),
        ]
        features = [pa.field("vector", pa.list_(pa.float32())), *FEATURES[self.modality].columns]
        return pa.schema([*content, *(f.with_nullable(True) for f in features), *REFUSAL])

    def decode(self, row: dict[str, Any]) -> Any:
        """One content, decoded; a media file must still be the one that was cleaned.

        Raises:
            MediaError: it cannot be decoded.
            Refusal: it is no longer there, or its bytes have changed.
        """
        if self.modality == "text":
            return self.encoder().decode(row["content"])
        found = self.raw.media(row["content"], max_bytes=self.max_media_bytes)
        if found != row["content_key"]:
            raise Refusal("media_changed", f"{row['content']}: its bytes are not those that were cleaned")
        with self.raw.local(row["content"]) as path:
            return self.encoder().decode(path)

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Features of the contents in `batches`; batches are filled across files, decoding runs ahead of encoding."""
        schema = self.schema()
        good: list[tuple[dict[str, Any], Any]] = []
        for row, decoded in self._decoded(row for batch in batches for row in batch.to_pylist()):
            if isinstance(decoded, MediaError | Refusal):
                refused = row | {"reason": decoded.reason, "detail": decoded.detail}
                yield pa.RecordBatch.from_pylist([refused], schema=schema)
                continue
            good.append((row, decoded))
            if len(good) == self.batch_size:
                yield self._encoded(good, schema)
                good = []
        if good:
            yield self._encoded(good, schema)

    def _decoded(self, rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
        """Rows with their decoded content in order, at most one batch ahead of whoever takes them."""
        ahead: deque[tuple[dict[str, Any], Future]] = deque()
        with ThreadPoolExecutor(DECODERS_PER_TASK) as pool:
            for row in rows:
                ahead.append((row, pool.submit(self._attempt, row)))
                if len(ahead) > self.batch_size:
                    first, decoded = ahead.popleft()
                    yield first, decoded.result()
            for row, decoded in ahead:
                yield row, decoded.result()

    def _attempt(self, row: dict[str, Any]) -> Any:
        try:
            return self.decode(row)
        except (MediaError, Refusal) as refusal:
            return refusal

    def _encoded(self, good: list[tuple[dict[str, Any], Any]], schema: pa.Schema) -> pa.RecordBatch:
        features = self.encoder().encode([decoded for _, decoded in good])
        rows = pa.RecordBatch.from_pylist([row for row, _ in good])
        columns = []
        for field in schema:
            source = features if field.name in features.schema.names else rows
            known = field.name in source.schema.names
            columns.append(source.column(field.name).cast(field.type) if known else pa.nulls(len(good), field.type))
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def contents(spark: SparkSession, night: Night, modality: str) -> DataFrame:
    """The distinct contents as of the night, of items and, for text, of what users wrote: `content_key`, `content` (the
    text, or a path relative to RAW) and `arrives`, which says that the night's own rows bring it."""
    arrived = ("date", "<=", night.ds)
    if modality == "text":
        columns = ["date", "text_key", "text"]
        items = tables.read(spark, night.lake, Items, arrived, columns=["deleted", *columns]).filter("NOT deleted")
        written = tables.read(spark, night.lake, Interactions, arrived, columns=columns)
        pairs = items.select(columns).union(written).toDF("date", "content_key", "content")
    else:
        columns = ["date", "deleted", f"{modality}_keys", f"{modality}_uris"]
        items = tables.read(spark, night.lake, Items, arrived, columns=columns).filter("NOT deleted")
        zipped = F.explode(F.arrays_zip(f"{modality}_keys", f"{modality}_uris")).alias("file")
        pairs = items.select("date", zipped).select(
            "date", F.col(f"file.{modality}_keys").alias("content_key"), F.col(f"file.{modality}_uris").alias("content")
        )
    return (
        pairs.filter("content_key IS NOT NULL")
        .groupBy("content_key")
        .agg(F.min("content").alias("content"), F.max(F.col("date") == F.lit(night.date)).alias("arrives"))
    )


def run(night: Night, arguments: argparse.Namespace) -> None:
    modality = arguments.modality
    with spark_session(f"nightweave extract {modality} {night.ds}") as spark:
        extract_modality(spark, night, modality)


def extract_modality(spark: SparkSession, night: Night, modality: str) -> None:
    """Add to the feature store what it lacks of the contents known as of the night.

    Contents that were refused under the same encoder on an earlier night are not tried again, unless the night's own
    rows bring them: what a night puts into quarantine follows from its own rows, whatever ran before.
    """
    step, table = f"extract_{modality}", FEATURES[modality]
    choice = night.config.extract.encoders[modality]
    extraction = Extraction(
        night.raw,
        modality,
        choice.name,
        choice.parameters,
        night.config.extract.batch_size,
        night.config.clean.max_media_bytes,
    )
    fingerprint = extraction.encoder().fingerprint
    partition = {"encoder": fingerprint}
    known = contents(spark, night, modality).persist(StorageLevel.DISK_ONLY)
    todo = _lacking(spark, night, step, known, fingerprint).persist(StorageLevel.DISK_ONLY)
    count = todo.count()
    log.info("%s: %d contents to extract under %s", step, count, fingerprint)
    started = time.monotonic()
    tasks = _tasks(count, batch_size=extraction.batch_size, parallelism=spark.sparkContext.defaultParallelism)
    spread = todo.repartition(tasks, "content_key")
    done = spread.mapInArrow(extraction, from_arrow_schema(extraction.schema())).persist(StorageLevel.DISK_ONLY)
    refused = done.filter("reason IS NOT NULL")
    failed = refused.count()
    if count:
        log.info("%s: %d extracted, %d refused, %.1f s", step, count - failed, failed, time.monotonic() - started)
    _quarantine(night, step, refused.filter("arrives"), fingerprint)
    # A rerun tries again what was refused and nothing else, so the share is of all that the night answers for.
    arriving = known.filter("arrives").select("content_key")
    arrived = arriving.count()
    answered_for = arrived + todo.filter("NOT arrives").count()
    check_share(night, step, refused=failed, rows_in=answered_for, limit=night.config.extract.max_refused_share)
    if count > failed:
        features = (
            done.filter("reason IS NULL")
            .withColumn("encoder", F.lit(fingerprint))
            .withColumn("date", F.lit(night.date))
        )
        names = [field.name for field in table.schema]
        tables.append_new(features.select(names).sortWithinPartitions("content_key"), night.lake, table, partition)
    stored = tables.read(spark, night.lake, table, ("encoder", "=", fingerprint), columns=["content_key"])
    kept = arriving.join(stored, "content_key", "left_semi").count()
    close(night, step, Account(rows_in=arrived, kept=kept, refused=refused.filter("arrives").count()))


def _lacking(spark: SparkSession, night: Night, step: str, known: DataFrame, fingerprint: str) -> DataFrame:
    table = FEATURES[step.removeprefix("extract_")]
    stored = tables.read(spark, night.lake, table, ("encoder", "=", fingerprint), columns=["content_key"])
    hopeless = (
        tables.read(spark, night.lake, Quarantine, ("stage", "=", step), ("date", "<=", night.ds))
        .filter((F.col("date") < F.lit(night.date)) & F.startswith("detail", F.lit(fingerprint)))
        .select(F.col("record_id").alias("content_key"), F.lit(True).alias("hopeless"))
        .distinct()
    )
    lacking = known.join(stored, "content_key", "left_anti").join(hopeless, "content_key", "left")
    return lacking.filter("arrives OR hopeless IS NULL").drop("hopeless")


def _tasks(contents: int, *, batch_size: int, parallelism: int) -> int:
    """Spark tasks for so many contents: a core each where there is a batch for it, more only when tasks grow long."""
    return max(1, min(parallelism, math.ceil(contents / batch_size)), contents // CONTENTS_PER_TASK)


def _quarantine(night: Night, step: str, refused: DataFrame, fingerprint: str) -> None:
    """What the encoder refused; `detail` begins with the encoder's fingerprint, since another may do better."""
    source = F.lit("items") if step == "extract_text" else F.col("content")
    rows = refused.select(
        F.lit(night.date).alias("date"),
        F.lit(step).alias("stage"),
        source.alias("source"),
        F.lit(0).cast("long").alias("position"),
        F.col("content_key").alias("record_id"),
        "reason",
        F.concat(F.lit(f"{fingerprint}: "), F.coalesce("detail", F.lit(""))).alias("detail"),
    )
    rows = rows.coalesce(1).sortWithinPartitions("source", "record_id")
    tables.replace(rows, night.lake, Quarantine, {"date": night.ds, "stage": step})


if __name__ == "__main__":
    run_step("jobs.extract", options=("modality",))
