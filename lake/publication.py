"""What readers see of the nights: a night is published, or rolled back, in all tables at once.

Delta has no commit over several tables. A change is therefore first recorded in `published`, whole, then made table by
table, then recorded as done. Readers (`pins`) stay at the versions before until it is. A change whose process died is
carried out by the next one that publishes, begins or trains a night, or maintains the lake: every table's log says
which changes it has already.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any, Self, TypeVar

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from lake import parquet, staging
from lake.commits import added, attempts, commit, live_files, marks, removed
from lake.errors import LakeError
from lake.lake import Lake
from lake.staging import Part
from lake.writer import StagedFile
from schemas.table import Table
from schemas.tables import TABLES, ItemEmbeddings, Published

PUBLISH, ROLLBACK, WITHDRAW = "publish", "rollback", "withdraw"
NUMBER = "published"
"""The name under which a table's log keeps the number of the last change that it has."""


T = TypeVar("T")


class PublicationError(LakeError):
    """A night cannot be published or rolled back; the message says why, and what to do."""


@dataclass(frozen=True)
class Publication:
    """A row of `published`; its columns are described there."""

    number: int
    date: date
    action: str
    actor: str
    reason: str | None
    audited: bool
    model_version: str | None
    partitions: tuple[Part, ...]
    replaced: tuple[Part, ...]
    versions_before: Mapping[str, int]
    versions: Mapping[str, int] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        parts = {name: tuple(Part.of(part) for part in row[name]) for name in ("partitions", "replaced")}
        versions = None if row["versions"] is None else dict(row["versions"])
        return cls(**dict(row) | parts | {"versions_before": dict(row["versions_before"]), "versions": versions})


def history(lake: Lake) -> list[Publication]:
    """Return every change of what readers see, the last one last."""
    return _rows(lake, lake.delta(Published))


def pins(lake: Lake) -> dict[str, int | None]:
    """Return `Lake.versions` for readers: while a change is being carried out, those before it, else none."""
    last = next(iter(history(lake)[-1:]), None)
    if last is None or last.versions is not None:
        return {}
    return {name: last.versions_before.get(name) for name in TABLES if name != Published.name}


def as_readers_see(lake: Lake, open_tables: Callable[[Lake], T]) -> T:
    """Return what a function opens of the lake as readers are to see it; it is called again where a change began in
    between.

    Raises:
        LakeError: that happened too often.
    """
    for _ in attempts(Published.name):
        version = lake.version(Published)
        opened = open_tables(replace(lake, versions=pins(lake)))
        if lake.version(Published) == version:
            break
    return opened


def publish(lake: Lake, night: str, *, actor: str, reason: str | None = None) -> Publication:
    """Show readers what is staged of a night, or, where nothing is, what its last rollback took away.

    Where nothing is staged and it is published, it stays so, and the change that published it is returned.

    Args:
        reason: why it is published although it was not audited, or its audit failed.

    Raises:
        PublicationError: there is nothing to publish; or it did not pass its audit, and no reason is given.
        LakeError: other writers were faster too often.
    """
    for _ in attempts(Published.name):
        delta, rows = _finished(lake)
        of_night = [row for row in reversed(rows) if str(row.date) == night]
        staged = staging.parts(lake, night)
        passed = staging.passed_audit(lake, night, staged)
        if not staged and of_night:
            if of_night[0].action == PUBLISH:
                return of_night[0]
            staged = list(of_night[0].replaced)
            passed = _audited_before(of_night, staged)
        if lake.version(Published) != delta.version():
            continue
        if not staged:
            raise PublicationError(
                f"nothing of the night {night} is staged or was rolled back; make it: nightweave night --date {night}"
            )
        if not passed and not reason:
            why = "was not audited" if passed is None else "failed its audit"
            raise PublicationError(
                f"what is to be published of the night {night} {why}; nightweave verify --staged {night} says what is "
                f'wrong. Run the night again, or overrule it: nightweave publish --date {night} --reason "..."'
            )
        _check_there(lake, night, staged, "be published")
        change = _change(
            lake, night, staged, number=len(rows) + 1, action=PUBLISH, actor=actor, reason=reason, audited=bool(passed)
        )
        if _write(lake, delta, [*rows, change]):
            break
    return _carry_out(lake, change)


