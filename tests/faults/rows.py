"""What a lake holds, partition by partition, so that two lakes can be compared."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

import pyarrow as pa
from pyarrow.dataset import Dataset

from lake.lake import Lake
from schemas.features import FEATURES
from schemas.table import Table
from schemas.tables import TABLES, Costs, Published

COMPARED = tuple(table for table in TABLES.values() if table not in (Published, Costs))
FEATURE_STORES = frozenset(table.name for table in FEATURES.values())
Rows = Mapping[str, tuple[str, ...]]
"""Partition, as `table/column=value/...`, to a digest of each of its rows, ascending."""


def rows_of(lake: Lake) -> Rows:
    """Every partition that has rows. What was published when depends on the order of nights, and what steps cost on the
    machine: both are left out."""
    found = [rows_of_table(table, lake.dataset(table)) for table in COMPARED]
    return {partition: rows for of_table in found for partition, rows in of_table.items()}


def rows_of_table(table: type[Table], dataset: Dataset) -> Rows:
    """The partitions of one table, all from one version of it."""
    found: pa.Table = dataset.to_table()
    # Which night first extracted a content is the one value that the order of nights may change.
    compared = [name for name in table.schema.names if (name, table.name in FEATURE_STORES) != ("date", True)]
    partitions = defaultdict(list)
    for row in found.to_pylist():
        place = "/".join(f"{column}={row[column]}" for column in table.partition_by)
        said = repr([row[name] for name in compared])
        partitions[f"{table.name}/{place}"].append(hashlib.blake2b(said.encode(), digest_size=12).hexdigest())
    return {partition: tuple(sorted(rows)) for partition, rows in partitions.items()}


def digest(rows: tuple[str, ...]) -> str:
    return hashlib.blake2b(" ".join(rows).encode(), digest_size=12).hexdigest()


def differences(found: Rows, expected: Rows) -> tuple[str, ...]:
    """In words, each partition that is not as expected."""
    said = []
    for partition in sorted(found.keys() | expected.keys()):
        have, want = set(found.get(partition, ())), set(expected.get(partition, ()))
        if found.get(partition) != expected.get(partition):
            said.append(f"{partition}: {len(want - have)} rows absent, {len(have - want)} rows of its own")
    return tuple(said)
