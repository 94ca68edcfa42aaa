"""A catalog that is written in any format and dialect, compressed in any way, is read back as what it was."""

import bz2
import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.landing import records
from jobs.landing.raw import Raw, Refusal
from jobs.landing.values import MISSING
from schemas.config import Clean

NIGHT = dt.date(2026, 11, 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="№"), max_size=40)
WORDS = TEXT.filter(lambda text: text not in MISSING and text.strip())
IDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=12).map(lambda text: f"№{text}")
"""Identifiers of a form that no line of a text has, which would look like a row that an unclosed quote swallowed."""
ITEM = st.fixed_dictionaries(
    {"item_id": IDS},
    optional={
        "title": WORDS,
        "description": WORDS,
        "tags": st.lists(WORDS, min_size=1, max_size=3),
        "price": st.floats(0, 1e6),
        "deleted": st.booleans(),
        "attributes": st.dictionaries(WORDS, WORDS, min_size=1, max_size=2),
        "updated_at": st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2026, 11, 1), timezones=st.just(dt.UTC)),
    },
)
CATALOG = st.lists(ITEM, min_size=1, max_size=8, unique_by=lambda item: item["item_id"])
FIELDS = ("item_id", "title", "description", "tags", "price", "deleted", "attributes", "updated_at")
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
DIALECTS: dict[str, dict[str, Any]] = {
    "comma": {},
    "semicolon": {"delimiter": ";", "quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    "tab": {"delimiter": "\t"},
    "bar": {"delimiter": "|", "quoting": csv.QUOTE_NONNUMERIC},
}


def cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def as_json_lines(items: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(item, default=str, ensure_ascii=False) for item in items).encode()


def as_csv(items: list[dict[str, Any]], *, encoding: str = "utf-8", **dialect: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, **dialect)
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in item.items()} for item in items)
    return text.getvalue().encode(encoding)


def as_pandas_csv(items: list[dict[str, Any]], missing: str) -> bytes:
    """Lists and maps as Python writes them, and a word where there is no value."""
    frame = pd.DataFrame(items, columns=list(FIELDS), dtype=object)
    return frame.to_csv(index=False, na_rep=missing).encode()


def as_parquet(items: list[dict[str, Any]], **options: Any) -> bytes:
    data = io.BytesIO()
    types = {"tags": pa.list_(pa.string()), "price": pa.float64(), "deleted": pa.bool_()}
    types |= {"attributes": pa.map_(pa.string(), pa.string()), "updated_at": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in FIELDS])
    rows = [{**item, "attributes": list(item.get("attributes", {}).items()) or None} for item in items]
    pq.write_table(pa.Table.from_pylist(rows, schema), data, row_group_size=3, **options)
    return data.getvalue()


def normalised(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [records.item(item, night=NIGHT, config=Clean()) for item in items]


def check(folder: Path, name: str, content: bytes, items: list[dict[str, Any]]) -> None:
    (folder / name).write_bytes(content)
    found = Raw(str(folder)).records(name)
    rows = [record for _, record in found]
    assert not [record for record in rows if isinstance(record, Refusal)]
    assert normalised(rows) == normalised(items)
    assert found.counted == len(items)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round trip")


@pytest.mark.parametrize("ending", PACKED)
@given(items=CATALOG)
def test_json_lines(folder: Path, items: list[dict[str, Any]], ending: str) -> None:
    check(folder, f"a.jsonl{ending}", PACKED[ending](as_json_lines(items)), items)


@given(items=CATALOG, indent=st.sampled_from([None, 2]))
def test_json_arrays(folder: Path, items: list[dict[str, Any]], indent: int | None) -> None:
    check(folder, "a.json", json.dumps(items, default=str, indent=indent).encode(), items)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(items=CATALOG, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), ending=st.sampled_from(list(PACKED)))
def test_csv(folder: Path, items: list[dict[str, Any]], dialect: str, encoding: str, ending: str) -> None:
    content = as_csv(items, encoding=encoding, **DIALECTS[dialect])
    check(folder, f"a.csv{ending}", PACKED[ending](content), items)


@given(items=CATALOG, missing=st.sampled_from(["", "nan", "NULL", "\\N"]))
def test_csv_of_pandas(folder: Path, items: list[dict[str, Any]], missing: str) -> None:
    check(folder, "a.csv", as_pandas_csv(items, missing), items)


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@settings(max_examples=30)
@given(items=CATALOG)
def test_parquet(folder: Path, items: list[dict[str, Any]], compression: str) -> None:
    check(folder, "a.parquet", as_parquet(items, compression=compression), items)
