"""Extract one modality of a night: contents that the feature store lacks are decoded, encoded and added to it."""

import argparse
import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.storagelevel import StorageLevel

import lake.spark as tables
from jobs.encoding import Encoding
from jobs.ledger import Account, check_share, close
from jobs.night import Night, run_step
from jobs.session import spark_session
from schemas.features import FEATURES
from schemas.table import Modality
from schemas.tables import Interactions, Items, Quarantine

log = logging.getLogger("nightweave.extract")

CONTENTS_PER_TASK = 256
PROGRESS_EVERY_S = 10.0


def contents(spark: SparkSession, night: Night, modality: Modality) -> DataFrame:
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
    name = f"nightweave extract {modality} {night.ds}"
    with spark_session(name, night.config.extract.spark_settings()) as spark:
        extract_modality(spark, night, modality)


def extract_modality(spark: SparkSession, night: Night, modality: Modality) -> None:
    """Add to the feature store what it lacks of the contents known as of the night.

    Contents that were refused under the same encoder on an earlier night are not tried again, unless the night's own
    rows bring them: what a night puts into quarantine follows from its own rows, whatever ran before.
    """
    step, counter = f"extract_{modality}", spark.sparkContext.accumulator
    media_bytes = night.config.clean.max_media_bytes
    encoding = Encoding(night.raw, modality, night.config.extract, media_bytes, done=counter(0), refused=counter(0))
    fingerprint = encoding.encoder().fingerprint
    known = _with_lacking(contents(spark, night, modality), spark, night, modality, fingerprint)
    known = known.persist(StorageLevel.DISK_ONLY)
    arrived, count, late = _counts(known, "arrives", "lacking", "lacking AND NOT arrives")
    log.info("%s: %d contents to extract under %s", step, count, fingerprint)
    if not count:
        _quarantine(night, step, None, fingerprint)
        close(night, step, Account(rows_in=arrived, kept=arrived))
        return
    done = _encoded(known.filter("lacking"), count, encoding, description=f"{step}: {count} contents, {fingerprint}")
    with _progress(step, count, encoding):
        failed, refused = _counts(done, "reason IS NOT NULL", "reason IS NOT NULL AND arrives")
    _quarantine(night, step, done.filter("reason IS NOT NULL AND arrives") if refused else None, fingerprint)
    # A rerun tries again what was refused and nothing else, so the share is of all that the night answers for.
    check_share(night, step, refused=failed, rows_in=arrived + late, limit=night.config.extract.max_refused_share)
    _store(spark, night, modality, done.filter("reason IS NULL"), fingerprint)
    stored = _stored(spark, night, modality, fingerprint)
    kept = known.filter("arrives").join(stored, "content_key", "left_semi").count()
    close(night, step, Account(rows_in=arrived, kept=kept, refused=refused))


def _counts(rows: DataFrame, *conditions: str) -> list[int]:
    """How many rows meet each condition."""
    found = rows.agg(*(F.count_if(F.expr(c)).alias(str(n)) for n, c in enumerate(conditions))).first()
    return list(found) if found else [0] * len(conditions)


def _with_lacking(
    known: DataFrame, spark: SparkSession, night: Night, modality: Modality, fingerprint: str
) -> DataFrame:
    """The contents with a column `lacking`: whether this night is to extract them."""
    hopeless = (
        tables.read(spark, night.lake, Quarantine, ("stage", "=", f"extract_{modality}"), ("date", "<=", night.ds))
        .filter((F.col("date") < F.lit(night.date)) & F.startswith("detail", F.lit(fingerprint)))
        .select(F.col("record_id").alias("content_key"), F.lit(True).alias("hopeless"))
        .distinct()
    )
    stored = _stored(spark, night, modality, fingerprint).withColumn("stored", F.lit(True))
    marked = known.join(stored, "content_key", "left").join(hopeless, "content_key", "left")
    lacking = F.col("stored").isNull() & (F.col("arrives") | F.col("hopeless").isNull())
    return marked.withColumn("lacking", lacking).drop("stored", "hopeless")


def _stored(spark: SparkSession, night: Night, modality: Modality, fingerprint: str) -> DataFrame:
    where = ("encoder", "=", fingerprint)
    return tables.read(spark, night.lake, FEATURES[modality], where, columns=["content_key"])


def _encoded(todo: DataFrame, count: int, encoding: Encoding, *, description: str) -> DataFrame:
    """Features of contents or why there are none, one Spark task for so many of them, computed once."""
    context = todo.sparkSession.sparkContext
    context.setJobDescription(description)
    tasks = _tasks(count, batch_size=encoding.choice.batch_size, parallelism=context.defaultParallelism)
    spread = todo.drop("lacking").repartition(tasks, "content_key")
    return spread.mapInArrow(encoding, from_arrow_schema(encoding.schema())).persist(StorageLevel.DISK_ONLY)


def _store(spark: SparkSession, night: Night, modality: Modality, features: DataFrame, fingerprint: str) -> None:
    table = FEATURES[modality]
    rows = features.withColumn("encoder", F.lit(fingerprint)).withColumn("date", F.lit(night.date))
    rows = rows.coalesce(spark.sparkContext.defaultParallelism).sortWithinPartitions("content_key")
    tables.append_new(rows, night.lake, table, {"encoder": fingerprint})


@contextmanager
def _progress(step: str, count: int, encoding: Encoding) -> Iterator[None]:
    """Within it, the log says every few seconds how many contents are done, how many a second, and how many refused.

    Tasks report when they end. Spark's interface shows the same in its SQL tab, as rows out of the step `MapInArrow`.
    """
    started, over = time.monotonic(), threading.Event()

    def tell() -> None:
        done, seconds = encoding.done.value, time.monotonic() - started
        log.info("%s: %d of %d done, %.1f/s, %d refused", step, done, count, done / seconds, encoding.refused.value)

    def tell_now_and_then() -> None:
        while not over.wait(PROGRESS_EVERY_S):
            tell()

    teller = threading.Thread(target=tell_now_and_then, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    tell()


def _tasks(contents: int, *, batch_size: int, parallelism: int) -> int:
    """Spark tasks for so many contents: a core each where there is a batch for it, more only when tasks grow long."""
    return max(1, min(parallelism, math.ceil(contents / batch_size)), contents // CONTENTS_PER_TASK)


def _quarantine(night: Night, step: str, refused: DataFrame | None, fingerprint: str) -> None:
    """What the encoder refused, if anything; `detail` begins with the encoder's fingerprint: another may do better."""
    partition = {"date": night.ds, "stage": step}
    if refused is None:
        night.lake.write(Quarantine, Quarantine.schema.empty_table(), partition)
        return
    source = F.lit("text") if step == "extract_text" else F.col("content")
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
    tables.replace(rows, night.lake, Quarantine, partition)


if __name__ == "__main__":
    run_step("jobs.extract", options=("modality",))
