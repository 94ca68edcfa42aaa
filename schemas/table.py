"""The base of every table: columns with their descriptions, partitioning, key and checks."""

import dataclasses
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar, Literal

import pyarrow as pa

from schemas.values import Values

TIMESTAMP = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
BLOCKS = pa.map_(pa.string(), pa.list_(pa.int32()))
WEIGHTS = pa.map_(pa.string(), pa.float64())
CALIBRATION = pa.map_(pa.string(), pa.list_(pa.float64()))
VERSIONS = pa.map_(pa.string(), pa.string())
VECTOR = pa.list_(pa.float32())
"""A list in the files too, although all of a file have one width: Delta's log knows no fixed-size list, and engines
that compare both (Polars) read no table whose files have another type than its log."""

Medium = Literal["text", "image", "audio", "video"]
MEDIA: tuple[Medium, ...] = ("text", "image", "audio", "video")
"""The modalities whose contents are extracted: each has encoders and a feature store."""
FILES: tuple[Medium, ...] = ("image", "audio", "video")
"""Those whose contents are files."""
Modality = Literal["text", "image", "audio", "video", "attributes"]
ATTRIBUTES: Modality = "attributes"
MODALITIES: tuple[Modality, ...] = (*MEDIA, ATTRIBUTES)
"""What an item's content consists of, for models: the media, and what its record says of it beside its texts (price,
category and free attributes), which nothing extracts."""

OF_EVENTS = ("history", "popularity")
"""What a score owes to events: what the user did, and what everybody likes. An item that nobody has had has neither."""
PARTS = (*OF_EVENTS, *MODALITIES)
"""What a score is the sum of, and the blocks of vectors: what comes of events, and the item's content, by modality."""

_QUERIES = files("schemas") / "checks"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        description: what a value is, for the page of tables: unit and range, the shape of a list, what null or an empty
            list means, the table that a key points to. It is no part of the Arrow field, so that rewording it changes
            no stored file and no stored schema.
        values: what each of its values stands for, where there are few; see `schemas.values`.
    """

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    values: Values = dataclasses.field(default_factory=dict)

    @property
    def field(self) -> pa.Field:
        return pa.field(self.name, self.type, nullable=self.nullable)

    @property
    def comment(self) -> str:
        """The description, and the names of the values."""
        return " ".join([self.description, *([f"Values: {', '.join(self.values)}."] if self.values else [])])


@dataclass(frozen=True)
class Check:
    """A promise about rows.

    Args:
        sql: selects the rows that break the promise, with the columns by which their table is partitioned.
        severity: `fail` stops a night, `warn` is reported only.
    """

    name: str
    sql: str
    severity: Literal["fail", "warn"] = "fail"


def query(file: str, **values: str) -> str:
    """The SQL in `schemas/checks/FILE`, with `values` in the place of its `{placeholders}`.

    Raises:
        KeyError: a placeholder has no value.
    """
    return (_QUERIES / file).read_text("utf-8").format(**values)


class Table:
    """Base of every table. The first line of a subclass's docstring is the table's grain.

    Class attributes:
        name: the table's name and its folder under LAKE.
        described: its columns in order, partition columns included.
        schema: their Arrow schema.
        partition_by: columns whose values make the unit of replacement; `date`, the night, is among them unless
            the rows outlive their night.
        key: columns that no two rows may share.
        nullable_key: those of the key that may be null.
        checks: further promises, over the table's own view and others'.
    """

    name: ClassVar[str]
    described: ClassVar[tuple[Column, ...]] = ()
    schema: ClassVar[pa.Schema]
    partition_by: ClassVar[tuple[str, ...]] = ("date",)
    key: ClassVar[tuple[str, ...]]
    nullable_key: ClassVar[tuple[str, ...]] = ()
    checks: ClassVar[tuple[Check, ...]] = ()

    def __init_subclass__(cls) -> None:
        if cls.described:
            cls.schema = pa.schema([column.field for column in cls.described])

    @classmethod
    def grain(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @classmethod
    def file_schema(cls) -> pa.Schema:
        """Schema of the Parquet files: partition columns live in the path alone."""
        return pa.schema([f for f in cls.schema if f.name not in cls.partition_by])

    @classmethod
    def commented(cls) -> pa.Schema:
        """The schema with each column's description as its `comment`, the name that Spark and other engines show."""
        comments = {column.name: column.comment for column in cls.described}
        return pa.schema(
            [f.with_metadata({"comment": comments[f.name]}) if f.name in comments else f for f in cls.schema]
        )

    @classmethod
    def all_checks(cls) -> tuple[Check, ...]:
        """The key's uniqueness, no null in the key, and the table's own checks."""
        key = ", ".join(cls.key)
        incomplete = " OR ".join(f"{column} IS NULL" for column in cls.key if column not in cls.nullable_key)
        return (
            Check("key is unique", query("any/key_is_unique.sql", table=cls.name, key=key)),
            Check("key is complete", query("any/key_is_complete.sql", table=cls.name, key=key, incomplete=incomplete)),
            *cls.checks,
        )
