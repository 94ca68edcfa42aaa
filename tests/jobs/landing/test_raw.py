import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing.raw import LandingZoneError, Raw, Refusal

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


def test_half_an_emoji_is_left_out(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.jsonl", '{"title": "frog \\ud83d", "tags": ["\\ud83d\\udc38"], "\\udc38x": 1}')
    assert list(raw.records(path)) == [(1, {"title": "frog ", "tags": ["🐸"], "x": 1})]


def test_bytes_that_are_no_utf8_are_refused(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.jsonl", b'{"item_id": "\xff"}\n')
    ((position, record),) = raw.records(path)
    assert position == 1 and isinstance(record, Refusal) and record.reason == "not_json"


def test_csv_with_lists_quotes_and_short_rows(raw: Raw) -> None:
    path = put(raw, f"{PARTITION}/a.csv", 'item_id,title,tags\n1,"a, b","[""x"", ""y""]"\n2,only two\n3,,z\n')
    found = {n: r.reason if isinstance(r, Refusal) else r for n, r in raw.records(path)}
    assert found == {
        2: {"item_id": "1", "title": "a, b", "tags": ["x", "y"]},
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


def test_a_parquet_file_that_is_none_is_one_refusal(raw: Raw) -> None:
    ((position, record),) = raw.records(put(raw, f"{PARTITION}/a.parquet", "not parquet"))
    assert position == 0 and isinstance(record, Refusal) and record.reason == "not_parquet"


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


def test_a_link_out_of_raw_is_refused(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    os.symlink(tmp_path / "secret", Path(raw.uri) / "media" / "link.png")
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