def rollback(lake: Lake, night: str, *, actor: str, reason: str) -> Publication:
    """Take readers of a night back to what they saw before it was last published, which may be nothing.

    Where a process that was asked for the same died on the way, its rollback is carried out, and no further one made.

    Raises:
        PublicationError: it is not published, or was only before there was a record of it; or files of before are gone.
        LakeError: other writers were faster too often.
    """
    begun = [change for change in history(lake)[-1:] if change.versions is None and change.action == ROLLBACK]
    for _ in attempts(Published.name):
        delta, rows = _finished(lake)
        for change in begun:
            if (str(change.date), change.actor, change.reason) == (night, actor, reason):
                return rows[change.number - 1]
        in_force = _in_force(rows, night)
        if not in_force:
            raise PublicationError(f"the night {night} was not published, so that there is nothing to take back")
        before = list(in_force[-1].replaced)
        _check_there(lake, night, before, "be rolled back")
        change = _change(
            lake, night, before, number=len(rows) + 1, action=ROLLBACK, actor=actor, reason=reason, audited=False
        )
        if _write(lake, delta, [*rows, change]):
            break
    return _carry_out(lake, change)


def withdraw(lake: Lake, night: str, parts: list[Part], *, actor: str, reason: str) -> Publication:
    """Take a night from readers for good: it is to be made again, and what it was before is never shown again.

    Args:
        parts: what is left of the partitions that change.

    Raises:
        LakeError: other writers were faster too often.
    """
    for _ in attempts(Published.name):
        delta, rows = _finished(lake)
        change = _change(
            lake, night, parts, number=len(rows) + 1, action=WITHDRAW, actor=actor, reason=reason, audited=False
        )
        change = replace(change, replaced=())
        if _write(lake, delta, [*rows, change]):
            break
    return _carry_out(lake, change)


def amend(lake: Lake, amended: Callable[[Publication], Publication]) -> None:
    """Write the history anew, where that makes it another one: each change as a function has it, the last one with the
    versions that tables have now, by which they are read.

    Raises:
        LakeError: other writers were faster too often.
    """
    for _ in attempts(Published.name) if history(lake) else ():
        delta, rows = _finished(lake)
        anew = [amended(row) for row in rows]
        anew[-1:] = [replace(row, versions=_versions(lake)) for row in anew[-1:]]
        if anew == rows or _write(lake, delta, anew):
            break


def carry_out_unfinished(lake: Lake) -> None:
    """Carry out the last change, where the process that was to do so died."""
    for last in history(lake)[-1:]:
        if last.versions is None:
            _carry_out(lake, last)


def _finished(lake: Lake) -> tuple[DeltaTable, list[Publication]]:
    """The table `published`, with its rows, once its last change is carried out."""
    for _ in attempts(Published.name):
        carry_out_unfinished(lake)
        delta = lake.current(Published)
        rows = _rows(lake, delta)
        if not rows or rows[-1].versions is not None:
            break
    return delta, rows


def _change(
    lake: Lake,
    night: str,
    parts: list[Part],
    *,
    number: int,
    action: str,
    actor: str,
    reason: str | None,
    audited: bool,
) -> Publication:
    """A change of the lake as it is now that makes these parts of a night what readers see."""
    return Publication(
        number=number,
        date=date.fromisoformat(night),
        action=action,
        actor=actor,
        reason=reason,
        audited=audited,
        model_version=_model_version(lake, night, parts),
        partitions=tuple(parts),
        replaced=tuple(_now(lake, part) for part in parts),
        versions_before=_versions(lake),
    )


def _carry_out(lake: Lake, change: Publication) -> Publication:
    """Commit the change to every table that it concerns and has not got it, then record that it is done."""
    order = list(TABLES)
    parts = sorted(change.partitions, key=lambda part: order.index(part.table))
    for name, of_table in groupby(parts, key=lambda part: part.table):
        _commit(lake, TABLES[name], list(of_table), change.number)
    night = change.date.isoformat()
    staged, published = staging.parts(lake, night), {staging.digest([part]) for part in change.partitions}
    # A process that died as it discarded them has left some; what a later run has staged is not among those published.
    if staged and all(staging.digest([part]) in published for part in staged):
        staging.discard(lake, night)
    for _ in attempts(Published.name):
        delta = lake.current(Published)
        rows = _rows(lake, delta)
        place = change.number - 1
        if rows[place].versions is not None:
            return rows[place]
        done = replace(rows[place], versions=_versions(lake))
        if _write(lake, delta, [*rows[:place], done, *rows[place + 1 :]]):
            break
    return done


