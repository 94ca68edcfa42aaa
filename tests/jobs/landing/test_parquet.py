"""Parquet files that are small and become large are refused before they do; all others are read as Arrow reads them."""

import datetime as dt
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing import parquet, parquet_pages
from jobs.landing.raw import Raw, Refusal
from schemas.config import RecordFiles

ROWS = 4096
MIB = 1 << 20


def once(value: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


def ids(rows: int = ROWS) -> list[str]:
    return [f"item {number}" for number in range(rows)]


def written(table: pa.Table, **options: Any) -> bytes:
    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd", write_statistics=False, **options)
    return data.getvalue()


def a_long_string_in_every_row() -> bytes:
    """1.2 GB in 10 KB."""
    return written(pa.table({"item_id": ids(), "title": once("x" * 300_000, ROWS)}))


def one_long_list() -> bytes:
    """4 million strings of one letter in one row."""
    offsets = pa.array([0, 4_000_000], pa.int32())
    return written(pa.table({"tags": pa.ListArray.from_arrays(offsets, once("x", 4_000_000))}))


def one_large_page() -> bytes:
    return written(pa.table({"title": ["\0" * (24 * MIB)]}), use_dictionary=False)


def claims_to_be_small() -> bytes:
    """The footer says of the large page that it has one byte."""
    data = one_large_page()
    size = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0).total_uncompressed_size
    claimed = bytes([*(2 * size >> shift & 127 | 128 for shift in (0, 7, 14)), 2 * size >> 21])
    assert data.count(claimed) == 2  # of the column and of its row group
    return data.replace(claimed, b"\x82\x80\x80\x00")


def each_the_one_before_and_nothing() -> bytes:
    table = pa.table({"title": ["x" * 6000] * ROWS})
    return written(table, use_dictionary=False, column_encoding={"title": "DELTA_BYTE_ARRAY"})


BOMBS = {
    make.__name__: make
    for make in (
        a_long_string_in_every_row,
        one_long_list,
        one_large_page,
        claims_to_be_small,
        each_the_one_before_and_nothing,
    )
}


@pytest.fixture
def counted() -> Iterator[Callable[[], pa.MemoryPool]]:
    """Have what Arrow allocates from a call on counted, in the pool that it returns."""
    before = pa.default_memory_pool()

    def from_now_on() -> pa.MemoryPool:
        pool = pa.proxy_memory_pool(before)
        pa.set_memory_pool(pool)
        return pool

    yield from_now_on
    pa.set_memory_pool(before)


