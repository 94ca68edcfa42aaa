"""Forget: a user or an item taken out of all that the lake keeps, and of all that was learnt from it.

What is left is the lake of a RAW that never had its records, but for the nights that knew it: they are withdrawn from
readers, and to be run again. It may be killed at any moment and started again: what is still to be done is read from
the lake each time. Its certificate, which is kept from the beginning on, adds up what was removed.
"""

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from itertools import chain
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from jobs.landing import removal
from jobs.landing.raw import Raw
from jobs.landing.removal import Holdings
from jobs.modelling import contradictions, model_selection, retention
from jobs.report import FOLDER as REPORTS
from jobs.runtime.agreement import FOLDER as RUNS
from jobs.runtime.completeness import LAST_STEP
from jobs.runtime.night import NightError, UserError
from lake import files, forgotten, publication, repair, rewrite, staging, storage, vacuum
from lake.damage import LOG
from lake.forgotten import Subject
from lake.lake import STAGED, Lake
from lake.publication import Publication
from lake.search import Id, Searched, search
from lake.staging import Part
from schemas.config import Clean
from schemas.errors import did_you_mean
from schemas.features import FEATURES
from schemas.table import FILES, Table
from schemas.tables import (
    BY_NIGHT,
    LOOKED_BACK_ON,
    NEWCOMER,
    TABLES,
    GivenVectors,
    Interactions,
    Items,
    Ledger,
    Published,
    Quarantine,
)

log = logging.getLogger("nightweave.forget")

FORMAT = 1
ACTOR, REASON = "nightweave forget", "to be made again without what was forgotten"
FAR = datetime.max.replace(tzinfo=UTC)
"""All that there is was written before."""
STAYING: tuple[type[Table], ...] = (*LOOKED_BACK_ON, Quarantine)
"""Tables of which a withdrawn night keeps the rows of others: RAW may not have them any more."""
STANDARD_ERROR = 2
RECORDS = ("items", "interactions", "vectors")
"""Folders of RAW that are searched."""


@dataclass(frozen=True)
class Plan:
    """What the lake, and a landing zone, have of a user or an item.

    Attributes:
        rows: table → how many rows name it, staged ones among them.
        nights: those that know it, ascending: it was there by then, or their `quarantine` names it.
        raw: what the landing zone has of it, where it is to be taken out of one.
    """

    rows: Mapping[str, int]
    nights: tuple[str, ...]
    raw: Holdings | None = None

    def words(self) -> Iterator[str]:
        """Yield a line for each place that has something of it."""
        yield from (f"{table}: {count:,} rows" for table, count in self.rows.items())
        if self.raw is not None:
            records, number, media = sum(self.raw.records.values()), len(self.raw.records), len(self.raw.media)
            yield f"RAW: {records:,} records in {number:,} files, {media:,} media files"
        yield f"nights that know it, which are withdrawn and to be run again: {', '.join(self.nights) or 'none'}"


