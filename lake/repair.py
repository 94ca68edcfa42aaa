"""What is missing or damaged is taken out of a table, so that the rest can be read and what is lost can be made again.

Nothing is deleted: files are moved to a folder of their own beside the tables, `LAKE/aside/NUMBER/TABLE/...`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

import pyarrow.fs as pafs

from lake import damage, storage
from lake.commits import attempts, live_files
from lake.damage import CHECKPOINT, COMMIT, LAST_CHECKPOINT, LOG, Damage
from lake.lake import Lake
from schemas.table import Table

ASIDE = "aside"
NAMED = re.compile(rb'"path":"([^"]+)"')
"""A file of the table in a line of its log, which may be cut off."""
VALUE = re.compile(r"([^/=]+)=([^/]+)/")


@dataclass(frozen=True)
class Repair:
    """What was taken out of a table, and why.

    Attributes:
        partitions: those that have lost rows, or may have.
    """

    table: type[Table]
    found: Damage
    partitions: tuple[Mapping[str, str], ...]
    did: str

    def words(self) -> str:
        return f"{self.table.name}: {self.found}: {self.did}"


@dataclass
class Aside:
    """The folder to which one repair moves files; it is made with the first of them."""

    lake: Lake
    moved: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._filesystem, self._root = storage.filesystem(self.lake.uri)
        there = self._filesystem.get_file_info(pafs.FileSelector(f"{self._root}/{ASIDE}", allow_not_found=True))
        numbers = [int(info.base_name) for info in there if info.base_name.isdigit()]
        self.folder = f"{ASIDE}/{max(numbers, default=0) + 1}"

    def move(self, table: type[Table], path: str) -> None:
        """Move a file, its path relative to its table, if it is there."""
        here, there = f"{self._root}/{table.name}/{path}", f"{self._root}/{self.folder}/{table.name}/{path}"
        if self._filesystem.get_file_info(here).type == pafs.FileType.File:
            self._filesystem.create_dir(there.rpartition("/")[0], recursive=True)
            self._filesystem.move(here, there)
            self.moved.append(path)


def repair(lake: Lake, table: type[Table], aside: Aside) -> Iterator[Repair]:
    """Bring a table back to its last version that can be read, then take out what is missing or damaged in it.

    Of a table by night the whole partition goes, for half a night is worse than none. Of a feature store the file goes:
    its rows do not need each other, and the next night extracts the contents that the store then lacks.
    """
    yield from _restore_log(lake, table, aside)
    found = list(lake.damaged(table))
    by_night = "date" in table.partition_by
    for partition in {tuple(one.partition.items()): one.partition for one in found}.values():
        here = [one for one in found if one.partition == partition]
        took = take_out(lake, table, partition, here, aside, whole=by_night)
        did = (
            f"{took} files of {damage.place(partition)} taken out, moved to {aside.folder}"
            if by_night
            else (f"taken out, moved to {aside.folder}; the next night extracts what it held")
        )
        for one in here:
            yield Repair(table, one, (partition,), did)


def take_out(
    lake: Lake,
    table: type[Table],
    partition: Mapping[str, str],
    damages: Iterable[Damage],
    aside: Aside,
    *,
    whole: bool = False,
) -> int:
    """Take damaged files of one partition out of a table in one commit, then move those that are there aside.

    Args:
        whole: all files of the partition go.

    Returns: how many files went.

    Raises:
        LakeError: other writers were faster too often.
    """
    paths = {one.path for one in damages}
    for _ in attempts(table.name):
        version = lake.current(table)
        live = set(live_files(version, partition)["path"].to_pylist())
        gone = sorted(live if whole and live & paths else live & paths)
        if not gone or lake.swap(table, version, gone=gone, files=[], partition=partition, data_change=True):
            break
    for path in gone:
        aside.move(table, path)
    return len(gone)


def _restore_log(lake: Lake, table: type[Table], aside: Aside) -> Iterator[Repair]:
    """Move aside what keeps a log from being read: checkpoints, whose content the commits before them have, then the
    first commit that is damaged and all after it, with the files that they added."""
    filesystem, root = lake.filesystem(table)
    while found := damage.of_log(filesystem, root):
        name = found.path.rpartition("/")[2]
        log = damage.log_files(filesystem, root)
        if not COMMIT.fullmatch(name):
            for one in (name, LAST_CHECKPOINT):
                aside.move(table, f"{LOG}/{one}")
            yield Repair(table, found, (), f"moved to {aside.folder}; the commits before it say the same")
            continue
        version = damage.version_of(name)
        lost = sorted(one for one in log if COMMIT.fullmatch(one) and damage.version_of(one) >= version)
        kept = [one for one in log if COMMIT.fullmatch(one) and one not in lost]
        # What is left of a damaged commit may not name all of its files; those that no other names may be its own.
        files = {path for one in lost for path in _named(filesystem, f"{root}/{LOG}/{one}")}
        files |= _parquet(filesystem, root) - {p for one in kept for p in _named(filesystem, f"{root}/{LOG}/{one}")}
        later = (one for one in log if CHECKPOINT.fullmatch(one) and damage.version_of(one) >= version)
        for one in (*lost, *later, LAST_CHECKPOINT):
            aside.move(table, f"{LOG}/{one}")
        live = set(lake.files(table)["path"].to_pylist())
        for path in sorted(files - live):
            aside.move(table, path)
        partitions = {tuple(values.items()): values for values in map(_partition, sorted(files))}
        back = f"back at version {version - 1}" if version else "no version of it can be read: it is empty"
        did = f"{back}, {len(lost)} commits moved to {aside.folder}"
        yield Repair(table, found, tuple(partitions.values()), did)


def _named(filesystem: pafs.FileSystem, path: str) -> set[str]:
    """The files that a commit has added or removed, as far as it can be read."""
    with filesystem.open_input_stream(path) as stream:
        return {unquote(name.decode("utf-8", "replace")) for name in NAMED.findall(stream.read())}


def _parquet(filesystem: pafs.FileSystem, root: str) -> set[str]:
    """The Parquet files of a table's partitions."""
    found = filesystem.get_file_info(pafs.FileSelector(root, recursive=True))
    paths = {unquote(info.path[len(root) + 1 :]) for info in found if info.type == pafs.FileType.File}
    return {path for path in paths if path.endswith(".parquet") and not path.startswith(f"{LOG}/")}


def _partition(path: str) -> dict[str, str]:
    """The values of a partition's columns by the folder of a file."""
    return dict(VALUE.findall(path))