def lay(folder: Path, data: bytes) -> str:
    (folder / "a.parquet").write_bytes(data)
    return "a.parquet"


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_becomes_large_is_refused_before_it_does(
    bomb: str, tmp_path: Path, counted: Callable[[], pa.MemoryPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", MIB)
    path, pool = lay(tmp_path, BOMBS[bomb]()), counted()
    rows = pq.read_metadata(tmp_path / path).num_rows
    assert (tmp_path / path).stat().st_size < 64 << 10
    records = Raw(str(tmp_path), RecordFiles(max_expanded_bytes=8 * MIB)).records(path)
    kept, refused = 0, []
    for _, record in records:
        if isinstance(record, Refusal):
            refused.append((record.reason, record.rows))
        else:
            kept += 1
    assert refused == [("expands_too_much", rows - kept)] and records.counted == rows
    assert pool.max_memory() < 12 * MIB


def test_a_row_that_is_too_long_costs_itself(tmp_path: Path) -> None:
    titles = ["short", "x" * 1001, "short", "y" * 1000]
    path = lay(tmp_path, written(pa.table({"title": titles})))
    found = list(Raw(str(tmp_path), RecordFiles(max_record_bytes=1000)).records(path))
    assert [record["title"] for _, record in found if isinstance(record, dict)] == ["short", "short", "y" * 1000]
    ((position, refusal),) = [(position, record) for position, record in found if isinstance(record, Refusal)]
    assert (position, refusal.reason, refusal.rows) == (2, "record_too_long", 1)


def every_type() -> pa.Table:
    rows = [
        {
            "item_id": f"item {number % 7}",
            "tags": ["a", "b", None] if number % 3 else None,
            "attributes": {"colour": "red", "size": None},
            "pairs": [("k", "v"), ("l", None)],
            "at": dt.datetime(2026, 11, 1, number),
            "price": number / 2,
            "vector": [1.0, float(number)],
            "bytes": b"abc",
            "nested": {"names": ["x"], "count": number},
            "decimal": Decimal("1.20"),
            "flag": number % 2 == 0,
            "nothing": None,
        }
        for number in range(10)
    ]
    types = {
        "item_id": pa.string(),
        "tags": pa.list_(pa.string()),
        "attributes": pa.struct([("colour", pa.string()), ("size", pa.string())]),
        "pairs": pa.map_(pa.string(), pa.string()),
        "at": pa.timestamp("us"),
        "price": pa.float64(),
        "vector": pa.list_(pa.float32(), 2),
        "bytes": pa.large_binary(),
        "nested": pa.struct([("names", pa.list_(pa.large_string())), ("count", pa.int64())]),
        "decimal": pa.decimal128(5, 2),
        "flag": pa.bool_(),
        "nothing": pa.null(),
    }
    table = pa.Table.from_pylist(rows, pa.schema(list(types.items())))
    places = pa.DictionaryArray.from_arrays(pa.array([0, None] * 5, pa.int8()), pa.array(["once"]))
    return table.append_column("places", places)


@pytest.mark.parametrize("batch_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False, ["item_id"]])
def test_values_are_those_of_arrow_however_a_batch_is_cut(
    batch_bytes: int, version: str, dictionary: bool | list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = every_type()
    data = written(table, row_group_size=4, data_page_version=version, use_dictionary=dictionary)
    monkeypatch.setattr(parquet, "BATCH_BYTES", batch_bytes)
    found = [record for _, record in Raw(str(tmp_path)).records(lay(tmp_path, data))]
    assert found == [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def test_the_bytes_of_a_row_are_those_of_its_values() -> None:
    """A value in a list costs 8 more."""
    (batch,) = every_type().combine_chunks().to_batches()
    lengths = {name: parquet._row_bytes(batch.column(name))[:2].tolist() for name in batch.schema.names}
    assert lengths["item_id"] == [6, 6] and lengths["bytes"] == [3, 3] and lengths["places"] == [4, 0]
    assert lengths["tags"] == [0, 3 * 8 + 2] and lengths["pairs"] == [2 * 8 + 3] * 2
    assert lengths["attributes"] == [3, 3] and lengths["nested"] == [8 + 1 + 8] * 2
    assert lengths["price"] == [8, 8] and lengths["vector"] == [8, 8]


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_footer_and_its_pages_say_what_arrow_says_of_them(compression: str, version: str) -> None:
    data = io.BytesIO()
    options = {"data_page_version": version, "data_page_size": 64, "write_batch_size": 2, "write_page_index": True}
    pq.write_table(every_type(), data, row_group_size=4, compression=compression, **options)
    file, arrow = pa.BufferReader(data.getvalue()), pq.read_metadata(io.BytesIO(data.getvalue()))
    rows, groups = parquet_pages.footer(file)
    assert (rows, len(groups)) == (arrow.num_rows, arrow.num_row_groups)
    for number, group in enumerate(groups):
        assert group.rows == arrow.row_group(number).num_rows
        assert len(group.columns) == arrow.num_columns
        for index, column in enumerate(group.columns):
            theirs = arrow.row_group(number).column(index)
            assert (column.path, column.values) == (theirs.path_in_schema, theirs.num_values)
            found = parquet_pages.pages(file, column)
            assert (found.values, found.has_dictionary) == (theirs.num_values, theirs.has_dictionary_page)
            assert 0 < found.largest <= found.bytes <= theirs.total_uncompressed_size


def test_a_value_that_begins_as_the_one_before_is_seen() -> None:
    file = pa.BufferReader(each_the_one_before_and_nothing())
    _, (group,) = parquet_pages.footer(file)
    found = parquet_pages.pages(file, group.columns[0])
    assert found.has_prefixes and not found.has_dictionary and found.largest > 6000


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-5] + b"\x7f" + data[-4:],  # a footer that is longer than the file
        lambda data: data[:-8] + (1).to_bytes(4, "little") + b"PAR1",
        lambda data: b"PAR1" + b"\x19" * 5000 + (5000).to_bytes(4, "little") + b"PAR1",  # lists of lists
        lambda data: b"PAR1" + b"\x15\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"\r\0\0\0PAR1",
    ],
)
def test_a_footer_that_is_none_is_refused(damage: Damage, tmp_path: Path) -> None:
    ((position, refusal),) = Raw(str(tmp_path)).records(lay(tmp_path, damage(written(every_type()))))
    assert position == 0 and isinstance(refusal, Refusal) and (refusal.reason, refusal.rows) == ("not_parquet", None)
