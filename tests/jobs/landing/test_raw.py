import bz2
import datetime as dt
import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing.raw import LandingZoneError, Raw, RawChangedError, Refusal
from schemas.config import RecordFiles

PARTITION = "items/ds=2026-11-01"


@pytest.fixture
def raw(tmp_path: Path) -> Raw:
    (tmp_path / "raw" / PARTITION).mkdir(parents=True)
    (tmp_path / "raw" / "media").mkdir()
    return Raw(str(tmp_path / "raw"))


def put(raw: Raw, path: str, content: str | bytes) -> str:
    target = Path(raw.uri) / path
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_files_of_a_night_in_order(raw: Raw) -> None:
    for name in ("b.jsonl", "a.csv", "c.parquet", "notes.txt"):
        put(raw, f"{PARTITION}/{name}", "")
    assert raw.files("items", "2026-11-01") == [f"{PARTITION}/{n}" for n in ("a.csv", "b.jsonl", "c.parquet")]
    assert raw.files("items", "2026-11-02") == []
    assert raw.nights("items") == ["2026-11-01"]


def test_record_files_by_any_usual_name(raw: Raw) -> None:
    read = ["a.jsonl", "b.ndjson", "c.JSON", "d.CSV", "e.tsv", "f.jsonl.gz", "g.csv.zst", "h.ndjson.bz2", "i.Parquet"]
    other = ["j.xlsx", "k.parquet.gz", "l.jsonl.tmp", "m", "n.gz", "o.orc"]
    for name in (*read, *other):
        put(raw, f"{PARTITION}/{name}", "")
    assert raw.files("items", "2026-11-01") == [f"{PARTITION}/{name}" for name in read]
    unread = {path: refusal.reason for path, refusal in raw.unread("items", "2026-11-01")}
    assert unread == {f"{PARTITION}/{name}": "unknown_format" for name in other}


def test_hidden_names_are_left_out_at_any_depth(raw: Raw) -> None:
    kept = ["a.jsonl", "deep/b.jsonl"]
    for name in (*kept, "._a.jsonl", "_SUCCESS", "_temporary/0/part-0.jsonl", ".ipynb_checkpoints/a.jsonl",
                 "deep/_x/c.jsonl", "deep/.c.jsonl.crc"):  # fmt: skip
        (Path(raw.uri) / PARTITION / name).parent.mkdir(parents=True, exist_ok=True)
        put(raw, f"{PARTITION}/{name}", '{"item_id": 1}')
    assert raw.files("items", "2026-11-01") == [f"{PARTITION}/{name}" for name in kept]
    assert raw.unread("items", "2026-11-01") == []


def test_folders_that_are_no_night_are_named(raw: Raw) -> None:
    strays = ["ds=2026-11-01.bak", "ds=20261102", "ds=2026-02-30", "2026-11-03", "ds=2026-11-4", "ds=", "notes"]
    for name in (*strays, "_ds=2026-11-05", ".ds=2026-11-06", "ds=2026-11-07"):
        (Path(raw.uri) / "items" / name).mkdir()
    put(raw, "items/ds=2026-11-08", "a file")
    assert raw.nights("items") == ["2026-11-01", "2026-11-07"]
    assert raw.strays("items") == sorted([*strays, "ds=2026-11-08"])


def test_a_missing_landing_zone_is_said(tmp_path: Path) -> None:
    with pytest.raises(LandingZoneError, match="expected a landing zone"):
        Raw(str(tmp_path / "nowhere")).files("items", "2026-11-01")


