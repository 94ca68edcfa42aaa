"""Every snippet of docs/howto/readers.md reads every table."""

import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lake.lake import Lake
from schemas.table import Table
from schemas.tables import TABLES
from tests.test_schemas import NEXT, NIGHT, a_row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "readers.md"
SECTION = re.compile(r"^## (?P<title>.+?)$(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SNIPPETS = {
    f"{section['title']} {number}": code
    for section in SECTION.finditer(PAGE.read_text("utf-8"))
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", section["text"], re.MULTILINE | re.DOTALL))
}
VECTORS = {"vector": [0.5, 1.0], "new_items_vector": [0.25]}


def rows_of(table: type[Table]) -> list[dict]:
    """Two nights of one row each; of what outlives its night two rows."""
    given = VECTORS | {"versions": []}  # as of a change that is done
    values = {name: value for name, value in given.items() if name in table.schema.names}
    rows = [a_row(table, values | {"date": night}) for night in (NIGHT, NEXT)]
    for number, row in enumerate(rows):
        row |= {
            name: value for name, value in {"content_key": f"key {number}", "number": number}.items() if name in row
        }
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with all tables."""
    folder = tmp_path_factory.mktemp("readers")
    for table in TABLES.values():
        rows = pa.Table.from_pylist(rows_of(table), schema=table.schema)
        for night in (NIGHT, NEXT) if "date" in table.partition_by else (None,):
            here = rows if night is None else rows.filter(pc.field("date") == pa.scalar(night))
            partition = {column: str(here[column][0]) for column in table.partition_by}
            Lake(str(folder)).write(table, here, partition)
    return folder


def read(snippet: str, place: Path, table: str, **names: object) -> list[dict]:
    """What a snippet calls `rows`, run on another table."""
    code = snippet.replace("LAKE", str(place)).replace("recommendations", table)
    known = {"date": date} | names
    exec(compile(code, PAGE.name, "exec"), known)
    return known["rows"].to_dict("records")


def check(rows: list[dict], table: type[Table]) -> None:
    (expected,) = (row for row in rows_of(table) if row["date"] == NIGHT)
    (row,) = rows
    assert set(row) == set(expected)
    assert str(row["date"])[:10] == str(NIGHT)
    for name in VECTORS.keys() & expected.keys():
        assert list(row[name]) == expected[name]
    for name in table.schema.names:
        if isinstance(expected[name], str | bool | int | float):
            assert row[name] == expected[name], name


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("title", [title for title in SNIPPETS if "Spark" not in title])
def test_a_snippet_reads_every_table(title: str, table: str, place: Path) -> None:
    if "Polars" in title:
        pytest.importorskip("polars")
    check(read(SNIPPETS[title], place, table), TABLES[table])


def test_spark_reads_every_type(spark: object, place: Path) -> None:
    """Lists, maps, times and vectors; the other tables have no further types, and each would take seconds."""
    (snippet,) = (code for title, code in SNIPPETS.items() if "Spark" in title)
    for table in ("items", "ledger", "features_text", "item_embeddings"):
        check(read(snippet, place, table, spark=spark), TABLES[table])


def test_the_page_has_a_snippet_an_engine() -> None:
    engines = {title.rpartition(" ")[0] for title in SNIPPETS}
    assert engines == {
        "DuckDB with all views",
        "DuckDB without Nightweave",
        "pandas and pyarrow",
        "Polars",
        "Spark SQL",
    }
