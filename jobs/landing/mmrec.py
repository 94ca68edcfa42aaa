"""The importer of data sets of the research field, as MMRec (github.com/enoche/MMRec) lays them out.

| file | |
| --- | --- |
| one `*.inter` | tab-separated with a header: `userID`, `itemID`; optional `rating`, `timestamp`, `x_label` |
| `text_feat.npy`, also `image`, `audio`, `video` | at least one: numbers [rows, d], row i is of item i |
| `text_mask.npy`, also `image`, `audio`, `video` | optional: bool [rows], False where a row is filled in |
| `i_id_mapping.csv`, `u_id_mapping.csv` | optional: tab-separated with a header: original identifier, number |

Headers may bear RecBole's types (`user_id:token`). Items and users are numbered from 0.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jobs.landing import records
from jobs.landing.importing import LAST_NIGHT, Vectors, found_in, write_import
from jobs.landing.raw import LandingZoneError
from jobs.landing.refusal import Refusal
from jobs.landing.writing import Summary
from schemas.config import Clean, Events
from schemas.errors import did_you_mean
from schemas.table import MEDIA, Medium

BLOCK_BYTES = 64 * 2**20
"""How much of a matrix is held in memory at a time, as float32."""
COLUMNS = {"userID": "userID", "user_id": "userID", "itemID": "itemID", "item_id": "itemID"} | {
    name: name for name in ("rating", "timestamp", "x_label")
}
"""The columns of `*.inter` that have a meaning, by the names that they may bear."""
ITEM_NAMES, USER_NAMES = "i_id_mapping.csv", "u_id_mapping.csv"
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_EXPECTED = "tab-separated userID and itemID, and optionally rating, timestamp, x_label"
_ANY_NIGHT = date(9998, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_landing_zone(
    source: Path, raw: Path, *, ratings: bool = False, nights: int = 1, last_night: date = LAST_NIGHT
) -> Summary:
    """Write `source` under `raw`: every row of `*.inter` as an event, every row of a feature matrix as a vector.

    Items are those that `i_id_mapping.csv` names; without it, those that have an event, and those numbered below the
    largest of these that have a row of features. A row is an event `like`, as MMRec's models take it, with its rating
    as `value`.

    Where there is no timestamp, all events bear the beginning of `last_night`.

    `x_label`, the data set's own split, is left out: a night makes its own. Laid out by nights it would invent an order
    in time where there is none, and where there are times they say more.

    Args:
        raw: a folder that is new or empty.
        ratings: take a row that has a rating as an event `rating`, which is no like where it is low.
        nights, last_night: as in `importing.write_import`, which assigns events to nights.

    Raises:
        LandingZoneError: a file is missing, there twice, or not of the layout; `raw` is not empty, or an argument is
            out of range.
    """
    inter = _Inter.find(source)
    left_out: Counter[str] = Counter()
    matrices = [found for modality in MEDIA if (found := _Matrix.find(source, modality))]
    if not matrices:
        near = did_you_mean("image_feat.npy", [path.name for path in source.glob("*.npy")])
        raise LandingZoneError(
            f"{source} holds no matrix of features (found: {found_in(source)}); {near}expected image_feat.npy, "
            "text_feat.npy, audio_feat.npy or video_feat.npy"
        )
    if nights > 1 and "timestamp" not in inter.places:
        raise LandingZoneError(
            f"{inter.path} has no timestamp by which events could be laid out over {nights} nights; leave --nights out"
        )
    items = _names(source / ITEM_NAMES) or _numbered(inter, rows=max(len(matrix) for matrix in matrices))
    users = _names(source / USER_NAMES)
    if unread := _unread(source, inter.path.name):
        left_out[f"files that are not read: {', '.join(unread)}"] = len(unread)
    return write_import(
        raw,
        items=({"item_id": item} for item in items.values()),
        events=_events(inter, items, users, ratings=ratings, last_night=last_night, left_out=left_out),
        nights=nights,
        last_night=last_night,
        vectors=[matrix.vectors(items, name=source.resolve().name, left_out=left_out) for matrix in matrices],
        left_out=left_out,
    )


@dataclass(frozen=True)
class _Inter:
    """The file of interactions.

    Attributes:
        places: the column of each meaning in `COLUMNS` that the file has.
        others: the names of further columns.
    """

    path: Path
    places: Mapping[str, int]
    others: tuple[str, ...]

    @classmethod
    def find(cls, source: Path) -> "_Inter":
        found = sorted(path for path in source.glob("*.inter") if path.is_file())
        if len(found) != 1:
            there = ", ".join(path.name for path in found) or found_in(source)
            raise LandingZoneError(
                f"{source} holds {len(found)} files *.inter (found: {there}); expected exactly one, with {_EXPECTED}"
            )
        _, header = next(_lines(found[0]), (0, []))
        names = [cell.partition(":")[0].strip() for cell in header]
        meanings = [COLUMNS.get(name) for name in names]
        others = tuple(name for name, meaning in zip(names, meanings, strict=True) if meaning is None)
        for meaning in dict.fromkeys(COLUMNS.values()):
            if meanings.count(meaning) > 1 or (meaning in ("userID", "itemID") and meaning not in meanings):
                what = "several columns" if meaning in meanings else "no column"
                near = "" if meaning in meanings else did_you_mean(meaning, others)
                raise LandingZoneError(
                    f"{found[0]} has {what} {meaning} (found: {', '.join(names)}); {near}expected {_EXPECTED}"
                )
        places = {meaning: place for place, meaning in enumerate(meanings) if meaning}
        return cls(found[0], places, others)

    def rows(self) -> Iterator[tuple[int, int, dict[str, str]]]:
        """User, item and the cells of the other meanings, of every row."""
        width = len(self.places) + len(self.others)
        lines = _lines(self.path)
        next(lines)
        for line, cells in lines:
            if len(cells) != width:
                raise LandingZoneError(
                    f"{self.path}, line {line}: {len(cells)} cells where the header has {width}; expected {_EXPECTED}"
                )
            found = {meaning: cells[place] for meaning, place in self.places.items()}
            user, item = (_number(found.pop(name), name, self.path, line) for name in ("userID", "itemID"))
            yield user, item, found


@dataclass(frozen=True)
class _Matrix:
    """The features of one modality; they stay on disk.

    Attributes:
        values: [rows, d], real numbers of any type.
        own: bool [rows], False where a row is filled in; None where nothing says which are.
    """

    modality: Medium
    values: NDArray[Any]
    own: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def find(cls, source: Path, modality: Medium) -> "_Matrix | None":
        path, mask = source / f"{modality}_feat.npy", source / f"{modality}_mask.npy"
        if not path.exists():
            return None
        values = _array(path)
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise LandingZoneError(
                f"{path} holds {values.dtype} {list(values.shape)}; expected numbers [items, width], a row an item"
            )
        own = _array(mask) if mask.exists() else None
        if own is not None and (own.shape != values.shape[:1] or own.dtype != np.bool_):
            raise LandingZoneError(
                f"{mask} holds {own.dtype} {list(own.shape)}; expected bool [{len(values)}], one for each row of "
                f"{path.name}"
            )
        return cls(modality, values, own)

    def vectors(self, items: Mapping[int, str], *, name: str, left_out: Counter[str]) -> Vectors:
        return Vectors(self.modality, name, self.values.shape[1], self._blocks(items, left_out=left_out))

    def _blocks(
        self, items: Mapping[int, str], *, left_out: Counter[str]
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Ids and vectors of the rows that are an item's own; the others are counted by their first fault."""
        rows, width = self.values.shape
        what = f"{self.modality} rows"
        left_out[f"{what} missing, each of one item"] += sum(number >= rows for number in items)
        size = max(1, BLOCK_BYTES // (4 * width))
        with tqdm(total=rows, desc=f"{self.modality} vectors", unit="row", disable=None) as progress:
            for start in range(0, rows, size):
                with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and counted below
                    block = np.asarray(self.values[start : start + size], np.float32)
                known = np.array([start + row in items for row in range(len(block))])
                kept = known.copy()
                for fault, ok in self._faults(block, start):
                    left_out[f"{what} {fault}"] += int((kept & ~ok).sum())
                    kept &= ok
                left_out[f"{what} of no item"] += int((~known).sum())
                yield [items[start + row] for row in np.flatnonzero(kept).tolist()], block[kept]
                progress.update(len(block))

    def _faults(self, block: NDArray[np.float32], start: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """What may be wrong with a row, and which rows of the block, bool [b], are free of it."""
        if self.own is not None:
            yield "that are filled in", self.own[start : start + len(block)]
        yield "that are not finite", np.asarray(np.isfinite(block).all(axis=1))
        if block.shape[1] > 1:  # zeros and the like, which only hold a place
            yield "that are constant", np.asarray((block != block[:, :1]).any(axis=1))


def _array(path: Path) -> NDArray[Any]:
    """The array of a file, on disk; nothing is unpickled.

    Raises:
        LandingZoneError: the file is no array of numbers, is empty, or ends early.
    """
    try:
        found: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        if found.size:
            return found
        cause = f"it holds {list(found.shape)}"
    except (ValueError, OSError) as error:
        cause = " ".join(str(error).split())
    raise LandingZoneError(
        f"{path} cannot be read as an array of numbers: {cause}; objects, which would be unpickled, are refused: write "
        "it with numpy.save(path, numpy.asarray(features, 'float32'))"
    )


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of the rows of a tab-separated file, the header among them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t")
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingZoneError(f"{path} is not tab-separated text: {error}; write it as UTF-8 with tabs") from error


def _number(cell: str, column: str, path: Path, line: int) -> int:
    if not _NUMBER.fullmatch(cell):
        raise LandingZoneError(
            f"{path}, line {line}: {column} is {cell!r:.100}; expected a number from 0, since row i of a matrix is of "
            f"item i; put original identifiers into {ITEM_NAMES} and {USER_NAMES}"
        )
    return int(cell)


def _names(path: Path) -> dict[int, str]:
    """Original identifiers by number, ascending by number; empty where there is no such file."""
    if not path.exists():
        return {}
    found: dict[int, str] = {}
    lines = _lines(path)
    next(lines, None)
    for line, cells in lines:
        if len(cells) != 2:
            raise LandingZoneError(
                f"{path}, line {line}: {len(cells)} cells; expected an original identifier, a tab and a number"
            )
        number = _number(cells[1], "the number", path, line)
        if number in found:
            raise LandingZoneError(f"{path}, line {line}: the number {number} is there twice; expected each once")
        try:
            found[number] = records.item({"item_id": cells[0]}, night=_ANY_NIGHT, config=Clean())["item_id"]
        except Refusal as refusal:
            raise LandingZoneError(f"{path}, line {line}: an identifier cannot be used: {refusal.detail}") from None
    if twice := [name for name, count in Counter(found.values()).items() if count > 1]:
        raise LandingZoneError(f"{path} has the identifier {twice[0]!r:.100} twice; expected each once")
    if not found:
        raise LandingZoneError(f"{path} names nothing; remove it, or give it a header and an identifier a line")
    return dict(sorted(found.items()))


def _numbered(inter: _Inter, *, rows: int) -> dict[int, str]:
    """Identifiers of items that nothing names: their numbers."""
    found = {item for _, item, _ in tqdm(inter.rows(), desc="item numbers", unit="row", disable=None)}
    if not found:
        raise LandingZoneError(f"{inter.path} has a header and no rows; expected a row for each interaction")
    return {number: str(number) for number in sorted(found | set(range(min(rows, max(found) + 1))))}


def _unread(source: Path, inter: str) -> list[str]:
    """Names in the folder that no layout has."""
    arrays = {f"{modality}_{what}.npy" for modality in MEDIA for what in ("feat", "mask")}
    known = {inter, ITEM_NAMES, USER_NAMES, *arrays}
    return sorted(path.name for path in source.iterdir() if path.name not in known and not path.name.startswith("."))


def _events(
    inter: _Inter,
    items: Mapping[int, str],
    users: Mapping[int, str],
    *,
    ratings: bool,
    last_night: date,
    left_out: Counter[str],
) -> Iterator[tuple[int, dict[str, Any]]]:
    accepted, config = Events(), Clean()
    beginning = datetime(last_night.year, last_night.month, last_night.day, tzinfo=UTC)
    unused = [
        *(name for name in inter.others),
        *(["x_label, the data set's own split"] if "x_label" in inter.places else []),
    ]
    for user, item, cells in inter.rows():
        for name in unused:
            left_out[f"values of {name}"] += 1
        if item not in items:
            left_out[f"events of items that {ITEM_NAMES} lacks"] += 1
            continue
        if users and user not in users:
            left_out[f"events of users that {USER_NAMES} lacks"] += 1
            continue
        row = {"user_id": users.get(user, str(user)), "item_id": items[item], "event": "like"}
        timestamp = cells.get("timestamp", beginning)
        try:
            known = {**row, "timestamp": timestamp, "value": cells.get("rating") or None}
            parsed = records.interaction(known, night=_ANY_NIGHT, events=accepted, config=config)
        except Refusal as refusal:
            left_out[f"events: {refusal.reason}"] += 1
            continue
        if "timestamp" not in cells:
            left_out[f"times of events, which there are none of: all bear {beginning.isoformat()}"] += 1
        value = parsed["value"]
        rated = {} if value is None else {"value": value, "event": "rating" if ratings else "like"}
        yield (parsed["timestamp"] - _EPOCH) // timedelta(microseconds=1), {**row, **rated}
