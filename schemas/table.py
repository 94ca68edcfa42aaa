"""What a table is: columns, partitioning, key, and the checks that must hold after every night."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa

DATE = pa.field("date", pa.date32(), nullable=False)
TIMESTAMP = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
BLOCKS = pa.map_(pa.string(), pa.list_(pa.int32()))
WEIGHTS = pa.map_(pa.string(), pa.float64())
VECTOR = pa.list_(pa.float32())
"""Delta has no fixed-size list; the files hold `fixed_size_list<float32>[dim]`, the log says array of float."""


Modality = Literal["text", "image", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "audio", "video")


@dataclass(frozen=True)
class Check:
    """A promise about rows. `sql` selects the rows that break it, with the columns by which their table is partitioned;
    `fail` stops a night, `warn` only tells."""

    name: str
    sql: str
    severity: Literal["fail", "warn"] = "fail"


class Table:
    """Base of every table. The first line of a subclass's docstring is the table's grain.

    Class attributes:
        name: the table's name and its folder under LAKE.
        schema: Arrow schema of its rows, partition columns included.
        partition_by: columns whose values make the unit of replacement; `date`, the night, is among them unless
            the rows outlive their night.
        key: columns that no two rows may share.
        nullable_key: those of the key that may be null.
        checks: further promises, over the table's own view and others'.
    """

    name: ClassVar[str]
    schema: ClassVar[pa.Schema]
    partition_by: ClassVar[tuple[str, ...]] = ("date",)
    key: ClassVar[tuple[str, ...]]
    nullable_key: ClassVar[tuple[str, ...]] = ()
    checks: ClassVar[tuple[Check, ...]] = ()

    @classmethod
    def grain(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @classmethod
    def file_schema(cls) -> pa.Schema:
        """Schema of the Parquet files: partition columns live in the path alone."""
        return pa.schema([f for f in cls.schema if f.name not in cls.partition_by])

    @classmethod
    def all_checks(cls) -> tuple[Check, ...]:
        """The key's uniqueness, no null in the key, and the table's own checks."""
        key = ", ".join(cls.key)
        nulls = " OR ".join(f"{c} IS NULL" for c in cls.key if c not in cls.nullable_key)
        return (
            Check(
                "key is unique", f"SELECT {key}, count(*) AS rows FROM {cls.name} GROUP BY {key} HAVING count(*) > 1"
            ),
            Check("key is complete", f"SELECT {key} FROM {cls.name} WHERE {nulls}"),
            *cls.checks,
        )


def string(name: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), nullable=nullable)


def finite(table: str) -> str:
    """The rows whose vector holds a null, a NaN or an infinity."""
    return f"SELECT * FROM {table} WHERE len(list_filter(vector, lambda x: x IS NULL OR NOT isfinite(x))) > 0"
