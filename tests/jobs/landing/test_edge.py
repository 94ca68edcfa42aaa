"""Whole nights of cleaning over what lands in practice: every row and every file is accounted for."""

import gzip
import json
import logging
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import clean
from jobs.landing.columns import Columns
from jobs.landing.raw import Records
from jobs.runtime.completeness import incomplete
from jobs.runtime.night import Night, NightError
from jobs.verify import findings
from lake import forgotten
from lake.forgotten import Subject
from lake.lake import Lake
from lake.rows import Engine
from schemas.tables import Interactions, Items, Ledger, Quarantine
from tests.jobs.nights import a_night

pytestmark = pytest.mark.night
DATE = "2026-11-01"
FAR = 4_611_686_018_427_387_904  # microseconds: the year 148,108
USERS = ["<guest-1>", "<guest-2>", "\u200b", "ann🩷", "ann", "a&copy=1", "a©=1"]


def lay(raw: Path) -> None:
    """221 rows of items in nine files, 7 of interactions in one, and what must not be read."""
    night = raw / "items" / f"ds={DATE}"
    (night / "_temporary" / "0").mkdir(parents=True)
    rows = [f"q-{number:03},plain title {number}" for number in range(1, 101)]
    rows[2] = 'q-003,"plain title 3'
    (night / "unclosed.csv").write_text("\n".join(["item_id,title", *rows]))
    lines = "".join(json.dumps({"item_id": f"gz-{number}", "title": "x"}) + "\n" for number in range(80))
    (night / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (night / "b.CSV").write_text("item_id,price\nupper-1,29.9900\nupper-2,1.299 €\n")
    (night / "c.ndjson").write_text('{"item_id":"nd-1","title":"x","deleted":null}\n')
    (night / "d.json").write_text('[{"item_id":"json-1","title":NaN},{"item_id":"json-2","tags":["a",null]}]')
    (night / "lists.csv").write_text("item_id,tags\npylist,\"['a', 'b']\"\n")
    (night / "big.csv").write_text('item_id,description\nbig,"' + "x\n" * 70_000 + '"\nafter,a good row\n')
    times = pa.array([0] * 29 + [FAR], pa.int64()).cast(pa.timestamp("us", "UTC"))
    far = pa.table({"item_id": [f"far-{number}" for number in range(30)], "updated_at": times})
    pq.write_table(far, night / "far.parquet")
    (night / "twice.jsonl").write_text('{"item_id":"twice","title":"y"}\n{"item_id":"twice"}\n{"item_id":"twice"}\n')
    for hidden in ("_temporary/0/part-0.jsonl", "._a.jsonl", "_SUCCESS"):
        (night / hidden).write_text('{"item_id":"hidden"}\n')
    (night / "sheet.xlsx").write_bytes(b"PK\x03\x04")
    (raw.parent / "secret.jsonl").write_text("root:x:0:0\n")
    (night / "linked.jsonl").symlink_to(raw.parent / "secret.jsonl")
    (raw / "items" / f"ds={DATE}.bak").mkdir()
    (raw / "items" / f"ds={DATE}.bak" / "a.jsonl").write_text('{"item_id":"bak"}\n')
    events = raw / "interactions" / f"ds={DATE}"
    events.mkdir(parents=True)
    event = {"item_id": "big", "timestamp": f"{DATE}T10:00:00Z", "event": "like"}
    (events / "e.jsonl").write_text("".join(json.dumps({"user_id": user} | event) + "\n" for user in USERS))


@pytest.fixture(scope="module")
def said(either: Engine) -> list[str]:
    """The warnings of the night, of each engine its own."""
    return []


@pytest.fixture(scope="module")
def night(either: Engine, tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Night:
    folder = tmp_path_factory.mktemp("edge")
    lay(folder / "raw")
    made = a_night(DATE, folder / "raw", Lake(str(folder / "lake")))
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    clean.log.addHandler(handler)
    try:
        clean.clean_items(either, made)
        clean.clean_interactions(either, made)
    finally:
        clean.log.removeHandler(handler)
    return made


def test_the_accounts(night: Night) -> None:
    accounts = {row["step"]: row for row in night.lake.read(Ledger).to_pylist()}
    columns = ("rows_in", "kept", "refused", "duplicates", "superseded", "files", "unread_files")
    items, events, media = (accounts[step] for step in ("clean_items", "clean_interactions", "clean_media"))
    assert tuple(items[name] for name in columns) == (221, 216, 3, 1, 1, 9, 2)
    assert tuple(events[name] for name in columns) == (7, 6, 1, 0, 0, 1, 0)
    assert (media["files"], media["unread_files"]) == (None, None)


def test_what_was_refused_has_its_place_and_quotes_nothing(night: Night) -> None:
    rows = [row for row in night.lake.read(Quarantine).to_pylist() if row["stage"] != "clean_media"]
    place = f"items/ds={DATE}"
    assert {(row["source"], row["position"], row["reason"], row["rows"]) for row in rows} == {
        (f"{place}/b.CSV", 3, "price_type", 1),
        (f"{place}/far.parquet", 30, "unreadable_value", 1),
        (f"{place}/unclosed.csv", 4, "not_csv", 1),
        (f"{place}/sheet.xlsx", 0, "unknown_format", 0),
        (f"{place}/linked.jsonl", 0, "outside_raw", 0),
        (f"interactions/ds={DATE}/e.jsonl", 3, "user_id_missing", 1),
    }
    assert not [row for row in rows if "root" in row["detail"] or "plain title" in row["detail"]]


def test_what_was_kept(night: Night) -> None:
    items = {row["item_id"]: row for row in night.lake.read(Items).to_pylist()}
    assert {"gz-0", "gz-79", "upper-1", "nd-1", "json-1", "json-2", "pylist", "after", "far-0", "q-100"} <= items.keys()
    assert not {"hidden", "bak", "q-003", "far-29", "upper-2"} & items.keys()
    assert (items["upper-1"]["price"], items["json-1"]["title"], items["json-2"]["tags"]) == (29.99, "", ["a"])
    assert (items["pylist"]["tags"], items["twice"]["title"]) == (["a", "b"], "")
    assert len(items["big"]["description"]) == night.config.clean.max_text_chars
    users = {row["user_id"] for row in night.lake.read(Interactions).to_pylist()}
    assert users == {*USERS} - {"\u200b"}


def test_what_is_not_read_is_said_once(said: list[str], night: Night) -> None:
    assert [line for line in said if "sheet.xlsx" in line] and [line for line in said if "linked.jsonl" in line]
    assert len([line for line in said if f"ds={DATE}.bak" in line]) == 1


def test_the_accounts_hold_against_the_tables(night: Night) -> None:
    _, broken = findings(night.lake)
    assert not [finding for finding in broken if finding.place.startswith("ledger")]


def test_a_folder_that_is_no_night_blocks_no_later_one(night: Night) -> None:
    later = Night.of(date_="2026-11-02", raw=night.raw.uri, lake=night.lake.uri, config=None)
    assert incomplete(later) == [DATE]


def bring(tmp_path: Path, name: str, content: bytes) -> Night:
    folder = tmp_path / "raw" / "items" / f"ds={DATE}"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    return a_night(DATE, tmp_path / "raw", Lake(str(tmp_path / "lake")))


def cut(tmp_path: Path) -> bytes:
    pq.write_table(pa.table({"item_id": [str(n) for n in range(1000)]}), tmp_path / "whole.parquet")
    data = (tmp_path / "whole.parquet").read_bytes()
    return data[: int(0.6 * len(data))]


@pytest.mark.parametrize("name", ["cut.parquet", "cut.jsonl.gz", "sheet.xlsx", os.fsdecode(b"caf\xe9.jsonl")])
def test_rows_that_nobody_can_count_stop_the_night(either: Engine, tmp_path: Path, name: str) -> None:
    lines = gzip.compress(b'{"item_id": 1}\n' * 1000)[:-9]
    night = bring(tmp_path, name, {"cut.parquet": cut(tmp_path), "cut.jsonl.gz": lines}.get(name, b"PK"))
    with pytest.raises(NightError, match="law 3"):
        clean.clean_items(either, night)
    assert len(night.lake.read(Items)) == len(night.lake.read(Ledger)) == 0
    (row,) = night.lake.read(Quarantine).to_pylist()
    assert row["source"].endswith(name.replace("\udce9", "\\xe9")) and row["position"] == 0


def test_rows_that_a_quote_swallows_stop_the_night(either: Engine, tmp_path: Path) -> None:
    rows = [f"q-{number:03},plain title {number}" for number in range(1, 101)]
    rows[2], rows[89] = 'q-003,"plain title 3', 'q-090,plain title 90"'
    night = bring(tmp_path, "a.csv", "\n".join(["item_id,title", *rows]).encode())
    with pytest.raises(NightError, match="88 of 100 refused"):
        clean.clean_items(either, night)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_in_another_encoding_stops_the_night_with_its_cause_and_a_remedy(
    either: Engine, tmp_path: Path, name: str
) -> None:
    lines = [f'{{"item_id": "{n}", "title": "Café"}}' if name == "a.jsonl" else f"{n},Café" for n in range(50)]
    night = bring(tmp_path, name, "\n".join(["item_id,title"] * (name == "a.csv") + lines).encode("cp1252"))
    with pytest.raises(NightError, match=rf"50 of 50 refused.*50 for not_utf8, .*{name} at .*iconv -f WINDOWS-1252"):
        clean.clean_items(either, night)


def test_a_count_that_differs_from_the_parsers_is_an_error(
    either: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parser that drops a row in silence."""

    def forgetful(self, rows):
        self.counted = 2
        next(rows)
        yield from rows

    monkeypatch.setattr(Records, "_all", forgetful)
    arrived = clean.Arrived([f"items/ds={DATE}/a.jsonl"], [])
    night = bring(tmp_path, "a.jsonl", b'{"item_id": 1}\n{"item_id": 2}\n')
    path = arrived.paths[0]
    reading = clean.Reading(Columns(frozenset(), {}), "item_id", dict)
    rows = list(clean.read_rows(path, raw=night.raw, reading=reading))
    accounts = [
        {"source": row["source"], "fate": "file" if "counted" in row else "kept"}
        | {name: row.get(name) for name in ("rows", "counted")}
        for row in rows
    ]
    schema = pa.schema([("source", pa.string()), ("fate", pa.string()), ("rows", pa.int64()), ("counted", pa.int64())])
    fates = either.rows(pa.Table.from_pylist(accounts, schema), parts=1)
    with pytest.raises(NightError, match="has 2 records, 1 accounted for"):
        clean.counted(night, "clean_items", arrived, fates)


def test_records_of_who_was_forgotten_are_left_out_and_in_no_account(either: Engine, tmp_path: Path) -> None:
    """Kept, refused, repeated or superseded: the night is as if they had never come."""
    b = {"item_id": "b"}
    rows = [{"item_id": "a"}, b, b | {"price": -1}, b, b | {"title": "x", "y": 1}, {"item_id": "c", "x": 1}]
    night = bring(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode() + b"{")
    events = tmp_path / "raw" / "interactions" / f"ds={DATE}"
    events.mkdir(parents=True)
    seen = {"timestamp": DATE, "event": "like"}
    pairs = [("ada", "a"), ("bob", "a"), ("bob", "b"), ("ada", "b"), ("ada", None)]
    (events / "e.jsonl").write_text("\n".join(json.dumps({"user_id": u, "item_id": i} | seen) for u, i in pairs))
    for subject in (Subject("user", "ada"), Subject("item", "b")):
        forgotten.keep(night.lake, forgotten.begin(night.lake).name(subject), {})
    clean.clean_items(either, night)
    clean.clean_interactions(either, night)
    accounts = {row["step"]: row for row in night.lake.read(Ledger).to_pylist()}
    counts = ("rows_in", "kept", "refused", "duplicates", "superseded")
    assert [accounts["clean_items"][name] for name in counts] == [3, 2, 1, 0, 0]
    assert [accounts["clean_interactions"][name] for name in counts] == [1, 1, 0, 0, 0]
    assert accounts["clean_items"]["unknown_columns"] == [("x", 1)]
    assert night.lake.read(Items)["item_id"].to_pylist() == ["a", "c"]
    assert night.lake.read(Interactions, columns=["user_id", "item_id"]).to_pylist() == [
        {"user_id": "bob", "item_id": "a"}
    ]
    assert night.lake.read(Quarantine, columns=["position", "reason"]).to_pylist() == [
        {"position": 7, "reason": "not_json"}
    ]
