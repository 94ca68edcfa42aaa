"""A thousand damaged record files: each record is a row, its text encoded, or it is refused with a reason."""

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.base import MediaError
from features.text.bag import BagOfWords
from jobs.clean import ORIGIN, Reading, in_batches, read_rows
from jobs.landing import records
from jobs.landing.columns import Columns
from jobs.landing.raw import Raw, Refusal
from schemas.config import Clean, Events
from schemas.tables import Interactions, Items

FILES, WARM = 1000, 250
GROWTH_BYTES = 128 << 20
NIGHT = date(2026, 11, 1)
ITEMS: list[dict[str, Any]] = [
    {"item_id": "a", "title": "Frog 🐸", "tags": ["green", "wet"], "price": "1,299.00", "image_uris": ["a.png"]},
    {"item_id": "b", "title": "青蛙与池塘", "description": "<p>caf&eacute;<br>au</p>", "attributes": {"hue": "red"}},
    {"item_id": "c", "language": "en", "updated_at": "2026-11-01T08:00:00+08:00", "audio_uris": "media/c.wav"},
    {"item_id": "d", "deleted": "true", "category": "frogs", "unheard_of": 1, "price": "12.5"},
]  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"user_id": "u", "item_id": "a", "timestamp": "2026-11-01T10:00:00Z", "event": "rating", "value": "4.5"},
    {"user_id": "v", "item_id": "b", "timestamp": "1793527200", "event": "review", "text": "很好 — well made, 10/10"},
    {"user_id": "w", "item_id": "c", "timestamp": "2026-11-01 10:00:00", "event": "view"},
]
WRITTEN = (
    b"\\ud83d",
    b"1e999",
    b"9" * 5000,
    b"9" * 400,
    b"[" * 3000,
    b'"',
    b"\0",
    b"\xff",
    b"\n",
    b"{}",
    b"null",
    b"://[",
)


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=index % 2 == 0) for index, row in enumerate(rows)).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, sorted({name for row in rows for name in row}))
    writer.writeheader()
    for row in rows:
        writer.writerow({name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()})
    return text.getvalue().encode()


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    typed = [{**row, "timestamp": datetime(2026, 11, 1, tzinfo=UTC), "price": 3.5} for row in rows]
    columns = {name: [row.get(name) for row in typed] for name in sorted({name for row in typed for name in row})}
    plain = {
        name: values
        for name, values in columns.items()
        if all(isinstance(v, str | float | datetime | None) for v in values)
    }
    data = io.BytesIO()
    pq.write_table(pa.table(plain), data, **options)
    return data.getvalue()


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """One to three changes: bytes changed, a piece lost or repeated, something hostile written, the end lost."""
    for _ in range(random.integers(1, 4)):
        start = int(random.integers(len(data) + 1))
        end = start + int(random.integers(1, 40))
        data = DAMAGES[random.integers(len(DAMAGES))](data, start, end, random)
    return data


DAMAGES: tuple[Callable[[bytes, int, int, np.random.Generator], bytes], ...] = (
    lambda data, start, end, random: data[:start] + random.bytes(1) + data[start + 1 :],
    lambda data, start, end, random: data[:start] + data[end:],
    lambda data, start, end, random: data[:end] + data[start:],
    lambda data, start, end, random: data[:start] + WRITTEN[random.integers(len(WRITTEN))] + data[start:],
    lambda data, start, end, random: data[:start] + WRITTEN[random.integers(len(WRITTEN))] + data[end:],
    lambda data, start, end, random: data[:start] if start > len(data) // 2 else data,
)
SEEDS: dict[str, tuple[str, bytes]] = {
    f"{kind} {number}": (kind, data)
    for kind, rows in (("items", ITEMS), ("interactions", EVENTS))
    for number, data in enumerate(
        (json_lines(rows), as_csv(rows), parquet(rows), parquet(rows, compression="zstd", use_dictionary=False))
    )
}
TABLES = {
    "items": (Items, records.ITEM_FIELDS, "item_id"),
    "interactions": (Interactions, records.INTERACTION_FIELDS, "user_id"),
}
ENDINGS = (".jsonl", ".csv", ".parquet", ".parquet")


def resident() -> int:
    """Memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def read(raw: Raw, path: str, kind: str) -> list[dict[str, Any]]:
    """The rows of a file as the lake's own types hold them."""
    table, fields, record_id = TABLES[kind]

    def normalise(record: dict[str, Any]) -> dict[str, Any]:
        if kind == "items":
            return records.item(record, night=NIGHT, config=Clean()) | {"date": NIGHT}
        return records.interaction(record, night=NIGHT, events=Events(), config=Clean()) | {"date": NIGHT}

    schema = pa.schema([*(field.with_nullable(True) for field in table.schema), *ORIGIN])
    rows = read_rows(path, raw=raw, reading=Reading(Columns(fields, {}), record_id, normalise))
    *rows, account = [row for batch in in_batches(rows, schema) for row in batch.to_pylist()]
    unknown = any(row["rows"] is None for row in rows)
    assert account["counted"] == (None if unknown else sum(row["rows"] for row in rows))
    return rows


def outcome(raw: Raw, row: dict[str, Any], encoder: BagOfWords) -> str:
    """What becomes of a row: the reason why it is refused, or "kept", its text encoded and its media looked for."""
    if row["reason"]:
        assert row["detail"] is not None
        return row["reason"]
    for uri in (*(row.get("image_uris") or ()), *(row.get("audio_uris") or ())):
        with pytest.raises(Refusal):
            raw.media(uri, max_bytes=10)
    if row["text"]:
        try:
            encoder.encode([encoder.decode(row["text"])]).validate(full=True)
        except MediaError as refusal:
            assert refusal.reason == "empty"
    return "kept"


@pytest.mark.slow
def test_every_damaged_record_is_a_row_or_refused(tmp_path: Path) -> None:
    raw, encoder, ends, before = Raw(str(tmp_path)), BagOfWords(), dict[str, int](), 0
    for number in range(FILES):
        before = resident() if number == WARM else before
        name = list(SEEDS)[number % len(SEEDS)]
        kind, data = SEEDS[name]
        path = tmp_path / f"records{ENDINGS[int(name[-1])]}"
        path.write_bytes(damaged(data, np.random.default_rng(number)))
        try:
            for row in read(raw, path.name, kind):
                end = outcome(raw, row, encoder)
                ends[end] = ends.get(end, 0) + 1
        except Exception as error:
            raise AssertionError(f"file {number}, {name}") from error
        path.unlink()
    assert ends["kept"] > FILES // 2
    assert min(ends[reason] for reason in ("not_json", "not_csv", "not_parquet")) > FILES // 100, ends
    assert resident() - before < GROWTH_BYTES
