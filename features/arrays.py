"""NumPy results as the Arrow columns of a feature batch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def feature_batch(schema: pa.Schema, vectors: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """A record batch with the fields of `schema`.

    Args:
        schema: the field `vector` (a fixed-size list of dim float32) and the readable features.
        vectors: float32 [n, dim], the column `vector`.
        rows: n mappings from the names of the other fields to a row's values.

    Raises:
        ValueError: the vectors' shape doesn't fit the schema and the rows, or a vector holds NaN or infinity.
    """
    width = schema.field("vector").type.list_size
    if vectors.shape != (len(rows), width):
        raise ValueError(f"vectors must be [{len(rows)}, {width}], not {list(vectors.shape)}")
    if not np.isfinite(vectors).all():
        raise ValueError("a vector holds NaN or infinity")
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel(), pa.float32())
    columns = [pa.FixedSizeListArray.from_arrays(flat, width)]
    columns += [pa.array([row[field.name] for row in rows], field.type) for field in schema if field.name != "vector"]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def stacked(vectors: Iterable[np.ndarray], width: int) -> np.ndarray:
    """Vectors [width] stacked as the rows of float32 [n, width]; n may be 0."""
    return np.array(list(vectors), np.float32).reshape(-1, width)
