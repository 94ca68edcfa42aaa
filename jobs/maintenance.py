"""Maintenance: merge small files, and remove what no published night needs. Rows stay as they are."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from jobs.modelling.retention import remove, unused_artifacts
from lake import publication, rewrite, vacuum
from lake.lake import Lake
from schemas.config import Maintenance
from schemas.table import Table
from schemas.tables import TABLES

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
    """Merge small files of every table, then remove what was unneeded for the set retention, as of `now`: for so many
    days, and so many days of work (`lake.vacuum.old_before`).

    A change of what readers see whose process died is carried out first: until it is, they read files that no table has
    any more. A table's files, and what trainings leave beside the tables (`jobs.modelling.retention`), stay while a
    published night needs them, and while they are younger than the retention.

    Raises:
        LakeError: a table cannot be read, or other writers were faster too often.
    """
    if not dry_run:
        publication.carry_out_unfinished(lake)
    before = vacuum.old_before(lake, days=settings.retention_days, now=now)
    for table in TABLES.values():
        yield from _compact(lake, table, settings.target_file_mib << 20, dry_run=dry_run)
    for table in TABLES.values():
        yield from _vacuum(lake, table, before, dry_run=dry_run)
    for place, unused in unused_artifacts(lake, before).items():
        if unused and not dry_run:
            remove(lake, unused)
        for what, is_folder in (("folders", True), ("files", False)):
            if sizes := [one.size for one in unused if one.is_folder == is_folder]:
                yield Done(place, what, len(sizes), sum(sizes))


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
