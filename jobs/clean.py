"""Clean a night: raw partitions in, the night's `items` and `interactions` out, what is refused in `quarantine`."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.window import Window
from pyspark.storagelevel import StorageLevel

import lake.spark as tables
from jobs.landing import records
from jobs.landing.raw import Raw, Refusal
from jobs.runtime.completeness import reopen
from jobs.runtime.ledger import Account, check_share, close
from jobs.runtime.night import Night
from jobs.runtime.spark_session import spark_session
from schemas.table import Table
from schemas.tables import STRINGS, Interactions, Items, Quarantine

log = logging.getLogger("nightweave.clean")

MEDIA = ("image", "audio", "video")
ROWS_PER_BATCH = 2000
ORIGIN = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("position", pa.int64()),
        pa.field("record_id", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("digest", pa.string()),
        pa.field("unknown", STRINGS),
    ]
)
MEDIA_REFUSALS = pa.list_(pa.struct([("uri", pa.string()), ("reason", pa.string()), ("detail", pa.string())]))
Normalise = Callable[[dict[str, Any]], dict[str, Any]]


def parse(
    files: DataFrame, *, raw: Raw, table: type[Table], fields: frozenset[str], record_id: str, normalise: Normalise
) -> DataFrame:
    """Every record of `files` (column `path`) as one row: the table's columns, or the reason why it is refused.

    Beside them stand the columns of `ORIGIN`. Columns that a later step fills are null.
    """
    schema = pa.schema([*(f.with_nullable(True) for f in table.schema), *ORIGIN])

    def parse_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path in batch.column("path").to_pylist():
                rows = read_rows(path, raw=raw, fields=fields, record_id=record_id, normalise=normalise)
                yield from in_batches(rows, schema)

    return files.mapInArrow(parse_batches, from_arrow_schema(schema))


def read_rows(
    path: str, *, raw: Raw, fields: frozenset[str], record_id: str, normalise: Normalise
) -> Iterator[dict[str, Any]]:
    """Every record of one file as `parse` gives it; columns that are not there are null."""
    for position, record in raw.records(path):
        row: dict[str, Any] = {"source": path, "position": position}
        if isinstance(record, Refusal):
            yield row | {"reason": record.reason, "detail": record.detail}
            continue
        row["record_id"] = str(record.get(record_id) or "")[:200] or None
        row["unknown"] = sorted(str(name)[:100] for name in record.keys() - fields)
        try:
            values = normalise(record)
        except Refusal as refusal:
            yield row | {"reason": refusal.reason, "detail": refusal.detail}
        else:
            yield row | values | {"digest": records.digest(values)}


def resolve(parsed: DataFrame, *, key: tuple[str, ...], newest: tuple[Column, ...] = ()) -> DataFrame:
    """Mark what became of each row in a new column `fate`: kept, refused, duplicate or superseded.

    Of the rows with one key the first under `newest` is kept, then the last in file order. Of the others, those that
    are equal to it are duplicates; the rest are superseded.
    """
    refused = F.col("reason").isNotNull()
    same_key = Window.partitionBy(refused, *key).orderBy(*newest, F.desc("source"), F.desc("position"))
    return parsed.withColumn(
        "fate",
        F.when(refused, "refused")
        .when(F.row_number().over(same_key) == 1, "kept")
        .when(F.col("digest") == F.first("digest").over(same_key), "duplicate")
        .otherwise("superseded"),
    )


def with_media_keys(items: DataFrame, *, raw: Raw, max_bytes: int) -> DataFrame:
    """Hash the files that items point to; a path that is refused leaves its list and stands in `media_refusals`."""
    schema = pa.schema([*(f.with_nullable(True) for f in Items.schema), pa.field("media_refusals", MEDIA_REFUSALS)])

    def hashed(row: dict[str, Any]) -> dict[str, Any]:
        refusals = []
        for medium in MEDIA:
            keys: dict[str, str] = {}
            for uri in row[f"{medium}_uris"] if not row["deleted"] else ():
                try:
                    keys.setdefault(raw.media(uri, max_bytes=max_bytes), uri)
                except Refusal as refusal:
                    refusals.append({"uri": uri, "reason": refusal.reason, "detail": refusal.detail})
            row |= {f"{medium}_keys": list(keys), f"{medium}_uris": list(keys.values())}
        return row | {"media_refusals": refusals}

    def hash_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from in_batches((hashed(row) for row in batch.to_pylist()), schema)

    columns = [field.name for field in Items.schema]
    return items.select(columns).mapInArrow(hash_batches, from_arrow_schema(schema))


def clean_items(spark: SparkSession, night: Night) -> None:
    """Bring the night's items into the lake."""
    parsed = parse(
        _files(spark, night, "items"),
        raw=night.raw,
        table=Items,
        fields=records.ITEM_FIELDS,
        record_id="item_id",
        normalise=lambda record: records.item(record, config=night.config.clean) | {"date": night.date},
    )
    fates = resolve(parsed, key=("item_id",), newest=(F.desc_nulls_last("updated_at"),)).persist(StorageLevel.DISK_ONLY)
    counts = _refuse(night, "clean_items", fates)
    kept = fates.filter("fate = 'kept'").repartition(spark.sparkContext.defaultParallelism, "item_id")
    items = with_media_keys(kept, raw=night.raw, max_bytes=night.config.clean.max_media_bytes)
    items = items.persist(StorageLevel.DISK_ONLY)
    refusals = items.select("item_id", F.explode("media_refusals").alias("refusal"))
    _quarantine(
        night,
        "clean_media",
        refusals.select(
            F.col("refusal.uri").alias("source"),
            F.lit(0).cast("long").alias("position"),
            F.col("item_id").alias("record_id"),
            "refusal.reason",
            "refusal.detail",
        ),
    )
    _publish(items.drop("media_refusals"), night, Items)
    media = items.select(
        F.sum(sum((F.size(f"{m}_keys") for m in MEDIA), F.lit(0))).alias("kept"),
        F.sum(F.size("media_refusals")).alias("refused"),
    ).first()
    hashed, refused = (media["kept"] or 0, media["refused"] or 0) if media else (0, 0)
    close(night, "clean_media", Account(rows_in=hashed + refused, kept=hashed, refused=refused))
    close(night, "clean_items", _account(night, Items, counts, fates))