def test_json_lines_keep_their_line_numbers(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.jsonl", '{"item_id": 1}\n\n{"item_id": \n[1]\n{"item_id": 2}')
    found = {n: r.reason if isinstance(r, Refusal) else r for n, r in raw.records(path)}
    assert found == {1: {"item_id": 1}, 3: "not_json", 4: "not_an_object", 5: {"item_id": 2}}


@pytest.mark.parametrize("hostile", ["9" * 5000, "[" * 100_000])
def test_json_that_python_does_not_read_is_refused(raw: Raw, hostile: str) -> None:
    path = put(raw, f"{PARTITION}/a.jsonl", f'{{"price": {hostile}\n{{"item_id": 2}}\n')
    (_, refusal), (_, record) = raw.records(path)
    assert isinstance(refusal, Refusal) and refusal.reason == "not_json"
    assert record == {"item_id": 2}


def test_half_an_emoji_is_left_to_the_field_that_it_stands_in(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.jsonl", '{"title": "frog \\ud83d", "tags": ["\\ud83d\\udc38"], "\\udc38x": 1}')
    assert list(raw.records(path)) == [(1, {"title": "frog \ud83d", "tags": ["🐸"], "\udc38x": 1})]


def test_bytes_that_are_no_utf8_are_refused(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.jsonl", b'{"item_id": "\xff"}\n')
    ((position, record),) = raw.records(path)
    assert position == 1 and isinstance(record, Refusal) and record.reason == "not_utf8"
    assert "byte 14" in record.detail and "iconv" in record.detail


def test_csv_with_lists_quotes_and_short_rows(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.csv", 'item_id,title,tags\n1,"a, b","[""x"", ""y""]"\n2,only two\n3,,z\n')
    found = {n: r.reason if isinstance(r, Refusal) else r for n, r in raw.records(path)}
    assert found == {
        2: {"item_id": "1", "title": "a, b", "tags": '["x", "y"]'},
        3: "not_csv",
        4: {"item_id": "3", "tags": "z"},
    }


def test_a_csv_header_that_cannot_be_read_is_one_refusal(raw: Raw) -> None:
    ((position, refusal),) = raw.records(put(raw, f"{PARTITION}/a.csv", 'item_id,"title"x\n1,a\n'))
    assert position == 0 and isinstance(refusal, Refusal) and refusal.reason == "not_csv"


def test_a_column_whose_name_is_no_utf8_costs_no_other(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.csv", b"item_id,pr\xe9s\n1,a\n")
    assert list(raw.records(path)) == [(2, {"item_id": "1", "pr?s": "a"})]


def test_parquet_rows(raw: Raw) -> None:
    rows = pa.table({"item_id": ["1", "2"], "title": ["a", None]})
    pq.write_table(rows, Path(raw.uri) / PARTITION / "a.parquet")
    found = list(raw.records(f"{PARTITION}/a.parquet"))
    assert found == [(1, {"item_id": "1", "title": "a"}), (2, {"item_id": "2"})]


@pytest.mark.parametrize("content", [b"not parquet", b"", b"PAR1"])
def test_a_parquet_file_that_is_none_is_refused_and_its_rows_are_not_known(raw: Raw, content: bytes) -> None:
    records = raw.records(put(raw, f"{PARTITION}/a.parquet", content))
    ((position, record),) = records
    assert position == 0 and isinstance(record, Refusal)
    assert (record.reason, record.rows, records.counted) == ("not_parquet", None, None)


def test_a_row_group_that_is_damaged_costs_its_rows(raw: Raw) -> None:
    path = Path(raw.uri) / PARTITION / "a.parquet"
    rows = pa.table({"item_id": [f"item {number}" for number in range(30)]})
    pq.write_table(rows, path, row_group_size=10, write_page_checksum=True, compression="none", use_dictionary=False)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"item 15", b"item 99"))
    records = raw.records(f"{PARTITION}/a.parquet")
    found = list(records)
    assert [record["item_id"] for _, record in found if isinstance(record, dict)] == [
        f"item {number}" for number in (*range(10), *range(20, 30))
    ]
    (refused,) = [(position, record) for position, record in found if isinstance(record, Refusal)]
    assert refused[0] == 11 and refused[1].rows == 10 and "rows 11 to 20" in refused[1].detail
    assert records.counted == 30


def test_one_value_out_of_range_costs_one_row_named_by_row_and_column(raw: Raw) -> None:
    far = 4_611_686_018_427_387_904  # microseconds: the year 148,108
    times = pa.array([0, far, 0, far], pa.int64()).cast(pa.timestamp("us", "UTC"))
    table = pa.table({"item_id": ["a", "b", "c", "d"], "updated_at": times, "note": times})
    pq.write_table(table, Path(raw.uri) / PARTITION / "a.parquet")
    for known, lost in ((frozenset({"item_id", "updated_at"}), [2, 4]), (frozenset({"item_id"}), [])):
        found = list(raw.records(f"{PARTITION}/a.parquet", known=known))
        refused = [(position, record) for position, record in found if isinstance(record, Refusal)]
        assert [position for position, _ in refused] == lost
        assert all(r.reason == "unreadable_value" and "updated_at" in r.detail for _, r in refused)
        assert len(found) == 4


def test_parquet_types_that_python_does_not_write_alike(raw: Raw) -> None:
    nanoseconds = pa.array([1_793_527_200_123_456_789], pa.int64()).cast(pa.timestamp("ns", "Europe/Berlin"))
    table = pa.table({"price": pa.array([29.99], pa.float32()), "updated_at": nanoseconds})
    pq.write_table(table, Path(raw.uri) / PARTITION / "a.parquet")
    ((_, record),) = raw.records(f"{PARTITION}/a.parquet")
    assert isinstance(record, dict) and record["price"] == 29.99
    assert record["updated_at"] == dt.datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=dt.UTC)


LINES = b"".join(b'{"item_id": %d}\n' % number for number in range(1000))
CODECS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}


@pytest.mark.parametrize("ending", CODECS)
def test_compressed_files_are_read_whatever_their_name_says(raw: Raw, ending: str) -> None:
    packed = CODECS[ending](LINES) + CODECS[ending](LINES)
    for name in (f"a.jsonl.{ending}", "b.jsonl"):
        records = raw.records(put(raw, f"{PARTITION}/{name}", packed))
        assert len(list(records)) == records.counted == 2000
    unpacked = raw.records(put(raw, f"{PARTITION}/c.jsonl.{ending}", LINES))
    assert len(list(unpacked)) == unpacked.counted == 1000


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize(
    "damage", [lambda d: d[: len(d) // 2], lambda d: d[:-4], lambda d: d + b"\0more", lambda d: b""]
)
def test_rows_of_a_damaged_archive_are_not_known(raw: Raw, ending: str, damage: Callable[[bytes], bytes]) -> None:
    records = raw.records(put(raw, f"{PARTITION}/a.jsonl.{ending}", damage(CODECS[ending](LINES))))
    *_, (position, refusal) = records
    assert position == 0 and isinstance(refusal, Refusal) and refusal.rows is None and records.counted is None


def test_an_archive_that_expands_without_end_is_refused(raw: Raw) -> None:
    small = Raw(raw.uri, RecordFiles(max_expanded_bytes=1 << 20))
    path = put(raw, f"{PARTITION}/a.jsonl.zst", CODECS["zst"](b"{}\n" * (1 << 20)))
    *_, (_, refusal) = small.records(path)
    assert isinstance(refusal, Refusal) and refusal.reason == "expands_too_much"


@pytest.mark.parametrize("begins", [b"PK\x03\x04", b"PAR1", b"\xfd7zXZ", bytes(range(256))])
def test_what_is_no_text_is_refused_once(raw: Raw, begins: bytes) -> None:
    ((position, refusal),) = raw.records(put(raw, f"{PARTITION}/a.csv", begins * 100))
    assert position == 0 and isinstance(refusal, Refusal) and (refusal.reason, refusal.rows) == ("not_text", None)


@pytest.mark.parametrize(
    "content",
    ['[{"item_id": 1}, {"item_id": 2}]', '[\n{"item_id": 1},\n{"item_id": 2}\n]\n', '{"item_id": 1}\n{"item_id": 2}\n'],
)
def test_json_is_lines_or_one_array(raw: Raw, content: str) -> None:
    records = raw.records(put(raw, f"{PARTITION}/a.json", content))
    assert list(records) == [(1, {"item_id": 1}), (2, {"item_id": 2})] and records.counted == 2


def test_json_may_be_one_object_over_many_lines(raw: Raw) -> None:
    records = raw.records(put(raw, f"{PARTITION}/a.json", '{\n  "item_id": 1,\n  "tags": ["a,b]", "}"]\n}\n'))
    assert list(records) == [(1, {"item_id": 1, "tags": ["a,b]", "}"]})] and records.counted == 1


def test_a_json_array_that_is_damaged_is_not_read_in_part(raw: Raw) -> None:
    records = raw.records(put(raw, f"{PARTITION}/a.json", '[{"item_id": 1}, {"item_id": "2}, {"item_id": 3}]'))
    ((position, refusal),) = records
    assert position == 0 and isinstance(refusal, Refusal) and refusal.rows is None and "item_id" not in refusal.detail


@pytest.mark.parametrize("line", ['{"password": "hunter2"', "hunter2", '{"a": hunter2}'])
def test_what_is_no_json_is_not_quoted(raw: Raw, line: str) -> None:
    ((_, refusal),) = raw.records(put(raw, f"{PARTITION}/a.jsonl", line))
    assert isinstance(refusal, Refusal) and refusal.reason == "not_json" and "hunter2" not in str(refusal)


def test_a_record_file_that_links_out_of_raw_is_not_read(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text('{"item_id": "secret"}\n')
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.jsonl").write_text('{"item_id": "secret"}\n')
    put(raw, f"{PARTITION}/good.jsonl", '{"item_id": "good"}\n')
    night = Path(raw.uri) / PARTITION
    (night / "a.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (night / "gone.jsonl").symlink_to(tmp_path / "nothing")
    (night / "linked").symlink_to(tmp_path / "folder")
    (night / "root").symlink_to("/")
    (night / "inside.jsonl").symlink_to("good.jsonl")
    (night / "again").symlink_to(night)
    (night / "circle").symlink_to("circle")
    assert raw.files("items", "2026-11-01") == [f"{PARTITION}/{name}.jsonl" for name in ("good", "inside")]
    unread = {path.removeprefix(f"{PARTITION}/"): refusal for path, refusal in raw.unread("items", "2026-11-01")}
    outside = dict.fromkeys(("a.jsonl", "circle", "gone.jsonl", "linked", "root"), "outside_raw")
    assert {name: refusal.reason for name, refusal in unread.items()} == outside | {"again": "link_again"}
    assert {refusal.rows for refusal in unread.values()} == {0}


def test_folders_that_link_to_each_other_are_read_once_by_their_own_paths(raw: Raw) -> None:
    night = Path(raw.uri) / PARTITION
    for name, other in (("b", "c"), ("c", "b")):
        (night / name).mkdir()
        put(raw, f"{PARTITION}/{name}/{name}.jsonl", "{}")
        (night / name / "back").symlink_to(night / other)
    (night / "a").symlink_to("c")
    assert raw.files("items", "2026-11-01") == [f"{PARTITION}/{name}/{name}.jsonl" for name in "bc"]
    unread = [(path, refusal.reason) for path, refusal in raw.unread("items", "2026-11-01")]
    assert unread == [(f"{PARTITION}/{name}", "link_again") for name in ("a", "b/back", "c/back")]


def test_of_a_folder_that_links_out_of_raw_no_name_is_said(raw: Raw, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "ds=2026-11-01").mkdir(parents=True)
    (outside / "secret").mkdir()
    (outside / "ds=2026-11-01" / "secret.jsonl").write_text('{"item_id": "secret"}')
    for kind in ("interactions", "vectors"):
        (Path(raw.uri) / kind).symlink_to(outside)
    (Path(raw.uri) / "items" / "ds=2026-11-02").symlink_to(outside / "ds=2026-11-01")
    assert raw.names("vectors") == raw.strays("interactions") == raw.nights("interactions") == []
    for kind, night in (("interactions", "2026-11-01"), ("items", "2026-11-02"), ("vectors/secret", "2026-11-01")):
        assert raw.files(kind, night) == []
        ((path, refusal),) = raw.unread(kind, night)
        assert (path, refusal.reason) == (f"{kind}/ds={night}", "outside_raw")


def test_names_that_are_no_utf_8_and_folders_that_may_not_be_listed_are_refused(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = os.fsencode(Path(raw.uri) / PARTITION)
    put(raw, f"{PARTITION}/good.jsonl", "{}")
    for name in (b"caf\xe9.jsonl", b"caf\xe9"):
        os.mkdir(night + b"/" + name)
    os.mkdir(night + b"/locked")
    os.mkdir(os.fsencode(raw.uri) + b"/items/ds=caf\xe9")
    listed = os.scandir

    def scandir(path: str) -> Any:
        if os.path.realpath(path).endswith("/locked"):  # the superuser may list every folder
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert raw.files("items", "2026-11-01") == [f"{PARTITION}/good.jsonl"]
    unread = {path.removeprefix(f"{PARTITION}/"): refusal for path, refusal in raw.unread("items", "2026-11-01")}
    assert {name: refusal.reason for name, refusal in unread.items()} == {
        "caf\\xe9": "unreadable_name", "caf\\xe9.jsonl": "unreadable_name", "locked": "unreadable_folder",
    }  # fmt: skip
    assert {refusal.rows for refusal in unread.values()} == {None}
    assert raw.strays("items") == ["ds=caf\\xe9"]


def test_a_pipe_is_no_file(raw: Raw) -> None:
    os.mkfifo(Path(raw.uri) / PARTITION / "a.jsonl")
    ((position, refusal),) = raw.records(f"{PARTITION}/a.jsonl")
    assert position == 0 and isinstance(refusal, Refusal) and refusal.reason == "no_file"
    with pytest.raises(Refusal, match="media_missing"):
        raw.media(f"{PARTITION}/a.jsonl", max_bytes=100)


@pytest.mark.parametrize("target", ["secret.jsonl", "fifo"])
def test_a_link_is_judged_by_the_file_that_was_opened(raw: Raw, tmp_path: Path, target: str) -> None:
    """As of a link that is exchanged after the files were listed."""
    (tmp_path / "secret.jsonl").write_text('{"item_id": "secret"}\n')
    os.mkfifo(tmp_path / "fifo")
    (Path(raw.uri) / PARTITION / "a.jsonl").symlink_to(tmp_path / target)
    ((position, refusal),) = raw.records(f"{PARTITION}/a.jsonl")
    assert position == 0 and isinstance(refusal, Refusal) and refusal.reason == "outside_raw"
    with pytest.raises(Refusal, match=r"media_outside_raw|media_missing"):
        raw.media(f"{PARTITION}/a.jsonl", max_bytes=100)


def test_a_file_that_goes_away_is_a_change(raw: Raw) -> None:
    with pytest.raises(RawChangedError):
        list(raw.records(f"{PARTITION}/gone.jsonl"))


@pytest.mark.parametrize(
    "name", ["a.png", "with space.png", "quote'\".png", "emoji 🎈.png", "line\nbreak.png", "50%.png"]
)
def test_media_inside_raw_is_hashed(raw: Raw, name: str) -> None:
    uri = put(raw, f"media/{name}", "x")
    assert raw.media(uri, max_bytes=10) == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


@pytest.mark.parametrize(
    "uri",
    ["../outside", "/etc/passwd", "media/../../outside", "http://host/a.png", "file:///etc/passwd", "", "a\0b",
     "media\\..\\x", "http%3A%2F%2Fhost/a", "//host/a.png",
     "http://[::1", "//[host/a.png"],
)  # fmt: skip
def test_media_outside_raw_is_refused(raw: Raw, uri: str) -> None:
    put(raw, "../outside", "secret")
    with pytest.raises(Refusal) as refused:
        raw.media(uri, max_bytes=10)
    assert refused.value.reason == "media_outside_raw"


@pytest.mark.parametrize("uri", ["media/" + "a" * 300, "media/" + "a/" * 3000])
def test_a_name_that_no_file_can_have_is_of_none(raw: Raw, uri: str) -> None:
    with pytest.raises(Refusal) as refused:
        raw.media(uri, max_bytes=10)
    assert refused.value.reason == "media_missing"


@pytest.mark.parametrize("target", ["secret", "link.png"])
def test_a_link_out_of_raw_or_in_a_circle_is_refused(raw: Raw, tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").write_text("x")
    link = Path(raw.uri) / "media" / "link.png"
    link.symlink_to(link if target == link.name else tmp_path / target)
    with pytest.raises(Refusal, match="link"):
        raw.media("media/link.png", max_bytes=10)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "media_missing"), ("", "media_size"), ("12345678901", "media_size")]
)
def test_media_that_is_absent_empty_or_too_large(raw: Raw, content: str | None, reason: str) -> None:
    if content is not None:
        put(raw, "media/a.png", content)
    with pytest.raises(Refusal) as refused:
        raw.media("media/a.png", max_bytes=10)
    assert refused.value.reason == reason
