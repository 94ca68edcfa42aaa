from datetime import date

import pyarrow as pa
import pytest

from lake import views
from lake.lake import Lake
from schemas.config import PROFILES, ConfigError, load
from schemas.describe import page
from schemas.tables import TABLES, Metrics


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_states_its_grain_and_its_key(table) -> None:
    assert table.grain().endswith(".") and len(table.grain().split()) > 2
    assert set(table.key) | set(table.partition_by) <= set(table.schema.names)


def test_every_promise_can_be_asked_of_an_empty_lake(lake: Lake) -> None:
    connection = views.connect(lake)
    for table in TABLES.values():
        for check in table.all_checks():
            assert connection.sql(check.sql).fetchall() == [], check.name


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        ({"low": 0.6, "high": 0.4}, "an interval has two ends, in order"),
        ({"low": 0.6}, "an interval has two ends, in order"),
        ({"low": 0.6, "high": float("inf")}, "an interval has two ends, in order"),
        ({"value": float("nan")}, "figures are finite"),
    ],
)
def test_a_figure_that_cannot_be_breaks_a_promise(lake: Lake, broken: dict, promise: str) -> None:
    base = {name: "x" for name in Metrics.schema.names if pa.types.is_string(Metrics.schema.field(name).type)}
    base |= {"date": date(2026, 11, 1), "value": 0.5, "low": 0.4, "high": 0.6}
    whole = [base | {"k": 1}, base | {"k": 2, "low": None, "high": None}]
    wrong = base | {"low": None, "high": None, "k": 3} | broken
    lake.write(Metrics, pa.Table.from_pylist([*whole, wrong], schema=Metrics.schema), {"date": "2026-11-01"})
    connection = views.connect(lake)
    found = {check.name: connection.sql(check.sql).project("k").fetchall() for check in Metrics.checks}
    assert {name: rows for name, rows in found.items() if rows} == {promise: [(3,)]}


@pytest.mark.parametrize(
    ("text", "says"),
    [("fusion: {stratgy: x}", "stratgy"), ("clean: {max_refused_share: 2}", "max_refused_share"), ("a: [", "YAML")],
)
def test_a_wrong_setting_is_named(tmp_path, text: str, says: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(path)


def test_an_unknown_profile_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="embedded"):
        load("nosuch")


def test_the_page_about_the_tables_says_what_the_schemas_say() -> None:
    assert (PROFILES.parent / "docs" / "tables.md").read_text("utf-8") == page()
