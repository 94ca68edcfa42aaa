"""Live files written anew: small ones merged, or rows in them replaced by others with the same key."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lake import parquet
from lake.commits import attempts, live_files
from lake.errors import LakeError
from lake.lake import Lake
from lake.writer import StagedFile
from schemas.table import Table


@dataclass(frozen=True)
class Merge:
    """Live files of one partition that are to become one."""

    partition: Mapping[str, str]
    paths: tuple[str, ...]
    size: int
    rows: int


def merges(lake: Lake, table: type[Table], *, target_bytes: int) -> list[Merge]:
    """Return what `compact` would merge: of each partition the files below the target, in order, up to it."""
    return list(_planned(table, lake.files(table), target_bytes))


def compact(lake: Lake, table: type[Table], *, target_bytes: int) -> list[Merge]:
    """Merge each partition's small files, one commit a merged file; rows stay, sorted by the table's key in each file.

    Returns: what was merged. Files that another writer replaces meanwhile are left to that writer.

    Raises:
        LakeError: other writers were faster too often, or a file holds other rows than the log counts.
        DamageError: a file is missing or damaged.
    """
    return [merge for merge in merges(lake, table, target_bytes=target_bytes) if _merge(lake, table, merge)]


def put(
    lake: Lake,
    table: type[Table],
    files: Sequence[StagedFile],
    partition: Mapping[str, str],
    *,
    without: Sequence[str] = (),
) -> int:
    """Add the rows of `files` in one commit, in the place of those of the partition with their keys.

    Args:
        without: keys whose rows are removed too.

    Returns: how many rows were added.

    Raises:
        LakeError: other writers were faster too often.
        DamageError: a file is missing or damaged.
    """
    (key,) = (column for column in table.key if column not in partition)
    added = [_read(lake, table, file.path, [key])[key].cast(pa.string()) for file in files]
    keys = pa.concat_arrays([*(chunk for column in added for chunk in column.chunks), pa.array(without, pa.string())])
    for _ in attempts(table.name):
        version = lake.current(table)
        gone, kept = [], []
        for path in _paths(version, partition):
            stale = pc.is_in(_read(lake, table, path, [key])[key], value_set=keys)
            if not pc.any(stale).as_py():
                continue
            gone.append(path)
            rest = _read(lake, table, path).filter(pc.invert(stale))
            if staged := lake.stage(table, rest.to_batches(), partition):
                kept.append(staged)
        if not files and not gone:
            return 0
        if lake.swap(table, version, gone=gone, files=[*kept, *files], partition=partition, data_change=True):
            break
        _discard(lake, table, kept)
    return sum(file.rows for file in files)


def _planned(table: type[Table], files: pa.Table, target_bytes: int) -> Iterator[Merge]:
    partitions = defaultdict(list)
    for file in files.sort_by("path").to_pylist():
        if file["size_bytes"] < target_bytes:
            partitions[tuple(str(file[f"partition.{column}"]) for column in table.partition_by)].append(file)
    for values, small in sorted(partitions.items()):
        partition = dict(zip(table.partition_by, values, strict=True))
        for group in _groups(small, target_bytes):
            if len(group) > 1:
                paths = tuple(file["path"] for file in group)
                size, rows = (sum(file[name] for file in group) for name in ("size_bytes", "num_records"))
                yield Merge(partition, paths, size, rows)


def _groups(files: list[dict], target_bytes: int) -> Iterator[list[dict]]:
    """Neighbours that together have no more than so many bytes."""
    group: list[dict] = []
    for file in files:
        if group and sum(f["size_bytes"] for f in group) + file["size_bytes"] > target_bytes:
            yield group
            group = []
        group.append(file)
    yield group


def _merge(lake: Lake, table: type[Table], merge: Merge) -> bool:
    merged = None
    for _ in attempts(table.name):
        version = lake.current(table)
        if not set(merge.paths) <= set(_paths(version, merge.partition)):
            break
        merged = merged or _merged(lake, table, merge)
        if lake.swap(table, version, gone=merge.paths, files=[merged], partition=merge.partition, data_change=False):
            return True
    _discard(lake, table, [merged] if merged else [])
    return False


def _merged(lake: Lake, table: type[Table], merge: Merge) -> StagedFile:
    rows = pa.concat_tables([_read(lake, table, path) for path in merge.paths])
    key = [(column, "ascending") for column in table.key if column not in merge.partition]
    staged = lake.stage(table, (rows.sort_by(key) if key else rows).combine_chunks().to_batches(), merge.partition)
    if staged is None or staged.rows != merge.rows:
        found = staged.rows if staged else 0
        raise LakeError(f"{table.name}: {found} rows in {merge.paths}, {merge.rows} by the log; run nightweave verify")
    return staged


def _read(lake: Lake, table: type[Table], path: str, columns: list[str] | None = None) -> pa.Table:
    """Rows of one file; columns that came to the table after it are null, and those that became nullable may be.

    Raises:
        DamageError: the file is gone or damaged; written anew, a damaged page would get a checksum that is right.
    """
    filesystem, root = lake.filesystem(table)
    with lake.naming_damage(table):
        rows = parquet.table(filesystem, f"{root}/{path}", columns=columns)
    for field in table.file_schema():
        if columns is None and field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    rows = rows.select(columns or table.file_schema().names)
    nullable = [field.with_nullable(table.schema.field(field.name).nullable) for field in rows.schema]
    return rows.cast(pa.schema(nullable))


def _paths(version: DeltaTable, partition: Mapping[str, str]) -> list[str]:
    """The live files of one partition, by path."""
    return sorted(live_files(version, partition)["path"].to_pylist())


def _discard(lake: Lake, table: type[Table], files: list[StagedFile]) -> None:
    filesystem, root = lake.filesystem(table)
    for file in files:
        filesystem.delete_file(f"{root}/{file.path}")