@dataclass(frozen=True)
class Certificate:
    """What was removed, and what a search of all that is left has found.

    Attributes:
        name: KIND-HASH of the user or item.
        rows: table → how many rows that name it, or contents that nobody else needs, were removed.
        files: place → how many files and folders.
        raw: how many `records`, `files` written anew and `media`, where it was taken out of a landing zone.
        nights: those that knew it, ascending.
        searched: how many `files` and `bytes`, and whether the id is long enough to be looked for in `texts` and bytes,
            not in columns of ids alone; None while it was not searched.
        found: `path`, `where` in it, and how many `times` the id still stands there.
        at: when it was searched, ISO 8601.
    """

    name: str
    rows: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, int] = field(default_factory=dict)
    nights: tuple[str, ...] = ()
    searched: Mapping[str, Any] | None = None
    found: tuple[Mapping[str, Any], ...] = ()
    at: str | None = None
    format: int = FORMAT

    def words(self, to_run: list[str]) -> Iterator[str]:
        """Yield it in lines for people.

        Args:
            to_run: those of its nights that were not run again yet.
        """
        yield f"{self.name} is forgotten"
        yield from (f"  {place}: {count:,} rows removed" for place, count in self.rows.items())
        yield from (f"  {place}: {count:,} files and folders removed" for place, count in self.files.items())
        yield from (f"  RAW: {what}: {count:,}" for what, count in self.raw.items())
        if self.searched is not None:
            number, size = self.searched["files"], self.searched["bytes"] / 2**20
            where = "bytes, texts, columns of ids" if self.searched["texts"] else "columns of ids, as the id is short"
            yield f"  searched: {number:,} files ({size:.1f} MiB), {where}; the id stands in {len(self.found)} places"
        yield from (f"  still in {one['path']}: {one['where']}, {one['times']:,} times" for one in self.found)
        yield f"  run again, the oldest first: {', '.join(to_run) or 'nothing'}"
        yield f"  kept as {forgotten.path(self.name)}"


def plan(lake: Lake, subject: Subject, config: Clean, *, raw: Raw | None = None) -> Plan:
    """Return what there is of a user or an item; nothing is changed.

    Raises:
        UserError: nothing has its id, and it was not forgotten before; or it is that of everybody without a history.
        LandingZoneError: RAW does not exist.
    """
    if subject == Subject("user", NEWCOMER):
        raise UserError(f"--user {NEWCOMER!r} is nobody: it stands for users without a history; give a user's own id")
    rows, nights = _rows(lake, subject)
    found = Plan(rows, nights, removal.find(raw, subject, config) if raw else None)
    known = rows or (found.raw and found.raw.records) or forgotten.certificate(lake, subject)
    if not known and not _search(lake, subject).found:
        raise UserError(
            f"--{subject.kind} {subject.id!r}: nothing in {lake.uri} names it; {_near(lake, subject)}give it as the "
            f"column {subject.kind}_id has it"
        )
    return found


def forget(
    lake: Lake, subject: Subject, config: Clean, planned: Plan, *, raw: Raw | None = None, now: datetime
) -> Certificate:
    """Forget a user or an item. No night may run meanwhile.

    Args:
        planned: what `plan` has returned.
        raw: a landing zone that it is taken out of, too, the one that was planned with.
        now: what the certificate has as its time.

    Raises:
        LakeError: a table cannot be read, or other writers were faster too often.
        LandingZoneError: a file of RAW that has records of it cannot be written anew.
    """
    publication.carry_out_unfinished(lake)
    rows, nights = _rows(lake, subject)
    _note(lake, subject, rows=rows, nights=nights)  # from here on no night brings it back
    if raw and (held := planned.raw):
        counts = {"records": sum(held.records.values()), "files": len(held.records), "media": len(held.media)}
        _note(lake, subject, raw=counts)
        removal.remove(raw, subject, config, held)
    needed = _needed(lake, subject)
    _remove(lake, subject, _beside(lake, nights))
    for night in reversed(nights):  # by the first one the others are known: it goes last
        _withdraw(lake, subject, night, needed)
    _remove_contents(lake, subject, needed)
    for table in TABLES.values():
        if table is not Published:
            _remove_history(lake, subject, table)
    publication.amend(lake, lambda change: _without_id(change, subject))  # it names the versions of all others
    _remove_history(lake, subject, Published)
    unused = retention.unused_artifacts(lake, FAR)
    _remove(lake, subject, {place: [one.path for one in several] for place, several in unused.items()})
    _remove(lake, subject, {repair.ASIDE: [repair.ASIDE]})
    return certify(lake, subject, raw=raw, now=now)


