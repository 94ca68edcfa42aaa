"""What importers share: bringing media into RAW, and putting items, events and vectors into the partitions of nights.

An importer passes its items and events as iterators to `write_import`, which holds identifiers in memory and never the
rows: those go to files within RAW whose name begins with `_`, which no reader of RAW reads, and are sorted there.
"""

import hashlib
import heapq
import json
import os
import re
import shutil
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from jobs.landing.raw import LandingZoneError, Raw
from jobs.landing.refusal import Refusal
from jobs.landing.writing import Summary, create_partition, create_raw, write_jsonl
from schemas.table import Medium

LAST_NIGHT = date(2026, 11, 7)
FIRST_NIGHT_SHARE = 0.96
ROWS_PER_FILE = 1_000_000
RUN_CHARS = 64 * 2**20
"""How much of the rows is sorted in memory at a time, in characters."""
CONFIGURATION = "config.yaml"
"""The file in RAW that tells a night which of RAW's vectors to take; written where there are any."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400 * 1_000_000
_PLAIN_NAME = re.compile(r"[^\\%\x00-\x1f\ud800-\udfff]+")


class Media:
    """The files of one kind in a folder that are named by item, and their way into RAW/media.

    Attributes:
        kind: `image`, `audio` or `video`.
        files: how many were brought into RAW.
        items_without: how many items have no file, where the folder has any.
        links_out: links in the folder that lead out of it, which are not followed.

    Args:
        source: the folder; None, or one that does not exist, holds no files.
        kind: `image`, `audio` or `video`.
        name: of the folder in RAW/media.
        how: `link` makes hard links (copies where the file system cannot), `copy` always copies.
    """

    def __init__(
        self, source: Path | None, raw: Path, *, kind: str, name: str, how: Literal["link", "copy"] = "link"
    ) -> None:
        self.kind, self.files, self.items_without, self.links_out = kind, 0, 0, 0
        self._source, self._target, self._how = source, raw / "media" / name, how
        self._files: dict[str, list[Path]] = {}
        for path in sorted(source.iterdir()) if source is not None and source.is_dir() else ():
            if path.is_symlink() and source and not path.resolve().is_relative_to(source.resolve()):
                self.links_out += 1
            elif not path.name.startswith(".") and path.is_file():
                self._files.setdefault(path.stem, []).append(path)
        self._waiting = set(self._files)

    @property
    def waiting(self) -> Set[str]:
        """Items that have files of their name, without those that were taken."""
        return self._waiting

    @property
    def unused(self) -> int:
        """How many files of the folder were not brought into RAW."""
        return sum(not self._place(path).exists() for item in self._waiting for path in self._files[item])

    def take(self, item_id: str, *, others: Sequence[Path] = ()) -> list[str]:
        """Bring the files of an item into RAW, after `others` that it has too; returns their URIs."""
        paths = [*others, *self._files.get(item_id, ())]
        self._waiting.discard(item_id)
        self.items_without += bool(self._files) and not paths
        return list(dict.fromkeys(self._bring(path) for path in paths))

    def _bring(self, path: Path) -> str:
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            _copy(path, place, how=self._how)
            self.files += 1
        return f"media/{self._target.name}/{place.name}"

    def _place(self, path: Path) -> Path:
        """Where a file is in RAW: under its name, but for one from elsewhere and for a name that a URI cannot hold."""
        if path.parent == self._source and _PLAIN_NAME.fullmatch(path.name):
            return self._target / path.name
        known_as = os.path.relpath(path, self._source.parent) if self._source else str(path)
        return self._target / (hashlib.sha256(os.fsencode(known_as)).hexdigest()[:32] + path.suffix)


@dataclass(frozen=True)
class Vectors:
    """The vectors of one modality that a source has already, by item.

    Attributes:
        name: what tells them apart from vectors of another origin.
        width: d, how many numbers a vector has.
        blocks: item ids [b] and their vectors, float32 [b, d], each finite; an item comes once.
    """

    modality: Medium
    name: str
    width: int
    blocks: Iterable[tuple[Sequence[str], NDArray[np.float32]]]


def write_import(
    raw: Path,
    *,
    items: Iterable[Mapping[str, Any]],
    events: Iterable[tuple[int, Mapping[str, Any]]],
    nights: int,
    last_night: date | None,
    media: Sequence[Media] = (),
    vectors: Sequence[Vectors] = (),
    left_out: Counter[str],
) -> Summary:
    """Write items, events and vectors under `raw`, which is left as it was if anything fails.

    Events are assigned to nights in order of time: the first night gets 96% of them, the later ones equal parts of the
    rest, but none arrives before its own day. Events at one time stay in the order of the source. An item arrives on
    the night of its first event, or on the first night if it has none, and its vectors arrive with it.

    Args:
        raw: a folder that is new or empty.
        items: rows of the input contract. One without `updated_at` gets the beginning of its night; one whose
            `updated_at`, in ISO 8601 and UTC, is on a later day than its night too.
        events: time in microseconds since 1970, and a row of the input contract without `timestamp`; read after
            `items`.
        last_night: the date of the last of `nights` consecutive partitions; None for the day of the latest event.
        media: what `items` takes its files from.
        vectors: at most one of a modality, read after `events`; items without one need no place in it.
        left_out: counts by what it is and why, to which `items` and `events` may add too.

    Raises:
        LandingZoneError: `raw` is not empty, or an argument is out of range.
    """
    if nights < 1:
        raise LandingZoneError(f"nights is {nights}; give 1 or more")
    with _created(raw) as scratch:
        known: dict[str, int] = {}
        item_rows = _spool_items(scratch / "items", items, known)
        for medium in media:
            left_out[f"{medium.kind} files of no item"] += medium.unused
            left_out[f"{medium.kind} links that lead out of their folder"] += medium.links_out
            left_out[f"{medium.kind} files missing, each of one item"] += medium.items_without
        users: set[str] = set()
        sorter = _Sorter(scratch / "events")
        latest = _sort_events(events, sorter, known=known, users=users, last_night=last_night, left_out=left_out)
        last = last_night or (LAST_NIGHT if latest is None else (_EPOCH + timedelta(microseconds=latest)).date())
        days = tuple(last - timedelta(days=nights - 1 - night) for night in range(nights))
        arrival: dict[int, int] = {}
        _write_nights(raw, "interactions", days=days, rows=_events_by_night(sorter, days, arrival=arrival))
        by_night = _Sorter(scratch / "by_night")
        for night, line in _dated_items(scratch / "items", days, arrival=arrival, left_out=left_out):
            by_night.add(night, line)
        _write_nights(raw, "items", days=days, rows=by_night)
        places = {item: days[arrival.get(number, 0)] for item, number in known.items()} if vectors else {}
        written = {given.modality: _write_vectors(raw, given, places=places) for given in vectors}
        if vectors:
            (raw / CONFIGURATION).write_text(encoders(vectors), "utf-8")
    return Summary(
        items=len(known),
        users=len(users),
        nights=days,
        item_rows=item_rows,
        interaction_rows=sorter.rows,
        media={medium.kind: medium.files for medium in media},
        vectors=written,
        left_out={name: count for name, count in left_out.items() if count},
    )


def encoders(vectors: Iterable[Vectors]) -> str:
    """Return the part of a night's configuration that takes these vectors, YAML.

    >>> print(encoders([Vectors("image", "baby", 4096, [])]), end="")
    extract:
      encoders:
        image: {name: given, parameters: {name: baby, dim: 4096}}
    """
    lines = ["extract:", "  encoders:"]
    for given in vectors:
        choice: dict[str, Any] = {"name": "given", "parameters": {"name": given.name, "dim": given.width}}
        dumped = yaml.safe_dump(choice, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
        lines.append(f"    {given.modality}: {dumped.strip()}")
    return "\n".join([*lines, ""])


def night_ends(events: int, nights: int) -> list[int]:
    """Return how many events have arrived by the end of each night.

    >>> night_ends(100, 3)
    [96, 98, 100]
    """
    first = round(events * FIRST_NIGHT_SHARE) if nights > 1 else events
    size, larger = divmod(events - first, max(1, nights - 1))
    return [first + size * night + min(night, larger) for night in range(nights)]


def read_records(path: Path, *, left_out: Counter[str], what: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file in any format of the input contract; what cannot be read is counted.

    Args:
        what: a record in the plural, as `left_out` names it.

    Raises:
        LandingZoneError: the file cannot be read, or not to its end.
    """
    path = path.resolve()
    for _, record in Raw(str(path.parent)).records(path.name):
        if not isinstance(record, Refusal):
            yield record
        elif record.rows is None:
            raise LandingZoneError(f"{path}: {record.reason}: {record.detail}; repair it or download it anew")
        else:
            left_out[f"{what} that cannot be read: {record.reason}"] += record.rows