def _commit(lake: Lake, table: type[Table], parts: list[Part], number: int) -> None:
    """Make the parts the whole content of their partitions, in one commit, unless the table has this change."""
    for _ in attempts(table.name):
        delta = lake.current(table)
        if (delta.transaction_version(NUMBER) or 0) >= number:
            return
        kept = {NUMBER: number}
        actions: list[AddAction | RemoveAction] = []
        for part in parts:
            kept |= marks(part.partition, delta.version() + 1, part.made_from)
            live = live_files(delta, part.partition)["path"].to_pylist()
            stays = set(live) & {file.path for file in part.files}
            actions += added((file for file in part.files if file.path not in stays), part.partition)
            actions += removed((path for path in live if path not in stays), part.partition)
        if commit(delta, table.partition_by, actions, marks=kept):
            return


def _audited_before(of_night: list[Publication], parts: list[Part]) -> bool | None:
    """Whether these files passed their audit when they were published before; None where they never were."""

    def files(parts: Iterable[Part]) -> set[tuple[str, str]]:
        return {(part.table, file.path) for part in parts for file in part.files}

    same = (row for row in of_night if row.action == PUBLISH and files(row.partitions) == files(parts))
    return next((row.audited for row in same), None)


def _in_force(rows: Iterable[Publication], night: str) -> list[Publication]:
    """The times that a night was published and not rolled back or withdrawn since, the last one last."""
    published: list[Publication] = []
    for row in rows:
        if str(row.date) == night:
            if row.action == PUBLISH:
                published.append(row)
            elif row.action == WITHDRAW:
                published.clear()
            elif published:
                published.pop()
    return published


def _now(lake: Lake, part: Part) -> Part:
    """The partition as it is in its table."""
    table = TABLES[part.table]
    files = lake.files(table, part.partition).select(["path", "size_bytes", "num_records"]).to_pylist()
    staged = tuple(StagedFile(file["path"], file["size_bytes"], file["num_records"]) for file in files)
    return Part(part.table, part.partition, staged, lake.made_from(table, part.partition))


def _check_there(lake: Lake, night: str, parts: Iterable[Part], what: str) -> None:
    gone = []
    for part in parts:
        filesystem, root = lake.filesystem(TABLES[part.table])
        found = filesystem.get_file_info([f"{root}/{file.path}" for file in part.files])
        gone += [f"{part.table}/{file.path}" for file, info in zip(part.files, found, strict=True) if not info.is_file]
    if gone:
        raise PublicationError(
            f"the night {night} cannot {what}: {len(gone)} of its files are gone, such as {gone[0]} (maintenance keeps "
            f"what was replaced for maintenance.retention_days); make it anew: nightweave night --date {night}"
        )


def _model_version(lake: Lake, night: str, parts: list[Part]) -> str | None:
    """The model by which the night's items are placed after the change."""
    embeddings = next((part for part in parts if part.table == ItemEmbeddings.name), None)
    part = embeddings or _now(lake, Part(ItemEmbeddings.name, {"date": night}, (), {}))
    filesystem, root = lake.filesystem(ItemEmbeddings)
    for file in part.files:
        for rows in parquet.batches(filesystem, f"{root}/{file.path}", columns=["model_version"], rows=1):
            return str(rows["model_version"][0])
    return None


def _versions(lake: Lake) -> dict[str, int]:
    """The version of every table that there is."""
    found = {name: lake.delta(table) for name, table in TABLES.items() if name != Published.name}
    return {name: delta.version() for name, delta in found.items() if delta is not None}


def _rows(lake: Lake, delta: DeltaTable | None) -> list[Publication]:
    if delta is None:
        return []
    with lake.naming_damage(Published):
        rows = lake.at(Published, delta).to_table().sort_by("number")
    return [Publication.of(row) for row in rows.to_pylist(maps_as_pydicts="strict")]


def _write(lake: Lake, delta: DeltaTable, rows: list[Publication]) -> bool:
    """Make these the rows of `published`; not where another writer was faster."""
    content = pa.Table.from_pylist([asdict(row) for row in rows], schema=Published.schema)
    staged = lake.stage(Published, content.to_batches(), {})
    gone = live_files(delta, {})["path"].to_pylist()
    if staged is None or lake.swap(Published, delta, gone=gone, files=[staged], partition={}, data_change=True):
        return True
    filesystem, root = lake.filesystem(Published)
    filesystem.delete_file(f"{root}/{staged.path}")
    return False
