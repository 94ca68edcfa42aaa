"""Files in a table's folder that no reader needs any more.

A file is needed while the table's current version has it, or a night that is staged; for a while after a commit has
replaced it, since a reader may have begun before; and while it is young, since a writer writes files before it commits
them.
"""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from urllib.parse import unquote

import pyarrow.fs as pafs

from lake import damage, staging
from lake.commits import attempts, commit
from lake.damage import CHECKPOINT, COMMIT, LOG
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import TABLES

CUT = "cut"
"""The name under which a table's log keeps the version at which it begins."""


@dataclass(frozen=True)
class Unneeded:
    """A file, its path within its file system. An `orphan` was left by a write that failed: no commit names it."""

    path: str
    size: int
    kind: Literal["replaced", "orphan"]


def old_before(lake: Lake, *, days: float, now: datetime) -> datetime:
    """Return the moment before which what is unneeded is old: so many days ago, and so many days of work ago.

    Days of work are those, in UTC, on which a commit was made to any table. A clock that jumps ahead by a week makes
    none, so that what a night has put down before the jump, and not yet committed, is still young.
    """
    worked = set()
    for table in TABLES.values():
        filesystem, root = lake.filesystem(table)
        for info in filesystem.get_file_info(pafs.FileSelector(f"{root}/{LOG}", allow_not_found=True)):
            if COMMIT.fullmatch(info.base_name) and info.mtime is not None and info.mtime <= now:
                worked.add(info.mtime.astimezone(UTC).date())
    newest, needed = sorted(worked, reverse=True), math.ceil(days)
    if len(newest) < needed:
        return datetime.min.replace(tzinfo=UTC)
    return min(now - timedelta(days=days), datetime.combine(newest[needed - 1], time.min, UTC))


def unneeded(lake: Lake, table: type[Table], *, before: datetime) -> list[Unneeded]:
    """Return the table's Parquet files that were written before that moment, are neither live nor staged, and were not
    live since.

    What the log no longer names (Delta keeps 30 days of commits) counts as an orphan.
    """
    filesystem, root = lake.filesystem(table)
    # The folder is read before the log: what is committed in between is then found live.
    found = filesystem.get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True))
    old = [
        info
        for info in found
        if info.path.endswith(".parquet")
        and not info.path.startswith(f"{root}/{LOG}/")
        and info.mtime is not None
        and info.mtime < before
    ]
    # What is staged is read first: what is published in between is then found live.
    staged = {
        file.path for night in staging.nights(lake) for part in staging.parts(lake, night, table) for file in part.files
    }
    added, removed_since = _named(filesystem, [info.path for info in found], root, since=before)
    live = {unquote(path) for path in lake.files(table)["path"].to_pylist()}
    needed = live | staged | removed_since
    names = [(info, unquote(info.path[len(root) + 1 :])) for info in old]
    return [
        Unneeded(info.path, info.size, "replaced" if name in added else "orphan")
        for info, name in names
        if name not in needed
    ]


def remove(lake: Lake, table: type[Table], files: list[Unneeded]) -> None:
    """Delete files that `unneeded` has found."""
    filesystem, _ = lake.filesystem(table)
    for file in files:
        filesystem.delete_file(file.path)


def cut_log(lake: Lake, table: type[Table]) -> None:
    """Write what a table's log says now as a checkpoint, and delete all that it said before: earlier versions can then
    not be read.

    A commit of its own, which changes nothing, is what is left beside the checkpoint: Delta's client makes none on a
    table without its last one.

    Raises:
        LakeError: other writers were faster too often.
    """
    filesystem, root = lake.filesystem(table)
    log = sorted(
        name for name in damage.log_files(filesystem, root) if COMMIT.fullmatch(name) or CHECKPOINT.fullmatch(name)
    )
    if {damage.version_of(name) for name in log[1:]} <= {damage.version_of(name) for name in log[:1]}:
        return  # there is no log, or nothing before its last commit
    for _ in attempts(table.name):
        delta = lake.current(table)
        if commit(delta, table.partition_by, [], marks={CUT: (version := delta.version() + 1)}):
            break
    lake.current(table).create_checkpoint()
    for name in log:
        if damage.version_of(name) < version:
            filesystem.delete_file(f"{root}/{LOG}/{name}")


def _named(filesystem: pafs.FileSystem, paths: list[str], root: str, *, since: datetime) -> tuple[set[str], set[str]]:
    """Files that the log's commits have added, and those that they have removed since that moment."""
    added, removed = set(), set()
    commits = [path for path in paths if path.startswith(f"{root}/{LOG}/") and path.endswith(".json")]
    with ThreadPoolExecutor(16) as pool:
        for lines in pool.map(lambda path: _lines(filesystem, path), commits):
            for action in map(json.loads, lines):
                if "add" in action:
                    added.add(unquote(action["add"]["path"]))
                if "remove" in action and action["remove"].get("deletionTimestamp", 0) >= since.timestamp() * 1000:
                    removed.add(unquote(action["remove"]["path"]))
    return added, removed


def _lines(filesystem: pafs.FileSystem, path: str) -> list[bytes]:
    with filesystem.open_input_stream(path) as stream:
        return [line for line in stream.read().splitlines() if line.strip()]