def found_in(source: Path) -> str:
    """Return the first names in a folder, for an error."""
    if not source.is_dir():
        return "no such folder"
    return ", ".join(sorted(entry.name for entry in source.iterdir())[:8]) or "nothing"


class _Sorter:
    """Lines sorted by an integer, on disk but for one run; equal ones stay in the order in which they were added."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.rows = 0
        self._folder = folder
        self._runs: list[Path] = []
        self._run: list[tuple[int, str]] = []
        self._chars = 0

    def add(self, key: int, line: str) -> None:
        self._run.append((key, line))
        self._chars += len(line) + 100
        self.rows += 1
        if self._chars > RUN_CHARS:
            self._write_run()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self._write_run()
        return heapq.merge(*map(_read_run, self._runs), key=itemgetter(0))

    def _write_run(self) -> None:
        path = self._folder / str(len(self._runs))
        with _scratch_file(path) as file:
            file.writelines(f"{key}\t{line}\n" for key, line in sorted(self._run, key=itemgetter(0)))
        self._runs.append(path)
        self._run, self._chars = [], 0


def _read_run(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for row in file:
            key, _, line = row.partition("\t")
            yield int(key), line.removesuffix("\n")


def _scratch_file(path: Path) -> Any:
    """Open for writing; halves of surrogate pairs, which UTF-8 has no bytes for, are left out."""
    return path.open("w", encoding="utf-8", errors="ignore", newline="\n")


@contextmanager
def _created(raw: Path) -> Iterator[Path]:
    """RAW, created where needed, with a folder for what is not read; what was written is removed after an error."""
    existed = raw.exists()
    create_raw(raw)
    try:
        with tempfile.TemporaryDirectory(prefix="_import-", dir=raw) as scratch:
            yield Path(scratch)
    except BaseException:
        for name in ("items", "interactions", "media", "vectors"):
            shutil.rmtree(raw / name, ignore_errors=True)
        (raw / CONFIGURATION).unlink(missing_ok=True)
        if not existed:
            with suppress(OSError):
                raw.rmdir()
        raise


def _spool_items(path: Path, items: Iterable[Mapping[str, Any]], known: dict[str, int]) -> int:
    """Write items to a file, each with its number, which is added to `known`; returns the number of rows."""
    rows = 0
    with _scratch_file(path) as file:
        for row in tqdm(items, desc="items", unit="row", disable=None):
            rows += 1
            number = known.setdefault(row["item_id"], len(known))
            file.write(f"{number}\t{json.dumps(row, ensure_ascii=False)}\n")
    return rows


def _sort_events(
    events: Iterable[tuple[int, Mapping[str, Any]]],
    sorter: _Sorter,
    *,
    known: Mapping[str, int],
    users: set[str],
    last_night: date | None,
    left_out: Counter[str],
) -> int | None:
    """Add events to `sorter`, each with its item's number, and their users to `users`; returns the latest time."""
    end = _DAY * ((last_night or date.max - timedelta(days=2)).toordinal() + 1 - _EPOCH.toordinal())
    latest = None
    for time, row in tqdm(events, desc="events", unit="row", disable=None):
        number = known.get(row["item_id"])
        if number is None:
            left_out["events of unknown items"] += 1
        elif time < 0:
            left_out["events before 1970"] += 1
        elif time >= end:
            left_out["events after the last night"] += 1
        else:
            stamp = (_EPOCH + timedelta(microseconds=time)).isoformat().replace("+00:00", "Z")
            sorter.add(time, f"{number}\t{json.dumps({**row, 'timestamp': stamp}, ensure_ascii=False)}")
            users.add(row["user_id"])
            latest = time if latest is None else max(time, latest)
    return latest