def certify(lake: Lake, subject: Subject, *, raw: Raw | None = None, now: datetime) -> Certificate:
    """Search the lake, and the records of a landing zone that it was taken out of; keep what is found, and return it
    with what was removed."""
    looked = [_search(lake, subject)]
    if raw:
        looked.append(search(*storage.filesystem(storage.as_uri(raw.uri)), RECORDS, subject))
    rows, _ = _rows(lake, subject)
    found = [
        {"path": prefix + _masked(one.path, subject), "where": _masked(one.where, subject), "times": one.times}
        for prefix, one_place in zip(("", "RAW/"), looked, strict=False)
        for one in one_place.found
    ]
    found += [{"path": table, "where": "rows that name it", "times": count} for table, count in rows.items()]
    searched = {"files": sum(one.files for one in looked), "bytes": sum(one.size for one in looked)}
    kept = replace(
        _kept(lake, subject),
        searched=searched | {"texts": Id(subject).in_texts},
        found=tuple(found),
        at=now.isoformat(timespec="seconds"),
    )
    forgotten.keep(lake, kept.name, asdict(kept))
    return kept


def run_again(lake: Lake, nights: tuple[str, ...], *, raw: str, config: str | None) -> None:
    """Run those of some nights that are not complete, the oldest first, as `nightweave night` does.

    Raises:
        NightError: one has failed; its own words are on standard error.
    """
    for night in to_run(lake, nights):
        where = ["--raw", raw, "--lake", lake.uri, *(["--config", config] if config else [])]
        command = [sys.executable, "-m", "jobs.cli", "night", "--date", night, *where]
        # A folder called `jobs` where this is started must not stand for our package.
        if subprocess.run(command, stdout=STANDARD_ERROR, env=os.environ | {"PYTHONSAFEPATH": "1"}).returncode:
            raise NightError(
                f"the night {night} failed when it was run again; what was forgotten is gone. Mend what it says, then "
                f"run it and the later ones: {', '.join(to_run(lake, nights))}"
            )


def to_run(lake: Lake, nights: tuple[str, ...]) -> list[str]:
    """Return those of some nights that are not complete, the oldest first."""
    done = lake.read(Ledger, where=pc.field("step") == LAST_STEP, columns=["date"])
    return sorted(set(nights) - {str(day) for day in done["date"].to_pylist()})


