"""Commits to a Delta table: each is made for exactly one version of it, and again where another writer was faster."""

import json
import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from lake import damage
from lake.errors import LakeError
from lake.writer import StagedFile

ATTEMPTS = 50


def attempts(name: str) -> Iterator[int]:
    """Yield the numbers of attempts at a commit to a table, further and further apart, so that many writers get
    through.

    Raises:
        LakeError: none of so many was the last.
    """
    spread = random.Random(uuid.uuid4().int)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(spread.uniform(0, min(1.0, 0.02 * 2**attempt)))
        yield attempt
    raise LakeError(f"{name}: {ATTEMPTS} commits lost to other writers; run it again")


def commit(
    delta: DeltaTable,
    partition_by: Sequence[str],
    actions: Iterable[AddAction | RemoveAction],
    *,
    replaced: Mapping[str, str] | None = None,
    marks: Mapping[str, int] | None = None,
) -> bool:
    """Commit actions as the version after `delta`.

    Args:
        replaced: a partition of which all files go that no action adds.
        marks: numbers that the log keeps under their names, whatever is compacted.

    Returns: whether the commit was made; it is not where another writer has made one since.
    """
    mode: Literal["append", "overwrite"] = "append" if replaced is None else "overwrite"
    filters = None if replaced is None else [(column, "=", value) for column, value in replaced.items()]
    kept = [Transaction(name, number) for name, number in (marks or {}).items()]
    properties = CommitProperties(max_commit_retries=0, app_transactions=kept)
    try:
        delta.create_write_transaction(
            list(actions), mode, delta.schema(), list(partition_by), filters, commit_properties=properties
        )
    except CommitFailedError:
        return False
    return True


def added(
    files: Iterable[StagedFile], partition: Mapping[str, str], *, data_change: bool = True
) -> Iterator[AddAction]:
    """Yield what a commit says of the files of one partition that it adds."""
    for file in files:
        stats = json.dumps({"numRecords": file.rows})
        yield AddAction(file.path, file.size, dict(partition), _now_ms(), data_change, stats)


def removed(paths: Iterable[str], partition: Mapping[str, str], *, data_change: bool = True) -> Iterator[RemoveAction]:
    """Yield what a commit says of the files of one partition that it takes out."""
    for path in paths:
        yield RemoveAction(path, data_change, _now_ms(), partition_values=dict(partition))


def marks(partition: Mapping[str, str], version: int, made_from: Mapping[str, int] | None) -> dict[str, int]:
    """Return what a commit that replaces a partition keeps in the log: its own version, and, by table, those that the
    rows were made from."""
    return {mark(partition): version} | {mark(partition, source): read for source, read in (made_from or {}).items()}


def mark(partition: Mapping[str, str], source: str | None = None) -> str:
    """Return the name under which the log keeps the version that last replaced a partition, or, of a `source`, the
    version that the partition was made from. Log entries of this kind (`txn`) outlive checkpoints and compaction.

    >>> mark({"date": "2026-11-01"}), mark({"date": "2026-11-01"}, "items")
    ('date=2026-11-01', 'date=2026-11-01 from items')
    """
    place = damage.place(partition)
    return f"{place} from {source}" if source else place


def live_files(version: DeltaTable, partition: Mapping[str, str]) -> pa.Table:
    """Return the live files of a version of a table, of those partitions that have these values; see `Lake.files`."""
    actions = pa.table(version.get_add_actions(flatten=True))
    return actions.filter(in_partition(actions, partition)) if partition else actions


def in_partition(files: pa.Table, partition: Mapping[str, Any]) -> pa.ChunkedArray:
    """Return for each of a table's files, as `live_files` lists them, whether its partition has these values."""
    here = (pc.equal(values := files[f"partition.{c}"], pa.scalar(v).cast(values.type)) for c, v in partition.items())
    return reduce(pc.and_, here)


def _now_ms() -> int:
    return int(time.time() * 1000)
