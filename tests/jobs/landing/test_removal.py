"""A user or an item is taken out of files of records, and all else in them stays as it was."""

import bz2
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing import removal
from jobs.landing.raw import LandingZoneError, Raw
from jobs.landing.refusal import Refusal
from lake.forgotten import Subject
from schemas.config import Clean

NIGHT = "ds=2026-11-01"
ADA, LAMP = Subject("user", "ada"), Subject("item", "lamp")
SHARED = {"timestamp": "2026-11-01", "event": "like"}
EVENTS = [
    {"user_id": user, "item_id": item, **SHARED}
    for user, item in (("ada", "mug"), ("bob", "lamp"), ("ada", "lamp"), ('bo,b\n"x"', "mug"), ("ada", "mug"))
]
CSV = (
    'user_id,item_id,timestamp,event,text\n\nada,mug,1,like,"two\nlines, ada"\nbob,lamp,2,like,"of ada\n\nand more"\n'
    "not,enough\nada,lamp,3,like,\nbob,mug,4,like,x"
)


def lay(raw: Path, name: str, data: bytes, kind: str = "interactions") -> Path:
    path = raw / kind / NIGHT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def take_out(raw: Path, subject: Subject, config: Clean | None = None) -> removal.Holdings:
    held = removal.find(Raw(str(raw)), subject, config or Clean())
    removal.remove(Raw(str(raw)), subject, config or Clean(), held)
    return held


def read(raw: Path, path: Path) -> list[dict]:
    found = Raw(str(raw)).records(str(path.relative_to(raw)))
    return [record for _, record in found if not isinstance(record, Refusal)]


def parquet(rows: list[dict]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)
    return file.getvalue()


def lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\r\n" for row in rows).encode()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.jsonl", lines),
        ("a.jsonl.gz", lambda rows: gzip.compress(lines(rows))),
        ("a.ndjson.bz2", lambda rows: bz2.compress(lines(rows))),
        ("a.jl.zst", lambda rows: pa.compress(lines(rows), "zstd", asbytes=True)),
        ("a.jsonl", lambda rows: lines(rows).decode().encode("utf-16")),
        ("a.json", lambda rows: json.dumps(rows, indent=1).encode()),
        ("a.json.gz", lambda rows: gzip.compress(json.dumps(rows).encode())),
        ("a.json", lines),
        ("a.parquet", parquet),
    ],
)
def test_the_records_of_others_are_read_as_before(
    tmp_path: Path, name: str, written: Callable[[list[dict]], bytes]
) -> None:
    path = lay(tmp_path, name, written(EVENTS))
    path.chmod(0o640)
    assert take_out(tmp_path, ADA).records == {f"interactions/{NIGHT}/{name}": 3}
    assert read(tmp_path, path) == [EVENTS[1], EVENTS[3]] and path.stat().st_mode & 0o777 == 0o640
    assert take_out(tmp_path, LAMP).records == {f"interactions/{NIGHT}/{name}": 1}
    assert read(tmp_path, path) == [EVENTS[3]]
    assert take_out(tmp_path, Subject("item", "mug")).records and read(tmp_path, path) == []
    assert [one.name for one in path.parent.iterdir()] == [name]


def test_a_record_of_a_csv_goes_with_all_of_its_lines_and_no_other_byte_changes(tmp_path: Path) -> None:
    path = lay(tmp_path, "a.csv", CSV.encode())
    assert sum(take_out(tmp_path, ADA).records.values()) == 2
    kept = 'user_id,item_id,timestamp,event,text\n\nbob,lamp,2,like,"of ada\n\nand more"\nnot,enough\nbob,mug,4,like,x'
    assert path.read_bytes() == kept.encode()


def test_numbers_of_a_document_stay_as_they_are_written(tmp_path: Path) -> None:
    path = lay(tmp_path, "a.json", b'[ {"user_id": 7, "value": 1e400}, {"user_id": 8, "value": 1.50} ]')
    take_out(tmp_path, Subject("user", "7"))
    assert path.read_bytes() == b'[{"user_id": 8, "value": 1.50}]\n'
    alone = lay(tmp_path, "one.json", b'{\n"user_id": "ada"}')
    take_out(tmp_path, ADA)
    assert alone.read_bytes() == b"[]"


def test_columns_of_other_names_are_those_of_the_configuration(tmp_path: Path) -> None:
    config = Clean.model_validate({"columns": {"interactions": {"user_id": "who.id"}}})
    path = lay(tmp_path, "a.jsonl", lines([{"who": {"id": "ada"}}, {"user_id": "ada", "who": {"id": "bob"}}]))
    take_out(tmp_path, ADA, config)
    assert [record["who"]["id"] for record in read(tmp_path, path)] == ["bob"]


def test_of_an_item_go_its_vectors_and_the_media_that_no_other_names(tmp_path: Path) -> None:
    items = [
        {"item_id": "lamp", "image_uris": ["media/lamp.png", "media/both.png", "../out.png"]},
        {"item_id": "lamp", "image_uris": "media/old.png", "price": -1},
        {"item_id": "mug", "image_uris": ["./media/both.png"], "user_id": "ada"},
    ]
    events, vectors = lay(tmp_path, "e.jsonl", lines(EVENTS)), [{"item_id": "lamp", "vector": [1]}, {"uri": "lamp"}]
    lay(tmp_path, "i.jsonl", lines(items), "items")
    given = lay(tmp_path, "v.jsonl", lines(vectors), "vectors/image")
    (tmp_path / "media").mkdir()
    for name in ("lamp", "both", "old"):
        (tmp_path / "media" / f"{name}.png").touch()
    (tmp_path.parent / "out.png").touch()
    assert take_out(tmp_path, ADA).records.keys() == {f"interactions/{NIGHT}/e.jsonl"}  # a seller is no user
    held = take_out(tmp_path, LAMP)
    assert (sum(held.records.values()), held.media) == (4, ("../out.png", "media/lamp.png", "media/old.png"))
    assert [one.name for one in (tmp_path / "media").iterdir()] == ["both.png"]
    assert (tmp_path.parent / "out.png").exists()
    assert read(tmp_path, given) == [{"uri": "lamp"}] and read(tmp_path, events) == [EVENTS[3]]


def test_a_file_that_cannot_be_read_to_its_end_stays_and_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(lines(EVENTS * 4000))
    path = lay(tmp_path, "torn.jsonl.gz", packed[: len(packed) * 2 // 3])
    with pytest.raises(LandingZoneError, match=r"torn\.jsonl\.gz: it has records of the user, .*damaged_compression"):
        take_out(tmp_path, ADA)
    assert path.read_bytes() == packed[: len(packed) * 2 // 3]