def clean_interactions(spark: SparkSession, night: Night) -> None:
    """Bring the night's interactions into the lake."""
    parsed = parse(
        _files(spark, night, "interactions"),
        raw=night.raw,
        table=Interactions,
        fields=records.INTERACTION_FIELDS,
        record_id="user_id",
        normalise=lambda record: (
            records.interaction(record, night=night.date, events=night.config.events, config=night.config.clean)
            | {"date": night.date}
        ),
    )
    fates = resolve(parsed, key=("user_id", "item_id", "timestamp", "event")).persist(StorageLevel.DISK_ONLY)
    counts = _refuse(night, "clean_interactions", fates)
    _publish(fates.filter("fate = 'kept'"), night, Interactions)
    close(night, "clean_interactions", _account(night, Interactions, counts, fates))


def _files(spark: SparkSession, night: Night, kind: str) -> DataFrame:
    paths = night.raw.files(kind, night.ds)
    log.info("%s: %d files in ds=%s", kind, len(paths), night.ds)
    files = spark.createDataFrame([(path,) for path in paths], "path string")
    return files.repartition(max(1, len(paths)))


def in_batches(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows as record batches of `schema`, 2,000 rows at most in each."""
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_PER_BATCH:
            yield pa.RecordBatch.from_pylist(batch, schema=schema)
            batch = []
    if batch:
        yield pa.RecordBatch.from_pylist(batch, schema=schema)


def _refuse(night: Night, step: str, fates: DataFrame) -> dict[str, int]:
    """Write what was refused, then stop the night if that is too much; returns rows by fate."""
    counts = {row["fate"]: row["count"] for row in fates.groupBy("fate").count().collect()}
    _quarantine(night, step, fates.filter("fate = 'refused'"))
    check_share(
        night,
        step,
        refused=counts.get("refused", 0),
        rows_in=sum(counts.values()),
        limit=night.config.clean.max_refused_share,
    )
    return counts


def _quarantine(night: Night, step: str, refused: DataFrame) -> None:
    rows = refused.withColumn("date", F.lit(night.date)).withColumn("stage", F.lit(step))
    columns = [field.name for field in Quarantine.schema]
    rows = rows.select(columns).coalesce(1).sortWithinPartitions("source", "position", "record_id")
    tables.replace(rows, night.lake, Quarantine, {"date": night.ds, "stage": step})


def _publish(rows: DataFrame, night: Night, table: type[Table]) -> None:
    columns = [field.name for field in table.schema]
    key = [column for column in table.key if column != "date"]
    tables.replace(rows.select(columns).sortWithinPartitions(*key), night.lake, table, {"date": night.ds})


def _account(night: Night, table: type[Table], counts: dict[str, int], fates: DataFrame) -> Account:
    """The step's account; what was kept is counted in the table itself, not where it was decided."""
    unknown = fates.select(F.explode("unknown").alias("name")).groupBy("name").count().collect()
    return Account(
        rows_in=sum(counts.values()),
        kept=night.lake.count(table, {"date": night.ds}),
        refused=counts.get("refused", 0),
        duplicates=counts.get("duplicate", 0),
        superseded=counts.get("superseded", 0),
        unknown_columns={row["name"]: row["count"] for row in unknown},
    )


def run(night: Night, *, publish: bool = True) -> None:
    """Clean the night.

    Args:
        publish: whether its run is to be published; if not, a night that is complete stays so.
    """
    if publish:
        reopen(night)
    with spark_session(f"nightweave clean {night.ds}") as spark:
        clean_items(spark, night)
        clean_interactions(spark, night)
