"""Writing a landing zone: its folders, its three file formats, and a summary of what was written."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.landing.raw import LandingZoneError
from schemas.table import Medium

ITEM_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("description", pa.string()),
        ("category", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("language", pa.string()),
        ("price", pa.float64()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("image_uris", pa.list_(pa.string())),
        ("audio_uris", pa.list_(pa.string())),
        ("video_uris", pa.list_(pa.string())),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("deleted", pa.bool_()),
    ]
)
INTERACTION_COLUMNS = ("user_id", "item_id", "timestamp", "event", "value", "text")


@dataclass(frozen=True)
class Summary:
    """A landing zone as it was written.

    Attributes:
        items, users: their numbers.
        nights: the partitions' dates, ascending.
        item_rows, interaction_rows: rows in all files, the damaged and repeated ones among them.
        media: files by kind (`image`, `audio`, `video`).
        vectors: those that the source has already, by modality.
        planted: rows and files made wrong on purpose, counted by name; empty for real data.
        left_out: what the source has and the landing zone lacks, counted by what it is and why; empty for made data.
    """

    items: int
    users: int
    nights: tuple[date, ...]
    item_rows: int
    interaction_rows: int
    media: Mapping[str, int] = field(default_factory=dict)
    vectors: Mapping[Medium, int] = field(default_factory=dict)
    planted: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        files = ", ".join(f"{count:,} {kind}" for kind, count in self.media.items() if count)
        lines = [
            f"{self.items:,} items in {self.item_rows:,} rows, {self.users:,} users in {self.interaction_rows:,} rows, "
            f"nights {self.nights[0]} to {self.nights[-1]}",
            f"media files: {files or 'none'}",
        ]
        if self.vectors:
            lines.append("vectors: " + ", ".join(f"{count:,} {modality}" for modality, count in self.vectors.items()))
        if self.planted:
            lines.append("planted: " + ", ".join(f"{name} {count:,}" for name, count in sorted(self.planted.items())))
        left_out = [f"  {count:,} {name}" for name, count in sorted(self.left_out.items()) if count]
        if left_out:
            lines += ["left out:", *left_out]
        return "\n".join(lines)


def create_raw(raw: Path) -> None:
    """Create the folder `raw` where it does not exist.

    Raises:
        LandingZoneError: it is a file, or a folder that is not empty.
    """
    if wrong := not_free(raw):
        raise LandingZoneError(wrong)
    try:
        raw.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LandingZoneError(f"{raw} cannot be made: {error.strerror}; give a folder that can") from None


def not_free(folder: Path) -> str:
    """Return why a folder cannot be written to as a whole; "" where it does not exist or is empty."""
    if folder.exists() and not folder.is_dir():
        return f"{folder} is a file; give a folder that is new or empty"
    found = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    return f"{folder} already holds {shown}; give a new or empty folder, or remove these first" if found else ""


def create_partition(raw: Path, kind: str, night: date) -> Path:
    """Return the folder of what arrived on `night`, created where needed; `kind` is `items` or `interactions`."""
    folder = raw / kind / f"ds={night.isoformat()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> None:
    """Write one line a row; a `str` is written as it is, valid JSON or not."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write rows as CSV: lists and mappings as JSON text, absent values as empty cells, no keys outside `columns`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write rows as Parquet, zstd: keys outside `schema` are left out, absent ones are null."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, compression="zstd")


def _cell(value: object) -> object:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else value
