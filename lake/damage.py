"""Missing and damaged files of a table: its Parquet files, and the commits of its log."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from lake import parquet

LOG = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")
LAST_CHECKPOINT = "_last_checkpoint"


@dataclass(frozen=True)
class Damage:
    """`path` is relative to the table; `partition` holds its partition's columns, none where the log is damaged."""

    partition: dict[str, str]
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path} {self.detail}"


def of_file(filesystem: pafs.FileSystem, path: str, *, size: int, rows: int) -> str | None:
    """Return what is wrong with a Parquet file, None for nothing.

    It is read to its end, the checksums of its pages are verified, and its size and its number of rows are compared
    with the log's. Its own metadata, which no checksum covers, must at least be readable.
    """
    if detail := of_size(filesystem, path, size=size):
        return detail
    try:
        found = sum(batch.num_rows for batch in parquet.batches(filesystem, path))
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"is damaged: {words(error)}"
    return None if found == rows else f"has {found} rows; the log says {rows}"


def of_size(filesystem: pafs.FileSystem, path: str, *, size: int) -> str | None:
    """Return what is wrong with a file as far as the file system tells, None for nothing."""
    info = filesystem.get_file_info(path)
    if info.type != pafs.FileType.File:
        return "is missing"
    return None if info.size == size else f"has {info.size} bytes; the log says {size}"


def of_log(filesystem: pafs.FileSystem, root: str) -> Damage | None:
    """Return the first thing wrong with a table's log that keeps what is live from being known, None for nothing.

    Commits before the newest checkpoint that can be read are not looked at: nobody reads them any more. A commit is
    lines of JSON, `commitInfo` among them; an empty one, as a machine leaves behind that lost its power, would be read
    as one that changed nothing.
    """
    log = log_files(filesystem, root)
    newest = max((name for name in log if CHECKPOINT.fullmatch(name)), default=None)
    if newest and (detail := _of_checkpoint(filesystem, f"{root}/{LOG}/{newest}")):
        return Damage({}, f"{LOG}/{newest}", detail)
    if (hint := _hint(filesystem, f"{root}/{LOG}/{LAST_CHECKPOINT}")) and hint > (version_of(newest) if newest else -1):
        return Damage({}, f"{LOG}/{LAST_CHECKPOINT}", f"names checkpoint {hint}, which is missing")
    versions = {version_of(name) for name in log if COMMIT.fullmatch(name)}
    for version in range(version_of(newest) + 1 if newest else 0, max(versions, default=-1) + 1):
        name = commit_name(version)
        detail = _of_commit(filesystem, f"{root}/{LOG}/{name}") if version in versions else "is missing"
        if detail:
            return Damage({}, f"{LOG}/{name}", detail)
    return None


def log_files(filesystem: pafs.FileSystem, root: str) -> Mapping[str, int]:
    """Return name → size of the files of a table's log; none where there is no log."""
    found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{LOG}", allow_not_found=True))
    return {info.base_name: info.size for info in found if info.type == pafs.FileType.File}


def commit_name(version: int) -> str:
    """Return the name of a version's commit.

    >>> commit_name(3)
    '00000000000000000003.json'
    """
    return f"{version:020}.json"


def version_of(name: str) -> int:
    """Return the version of a commit or checkpoint by its file's name."""
    return int(name[:20])


def place(partition: Mapping[str, str]) -> str:
    """Return a partition as the folders of its files are called.

    >>> place({"date": "2026-11-01", "step": "clean_items"})
    'date=2026-11-01/step=clean_items'
    """
    return "/".join(f"{column}={value}" for column, value in partition.items())


def words(error: Exception) -> str:
    """Return an error in one short line, without the places in the program that some libraries add."""
    return " ".join(f"{type(error).__name__}: {str(error).partition('   0: ')[0]}".split())[:200]


def _of_commit(filesystem: pafs.FileSystem, path: str) -> str | None:
    with filesystem.open_input_stream(path) as stream:
        data = stream.read()
    if not data:
        return "is empty"
    try:
        actions: list[Any] = [json.loads(line) for line in data.splitlines()]
    except ValueError as error:
        return f"is cut off or damaged: {words(error)}"
    has = [action for action in actions if isinstance(action, dict) and "commitInfo" in action]
    return None if has else "is cut off: it has no commitInfo"


def _hint(filesystem: pafs.FileSystem, path: str) -> int | None:
    """The version of the checkpoint that the log names as its last; one that cannot be read is passed over by all."""
    if filesystem.get_file_info(path).type != pafs.FileType.File:
        return None
    with filesystem.open_input_stream(path) as stream:
        try:
            return int(json.loads(stream.read())["version"])
        except (ValueError, KeyError, TypeError):
            return None


def _of_checkpoint(filesystem: pafs.FileSystem, path: str) -> str | None:
    try:
        rows = sum(batch.num_rows for batch in parquet.batches(filesystem, path))
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"is damaged: {words(error)}"
    return None if rows else "is empty"
