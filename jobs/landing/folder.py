"""The importer of a plain folder: one CSV of items, media files named by item, and optionally a CSV of interactions.

```
SRC/items.csv           any name, if it is the only CSV beside interactions.csv; also .tsv, and .gz, .zst or .bz2
SRC/interactions.csv    optional; also .tsv, and compressed
SRC/images/<item>.jpg   and audio/, video/: optional, in any format
```

The columns are those of the input contract, or are renamed to them.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.landing import records
from jobs.landing.importing import Media, found_in, read_records, write_import
from jobs.landing.raw import LandingZoneError
from jobs.landing.refusal import Refusal
from jobs.landing.writing import Summary
from schemas.config import Clean, Events
from schemas.errors import did_you_mean

MEDIA = {"image": "images", "audio": "audio", "video": "video"}
_CSV = re.compile(r"[^._].*\.(csv|tsv)(\.(gz|gzip|zst|zstd|bz2))?", re.IGNORECASE)
_INTERACTIONS = re.compile(r"interactions\.(csv|tsv)(\..+)?", re.IGNORECASE)
_ANY_NIGHT = date(9998, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_landing_zone(
    source: Path,
    raw: Path,
    *,
    columns: Mapping[str, str] | None = None,
    nights: int = 1,
    last_night: date | None = None,
) -> Summary:
    """Write `source` under `raw`: every row as an item or an event, every media file with the item that it is named by.

    What the input contract refuses is left out and counted by the reason that `quarantine` would name. So are columns
    that it does not have, and media that a cell names and that are no files in `source`.

    Args:
        raw: a folder that is new or empty.
        columns: names in the contract by names in the source, of items and interactions; others keep their name.
        nights, last_night: as in `writing.write_import`, which assigns the events to nights.

    Raises:
        LandingZoneError: there is no CSV of items, or several; a name is not in the contract, or not in the source;
            `raw` is not empty, or an argument is out of range.
    """
    columns = columns or {}
    _check(columns)
    items, interactions = _files(source)
    left_out: Counter[str] = Counter()
    media = {f"{kind}_uris": Media(source / folder, raw, kind=kind, name=folder) for kind, folder in MEDIA.items()}
    read = _Reading(columns=columns, left_out=left_out)
    return write_import(
        raw,
        items=_items(source, items, media, read=read),
        events=_events(interactions, read=read),
        nights=nights,
        last_night=last_night,
        media=list(media.values()),
        left_out=left_out,
    )


def parse_columns(text: str) -> dict[str, str]:
    """Return names in the contract by names in the source.

    >>> parse_columns("sku=item_id,name=title")
    {'sku': 'item_id', 'name': 'title'}

    Raises:
        LandingZoneError: a part is not `source=contract`.
    """
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        raw, equals, contract = part.rpartition("=")
        if not equals or not raw.strip() or raw.strip() in found:
            raise LandingZoneError(f"--columns has {part!r}; expected source=contract, by commas, each source once")
        found[raw.strip()] = contract.strip()
    return found


def _check(columns: Mapping[str, str]) -> None:
    known = records.ITEM_FIELDS | records.INTERACTION_FIELDS
    for name in columns.values():
        if name not in known:
            raise LandingZoneError(f"--columns names {name!r}; {did_you_mean(name, known)}known are {sorted(known)}")
    if twice := [name for name, count in Counter(columns.values()).items() if count > 1]:
        raise LandingZoneError(f"--columns gives several columns the name {twice[0]}; give each its own")


def _files(source: Path) -> tuple[Path, Path | None]:
    """The file of items, and that of interactions if there is one."""
    found = sorted(path for path in source.glob("*") if _CSV.fullmatch(path.name) and path.is_file())
    interactions = [path for path in found if _INTERACTIONS.fullmatch(path.name)]
    items = [path for path in found if path not in interactions]
    items = [path for path in items if path.name.lower().startswith("items.")] or items
    if len(items) != 1 or len(interactions) > 1:
        raise LandingZoneError(
            f"{source} holds {len(items)} files of items and {len(interactions)} of interactions (found: "
            f"{found_in(source)}); expected one CSV of items, such as items.csv, and at most one interactions.csv"
        )
    return items[0], next(iter(interactions), None)


@dataclass(frozen=True)
class _Reading:
    """How rows are read.

    Attributes:
        columns: names in the contract by names in the source.
        left_out: counts of what is left out.
        seen: the names in the source that a row had.
    """

    columns: Mapping[str, str]
    left_out: Counter[str]
    seen: set[str] = field(default_factory=set)

    def rows(self, path: Path, fields: frozenset[str], *, what: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a file under the contract's names; a renamed column wins over one that bears the name."""
        for record in read_records(path, left_out=self.left_out, what=what):
            self.seen.update(record)
            row = {name: value for name, value in record.items() if name in fields and name not in self.columns}
            for name, value in record.items():
                contract = self.columns.get(name, name)
                if contract not in fields:
                    self.left_out[f"values of {what} in the column {name}"] += 1
                elif name in self.columns:
                    row[contract] = value
            yield row


def _items(source: Path, path: Path, media: Mapping[str, Media], *, read: _Reading) -> Iterator[dict[str, Any]]:
    kept = 0
    for row in read.rows(path, records.ITEM_FIELDS, what="items"):
        try:
            parsed = records.item(row, night=_ANY_NIGHT, config=Clean())
        except Refusal as refusal:
            read.left_out[f"items: {refusal.reason}"] += 1
            continue
        kept += 1
        row["item_id"] = parsed["item_id"]
        if parsed["updated_at"]:
            row["updated_at"] = parsed["updated_at"].isoformat()
        for field_, medium in media.items():
            files = [file for uri in parsed[field_] if (file := _file(source, uri))]
            read.left_out[f"{medium.kind}s that are no files of the folder"] += len(parsed[field_]) - len(files)
            row[field_] = medium.take(parsed["item_id"], others=files)
        yield {name: value for name, value in row.items() if value != []}
    if not kept:
        causes = ", ".join(f"{count} {name}" for name, count in read.left_out.items()) or "it has no rows"
        raise LandingZoneError(f"{path} holds no item ({causes}); --columns raw=contract,... names its columns")


def _file(source: Path, uri: str) -> Path | None:
    """The file in `source` that a cell names; None for a URL, and for what is not there or lies elsewhere."""
    path = source / uri
    if not os.path.isfile(path) or not path.resolve().is_relative_to(source.resolve()):
        return None
    return path


def _events(path: Path | None, *, read: _Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in read.rows(path, records.INTERACTION_FIELDS, what="interactions") if path else ():
        try:
            # Which events there are is up to the configuration of the night.
            parsed = records.interaction({**row, "event": "view"}, night=_ANY_NIGHT, events=Events(), config=Clean())
        except Refusal as refusal:
            read.left_out[f"interactions: {refusal.reason}"] += 1
            continue
        if not row.get("event"):
            read.left_out["interactions: unknown_event"] += 1
            continue
        ids = {"user_id": parsed["user_id"], "item_id": parsed["item_id"]}
        yield (parsed["timestamp"] - _EPOCH) // timedelta(microseconds=1), {**row, **ids}
    if missing := read.columns.keys() - read.seen:
        found = ", ".join(sorted(read.seen))
        raise LandingZoneError(f"--columns names {sorted(missing)[0]!r}, in which no row has a value; found: {found}")
