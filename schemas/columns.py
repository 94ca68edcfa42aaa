"""Columns and checks that several tables share."""

import pyarrow as pa

DATE = pa.field("date", pa.date32(), nullable=False)
TIMESTAMP = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
BLOCKS = pa.map_(pa.string(), pa.list_(pa.int32()))
WEIGHTS = pa.map_(pa.string(), pa.float64())
VECTOR = pa.list_(pa.float32())
"""Delta has no fixed-size list; the files hold `fixed_size_list<float32>[dim]`, the log says array of float."""


def string(name: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), nullable=nullable)


def finite(table: str) -> str:
    """The rows whose vector holds a null, a NaN or an infinity."""
    return f"SELECT * FROM {table} WHERE len(list_filter(vector, lambda x: x IS NULL OR NOT isfinite(x))) > 0"