def _events_by_night(sorter: _Sorter, days: Sequence[date], *, arrival: dict[int, int]) -> Iterator[tuple[int, str]]:
    """Night and row of each event; the night of each item's first event is added to `arrival`."""
    ends = night_ends(sorter.rows, len(days))
    first_day = days[0].toordinal() - _EPOCH.toordinal()
    with tqdm(sorter, total=sorter.rows, desc="sorted", unit="row", disable=None) as rows:
        for position, (time, line) in enumerate(rows):
            number, _, row = line.partition("\t")
            night = max(bisect_right(ends, position), time // _DAY - first_day)
            arrival.setdefault(int(number), night)
            yield night, row


def _dated_items(
    path: Path, days: Sequence[date], *, arrival: Mapping[int, int], left_out: Counter[str]
) -> Iterator[tuple[int, str]]:
    """Night and row of each item."""
    for number, line in _read_run(path):
        night, row = arrival.get(number, 0), json.loads(line)
        if row.get("updated_at", "")[:10] > days[night].isoformat():
            left_out["times of items after their night"] += 1
            del row["updated_at"]
        row.setdefault("updated_at", f"{days[night].isoformat()}T00:00:00Z")
        yield night, json.dumps(row, ensure_ascii=False)


def _write_nights(raw: Path, kind: str, *, days: Sequence[date], rows: Iterable[tuple[int, str]]) -> None:
    """Write the partition of each night, from rows in the order of nights; one without rows has an empty file."""
    for day in days:
        write_jsonl(create_partition(raw, kind, day) / "part-00000.jsonl", ())
    for night, group in groupby(rows, key=itemgetter(0)):
        lines = map(itemgetter(1), group)
        for number, first in enumerate(lines):
            part = chain([first], islice(lines, ROWS_PER_FILE - 1))
            write_jsonl(create_partition(raw, kind, days[night]) / f"part-{number:05d}.jsonl", part)


def _write_vectors(raw: Path, vectors: Vectors, *, places: Mapping[str, date]) -> int:
    """Write vectors to the nights of their items, a file a block and night; returns how many there are."""
    rows = 0
    for number, (ids, block) in enumerate(vectors.blocks):
        nights = np.array([places[item].toordinal() for item in ids], np.int64)
        for night in np.unique(nights).tolist():
            chosen = np.flatnonzero(nights == night)
            ends = np.arange(len(chosen) + 1, dtype=np.int32) * vectors.width
            vector = pa.ListArray.from_arrays(pa.array(ends), pa.array(block[chosen].reshape(-1), pa.float32()))
            table = pa.table(
                {"item_id": pa.array([ids[row] for row in chosen.tolist()], pa.string()), "vector": vector}
            )
            folder = create_partition(raw, f"vectors/{vectors.modality}", date.fromordinal(night))
            place = folder / f"part-{number:05d}.parquet"
            pq.write_table(table, place, compression="zstd", write_page_checksum=True)
        rows += len(ids)
    return rows


def _copy(source: Path, target: Path, *, how: str) -> None:
    """A hard link or a copy; never a symbolic link, since media must lie within RAW."""
    if how == "link":
        try:
            os.link(source.resolve(), target)
            return
        except OSError:
            target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