def _rows(lake: Lake, subject: Subject) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many rows of each table name the subject, and the nights that know it, ascending."""
    rows: Counter[str] = Counter()
    there, refused = set[str](), set[str]()
    for table in TABLES.values():
        if (named := subject.named(table)) is None:
            continue
        for here, night in _views(lake):
            where = named if night is None else named & (pc.field("date") == pa.scalar(night).cast(pa.date32()))
            dates = here.read(table, where=where, columns=["date"])["date"].to_pylist()
            rows[table.name] += len(dates)
            (refused if table is Quarantine else there).update(map(str, dates))
    first = min(there, default=None)
    nights = {night for night in _nights(lake) if first is not None and night >= first}
    return {table: count for table, count in rows.items() if count}, tuple(sorted(nights | refused))


def _views(lake: Lake) -> Iterator[tuple[Lake, str | None]]:
    """The lake as readers see it, and as the steps of each staged night do, with that night."""
    yield lake, None
    for night in staging.nights(lake):
        yield staging.as_of(lake, night), night


def _nights(lake: Lake) -> set[str]:
    """The nights that a table has a partition of, or that are staged."""
    dates = (lake.files(table)["partition.date"].to_pylist() for table in BY_NIGHT)
    return {*map(str, chain.from_iterable(dates)), *staging.nights(lake)}


def _needed(lake: Lake, subject: Subject) -> dict[str, set[str]]:
    """Modality → the contents that rows name that do not name the subject."""
    needed: dict[str, set[str]] = {medium: set() for medium in FEATURES}
    keys = [(Items, medium, f"{medium}_keys") for medium in FILES]
    for here, _ in _views(lake):
        for table, medium, column in (*keys, (Items, "text", "text_key"), (Interactions, "text", "text_key")):
            for batch in here.batches(table, where=_others(subject, table), columns=[column]):
                values = batch[column].flatten() if pa.types.is_list(batch[column].type) else batch[column]
                needed[medium].update(values.drop_null().to_pylist())
        for batch in here.batches(
            GivenVectors, where=_others(subject, GivenVectors), columns=["modality", "content_key"]
        ):
            for medium, key in zip(batch["modality"].to_pylist(), batch["content_key"].to_pylist(), strict=True):
                needed[medium].add(key)
    return needed


def _others(subject: Subject, table: type[Table]) -> pc.Expression | None:
    """Whether a row of a table does not name the subject; None where no row can."""
    named = subject.named(table)
    return None if named is None else named.is_null() | ~named


def _beside(lake: Lake, nights: tuple[str, ...]) -> dict[str, list[str]]:
    """What nights have left beside the tables, by its folder: reports, notes of runs, results of searches, what is
    staged. The page of all nights shows them, and is written anew with the next report."""
    if not nights:
        return {}
    tuned = _folders(lake, model_selection.SEARCHES)
    named = {place: files.names(lake, place) for place in (REPORTS, RUNS, *tuned)}
    found = {place: [f"{place}/{name}" for name in names if name[:10] in nights] for place, names in named.items()}
    found[REPORTS] += [f"{REPORTS}/{name}" for name in named[REPORTS] if name.startswith("index.html")]
    found[STAGED] = [f"{STAGED}/{night}" for night in staging.nights(lake) if night in nights]
    return found


def _folders(lake: Lake, folder: str) -> list[str]:
    filesystem, root = storage.filesystem(lake.uri)
    infos = filesystem.get_file_info(pafs.FileSelector(f"{root}/{folder}", allow_not_found=True))
    return sorted(f"{folder}/{info.base_name}" for info in infos if info.type == pafs.FileType.Directory)


def _remove(lake: Lake, subject: Subject, places: Mapping[str, list[str]]) -> None:
    """Delete files and folders, by their paths relative to LAKE, under the places as which they are counted."""
    filesystem, root = storage.filesystem(lake.uri)
    for place, paths in places.items():
        infos = filesystem.get_file_info([f"{root}/{path}" for path in paths])
        there = [info for info in infos if info.type != pafs.FileType.NotFound]
        if there:
            _note(lake, subject, files={place.partition("/")[0]: len(there)})
        for info in there:
            (filesystem.delete_file if info.is_file else filesystem.delete_dir)(info.path)


def _withdraw(lake: Lake, subject: Subject, night: str, needed: Mapping[str, set[str]]) -> None:
    """Take a night from readers: of what arrived the rows of others are left, of what was made of it nothing."""
    parts = []
    for table in BY_NIGHT:
        found = lake.files(table, {"date": night}).select([f"partition.{column}" for column in table.partition_by])
        for values in {tuple(map(str, row.values())): None for row in found.to_pylist()}:
            partition = dict(zip(table.partition_by, values, strict=True))
            part = _left(lake, subject, table, partition, needed) if table in STAYING else _nothing(table, partition)
            parts += [part] if part else []
    if parts:
        publication.withdraw(lake, night, parts, actor=ACTOR, reason=REASON)
        log.info("night %s is withdrawn", night)


def _left(
    lake: Lake, subject: Subject, table: type[Table], partition: Mapping[str, str], needed: Mapping[str, set[str]]
) -> Part | None:
    """What is left of a partition without the subject, and without what was refused of contents that were its alone;
    None where that is all of it."""
    stage = partition.get("stage", "")
    if stage == contradictions.STAGE:  # warnings of the model's step, which is run again
        return _nothing(table, partition)
    others = _others(subject, table)
    if "extract_" in stage:
        contents = pa.array(sorted(set().union(*needed.values())), pa.string())
        others = pc.field("record_id").isin(contents)
    if others is None:
        return None
    columns = ((pc.field(name), table.schema.field(name).type, value) for name, value in partition.items())
    here = reduce(and_, (column == pa.scalar(value).cast(dtype) for column, dtype, value in columns))
    with lake.naming_damage(table):
        if lake.dataset(table).count_rows(filter=here & others) == lake.count(table, partition):
            return None
    with lake.writer(table, partition) as file:
        for batch in lake.batches(table, where=here & others, columns=table.schema.names):
            file.write(batch)
    return Part(table.name, partition, (file.staged,) if file.staged else (), lake.made_from(table, partition))


def _nothing(table: type[Table], partition: Mapping[str, str]) -> Part:
    return Part(table.name, partition, (), {})


def _remove_contents(lake: Lake, subject: Subject, needed: Mapping[str, set[str]]) -> None:
    """Take out of the feature stores what no row names any more."""
    for medium, table in FEATURES.items():
        for encoder in sorted(set(lake.files(table)["partition.encoder"].to_pylist())):
            keys = lake.read(table, where=pc.field("encoder") == encoder, columns=["content_key"])["content_key"]
            if unneeded := sorted(set(keys.to_pylist()) - needed[medium]):
                _note(lake, subject, rows={table.name: len(unneeded)})
                rewrite.put(lake, table, [], {"encoder": encoder}, without=unneeded)


def _remove_history(lake: Lake, subject: Subject, table: type[Table]) -> None:
    """Delete all that no version of a table but the present one has; and its log until now where that has the id, as
    where another engine has written the least and greatest values of its columns there. A short id cannot be told from
    other numbers in it."""
    if replaced := vacuum.unneeded(lake, table, before=FAR):
        _note(lake, subject, files={table.name: len(replaced)})
        vacuum.remove(lake, table, replaced)
    filesystem, root = lake.filesystem(table)
    may_name_it = subject.named(table) is not None and not Id(subject).in_texts
    if may_name_it or search(filesystem, root, [LOG], subject).found:
        vacuum.cut_log(lake, table)


def _without_id(change: Publication, subject: Subject) -> Publication:
    """A change of what readers see whose reason does not name the subject."""
    reason, actor = change.reason and _masked(change.reason, subject), _masked(change.actor, subject)
    return replace(change, reason=reason, actor=actor)


def _masked(text: str, subject: Subject) -> str:
    return text.replace(subject.id, "...") if Id(subject).in_texts else text


def _search(lake: Lake, subject: Subject) -> Searched:
    return search(*storage.filesystem(lake.uri), [""], subject)


def _near(lake: Lake, subject: Subject) -> str:
    """The nearest id that there is, as a question; empty where none is near."""
    known = set[str]()
    for table in LOOKED_BACK_ON:
        for column in subject.columns(table):
            for batch in lake.batches(table, columns=[column]):
                known.update(batch[column].drop_null().unique().to_pylist())
    return did_you_mean(subject.id, sorted(known))


def _kept(lake: Lake, subject: Subject) -> Certificate:
    """The certificate as it is kept, an empty one where there is none."""
    stored = forgotten.certificate(lake, subject)
    if stored is None:
        return Certificate("")
    return Certificate(**stored | {"nights": tuple(stored["nights"]), "found": tuple(stored["found"])})


def _note(lake: Lake, subject: Subject, *, nights: tuple[str, ...] = (), **counts: Mapping[str, int]) -> None:
    """Keep what is about to be removed. What is counted again after a kill is fewer by then: the most counts."""
    old = _kept(lake, subject)
    most: dict[str, Any] = {name: dict(Counter(getattr(old, name)) | Counter(count)) for name, count in counts.items()}
    name, nights = forgotten.begin(lake).name(subject), tuple(sorted({*old.nights, *nights}))
    forgotten.keep(lake, name, asdict(replace(old, name=name, nights=nights, searched=None, found=(), at=None, **most)))
