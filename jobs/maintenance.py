"""Maintenance: merge small files, and remove what no published night needs. Rows stay as they are."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow.fs as pafs

from jobs import artifacts
from lake import rewrite, scratch, storage, vacuum
from lake.lake import Lake
from schemas.config import Maintenance
from schemas.table import Table
from schemas.tables import TABLES, ItemEmbeddings, Models

log = logging.getLogger("nightweave.maintenance")


@dataclass(frozen=True)
class Done:
    """What was done, or would be, where, to how many files or folders of how many bytes."""

    where: str
    what: str
    count: int
    size: int
    verb: str = "removed"

    def words(self, *, dry_run: bool = False) -> str:
        verb = f"to be {self.verb}" if dry_run else self.verb
        return f"{self.where}: {self.count} {self.what} {verb} ({self.size / 2**20:.1f} MiB)"


def maintain(lake: Lake, settings: Maintenance, *, now: datetime, dry_run: bool = False) -> Iterator[Done]:
    """Merge small files of every table, then remove what was unneeded for the set retention, as of `now`.

    A table's files, models, checkpoints and scratch folders stay while a published night needs them, and while they are
    younger than the retention.

    Raises:
        LakeError: a table cannot be read, or other writers were faster too often.
    """
    before = now - timedelta(days=settings.retention_days)
    for table in TABLES.values():
        yield from _compact(lake, table, settings.target_file_mib << 20, dry_run=dry_run)
    for table in TABLES.values():
        yield from _vacuum(lake, table, before, dry_run=dry_run)
    for place, folders in (
        (artifacts.FOLDER, unused_models(lake, before)),
        (scratch.FOLDER, _old(lake, scratch.FOLDER, before)),
    ):
        if folders and not dry_run:
            filesystem, _ = storage.filesystem(lake.uri)
            for path, _ in folders:
                filesystem.delete_dir(path)
        if folders:
            yield Done(place, "folders", len(folders), sum(size for _, size in folders))


def unused_models(lake: Lake, before: datetime) -> list[tuple[str, int]]:
    """Folders of models and of trainings' checkpoints that were last written before that moment, with their bytes.

    A model is used while `models` names it, or a night's `item_embeddings` were made by it. A training that goes on
    writes its checkpoints again and again; one that was killed does not.
    """
    # The folders are read before the tables: a model that is named in between is then found used.
    folders = _old(lake, artifacts.FOLDER, before)
    used = set(lake.read(Models, columns=["path"])["path"].to_pylist())
    serving = lake.dataset(ItemEmbeddings).scanner(columns=["model_version"])
    for batch in serving.to_batches():
        used |= {f"{artifacts.FOLDER}/{version}" for version in batch["model_version"].unique().to_pylist()}
    return [(path, size) for path, size in folders if f"{artifacts.FOLDER}/{path.rpartition('/')[2]}" not in used]


def _compact(lake: Lake, table: type[Table], target_bytes: int, *, dry_run: bool) -> Iterator[Done]:
    merged = (rewrite.merges if dry_run else rewrite.compact)(lake, table, target_bytes=target_bytes)
    if merged:
        files, size = sum(len(merge.paths) for merge in merged), sum(merge.size for merge in merged)
        yield Done(table.name, "small files", files, size, verb=f"merged into {len(merged)}")


def _vacuum(lake: Lake, table: type[Table], before: datetime, *, dry_run: bool) -> Iterator[Done]:
    files = vacuum.unneeded(lake, table, before=before)
    if not dry_run:
        vacuum.remove(lake, table, files)
    for kind, what in (("replaced", "replaced files"), ("orphan", "orphan files of failed writes")):
        if found := [file.size for file in files if file.kind == kind]:
            yield Done(table.name, what, len(found), sum(found))


def _old(lake: Lake, folder: str, before: datetime) -> list[tuple[str, int]]:
    """The folders in a folder of the lake in which nothing was written since that moment, with their bytes."""
    filesystem, root = storage.filesystem(lake.uri)
    children = filesystem.get_file_info(pafs.FileSelector(f"{root}/{folder}", allow_not_found=True))
    old = []
    for child in (info for info in children if info.type == pafs.FileType.Directory):
        inside = filesystem.get_file_info(pafs.FileSelector(child.path, recursive=True))
        times = [info.mtime for info in (child, *inside) if info.mtime is not None]
        if times and max(times) < before:
            old.append((child.path, sum(info.size or 0 for info in inside if info.is_file)))
    return sorted(old)
