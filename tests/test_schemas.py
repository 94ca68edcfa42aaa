import ast
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

import schemas
from lake import provenance, views
from lake.lake import Lake
from schemas import values
from schemas.config import PROFILES, ConfigError, load
from schemas.describe import as_json, dbt
from schemas.table import Column, Table, query
from schemas.tables import TABLES, Metrics
from schemas.values import listed
from schemas.view import VIEWS, View, columns

NIGHT, NEXT, THIRD = date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3)
UNITS = {"_s": "second", "_hz": "hz", "_px": "pixels", "_db": "db", "_lufs": "lufs", "_bpm": "beats a minute"}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_states_its_grain_and_its_key(table) -> None:
    assert table.grain().endswith(".") and len(table.grain().split()) > 2
    assert set(table.key) | set(table.partition_by) <= set(table.schema.names)


def test_a_schema_is_that_of_the_described_columns() -> None:
    class Prices(Table):
        """One price of an item."""

        described = (
            Column("item_id", pa.string(), "The item."),
            Column("price", pa.float64(), "In euro; null where it is not known.", nullable=True),
        )

    plain = pa.schema([pa.field("item_id", pa.string(), nullable=False), pa.field("price", pa.float64())])
    assert Prices.schema.equals(plain, check_metadata=True)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_column_is_described(table: type[Table]) -> None:
    assert [column.name for column in table.described] == table.schema.names
    for column in table.described:
        words = column.description
        assert len(words.split()) > 2 and words.endswith(".") and not set("|\n") & set(words), column
        assert "null" in words or not column.nullable, column
        for suffix, unit in UNITS.items():
            assert unit in words.lower() or not column.name.endswith(suffix), column


def test_the_description_of_a_key_names_the_table_that_it_points_to() -> None:
    homes = {"item_id": "items", "user_id": "interactions", "model_version": "models"}
    places = ["items", "interactions", "models", "item_embeddings", "user_embeddings"]
    for table in TABLES.values():
        for column in table.described:
            if column.name.endswith(("text_key", "_keys")):
                target = f"`features_{column.name.partition('_')[0]}`"
                assert target in column.description, column
            elif column.name.removeprefix("similar_") in ("item_id", "user_id", "model_version"):
                own = table.name == homes[column.name.removeprefix("similar_")]
                assert own or any(f"`{place}`" in column.description for place in places), (table, column)


def test_a_query_is_a_file_with_its_placeholders_filled_in() -> None:
    sql = query("features/vectors_are_not_constant.sql", modality="audio")
    assert sql.splitlines()[2] == "FROM features_audio"
    with pytest.raises(KeyError, match="modality"):
        query("features/vectors_are_not_constant.sql")


def test_every_sql_file_is_a_check_or_part_of_one() -> None:
    checks = {check.sql for table in TABLES.values() for check in table.all_checks()}
    assert not [sql for sql in checks if "{" in sql]
    for path in (Path(schemas.__file__).parent / "checks").rglob("*.sql"):
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(path.read_text("utf-8")))
        assert any(re.search(pattern, sql, re.DOTALL) for sql in checks), path


def test_every_promise_can_be_asked_of_an_empty_lake(lake: Lake) -> None:
    connection = views.connect(lake)
    connection.register(provenance.REPLACED_SINCE, provenance.replaced_since(lake))
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


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_every_column_of_a_view_is_described(view: View) -> None:
    assert view.grain.endswith(".") and len(view.grain.split()) > 2
    found = columns(view.name)
    for column in found:
        assert column.description.endswith(".") and not set("|\n") & set(column.description), column
    assert {name for name in view.described if "*" not in name} <= {column.name for column in found}


def test_every_file_of_a_view_is_one() -> None:
    files = (Path(schemas.__file__).parent / "views").glob("*.sql")
    assert {path.stem for path in files} == set(VIEWS)


def slugs(*names: str) -> set[str]:
    """What the code gives as the first argument of a call of one of these names; FIELD for what it fills in."""
    found = set()
    for room in ("jobs", "features"):
        for path in (PROFILES.parent / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", None) in names and node.args:
                    parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                    values = [getattr(part, "value", None) for part in parts]
                    found.add("".join(value if isinstance(value, str) else "FIELD" for value in values))
    return found


def test_every_reason_that_the_code_gives_is_listed() -> None:
    given = slugs("Refusal", "MediaError", "Refused") - {"FIELD"}  # which passes on one that was given before
    assert len(given) > 40 and [reason for reason in sorted(given) if not listed(values.REASON, reason)] == []


def test_every_value_is_described() -> None:
    columns_with_values = [c for table in TABLES.values() for c in table.described if c.values]
    assert {"metric", "segment", "split", "step", "reason", "shelf"} <= {c.name for c in columns_with_values}
    for column in columns_with_values:
        for name, meaning in column.values.items():
            assert meaning and not set("|\n") & set(name + meaning), (column.name, name)


def test_dbt_reads_the_tables_as_sources() -> None:
    document = yaml.safe_load(dbt())
    (source,) = document["sources"]
    tables = {table["name"]: table for table in source["tables"]}
    assert set(TABLES) <= set(tables) and "latest_items" in tables and "items_as_of" not in tables
    shelf = {c["name"]: c for c in tables["recommendations"]["columns"]}["shelf"]
    assert shelf["data_tests"] == ["not_null", {"accepted_values": {"values": ["for_you", "new_items"]}}]
    assert {c["name"]: c for c in tables["ledger"]["columns"]}["step"]["data_tests"] == ["not_null"]
    for exposure in document["exposures"]:
        assert all(name.split("'")[3] in tables for name in exposure["depends_on"])


def test_programs_read_what_there_is_as_json() -> None:
    entries = {entry["name"]: entry for entry in json.loads(as_json())}
    assert set(entries) == set(TABLES) | set(VIEWS)
    rank = {column["name"]: column for column in entries["recommendations"]["columns"]}["rank"]
    assert (rank["type"], rank["nullable"]) == ("INTEGER", False)
    assert (entries["items_as_of"]["kind"], entries["items_as_of"]["parameters"]) == ("function", ["night"])


def a_row(table: type[Table], values: dict[str, Any]) -> dict[str, Any]:
    """A row with `values`; the other columns have null, "x", 0, an empty list or the like."""

    def plainest(dtype: pa.DataType) -> Any:
        if pa.types.is_list(dtype) or pa.types.is_map(dtype):
            return []
        if pa.types.is_timestamp(dtype):
            return datetime(2026, 11, 1, tzinfo=UTC)
        return {pa.string(): "x", pa.date32(): NIGHT, pa.bool_(): False}.get(dtype, 0)

    return {field.name: None if field.nullable else plainest(field.type) for field in table.schema} | values


def found(table: str, promise: str, rows: dict[str, list[dict[str, Any]]]) -> int:
    """How many rows break a promise of a table, in a lake with these rows and no others."""
    connection = duckdb.connect()
    for name, other in TABLES.items():
        given = [a_row(other, values) for values in rows.get(name, [])]
        connection.register(name, pa.Table.from_pylist(given, schema=other.schema))
    replaced = pa.Table.from_pylist(rows.get(provenance.REPLACED_SINCE, []), schema=provenance.SCHEMA)
    connection.register(provenance.REPLACED_SINCE, replaced)
    connection.execute("SET TimeZone = 'UTC'")
    checks = [check for check in TABLES[table].all_checks() if check.name == promise]
    assert checks
    return sum(len(connection.sql(check.sql).fetchall()) for check in checks)


ON_SHELF = {"user_id": "u", "item_id": "a", "rank": 1, "score": 0.5, "contribution_history": 0.5}
WEIGHS = {"user_id": "u", "shelf": "for_you", "item_id": "a", "because_item_id": "l", "owed": 0.1, "share": 0.6}
WEIGHS |= {"rank_without": 2}
KNOWN_TEXT = {"items": [{"item_id": "a", "text_key": "k"}, {"item_id": "b", "date": NEXT, "text_key": "l"}]}
TWO_REVIEWS = {"interactions": [{"text_key": "r"}, {"date": NEXT, "text_key": "r"}]}


def at(day: int) -> datetime:
    """Noon of a day counted from 31 October 2026, UTC."""
    return datetime(2026, 10, 31, 12, tzinfo=UTC) + timedelta(days=day)


def of_texts(step: str, **counts: int) -> list[dict[str, Any]]:
    return [{"date": NEXT, "step": step, "encoder": "e"} | counts]


@pytest.mark.parametrize(
    ("table", "promise", "rows", "breaking"),
    [
        ("items", "key is unique", {"items": [{"item_id": "a"}, {"item_id": "a"}, {"item_id": "b"}]}, 1),
        ("items", "every key has its file", {"items": [{"image_keys": ["k"], "image_uris": ["x", "y"]}]}, 1),
        (
            "items",
            "every content was extracted or refused",
            {
                "items": [
                    {"text_key": "stored", "image_keys": ["refused", "lost"]},
                    {"item_id": "gone", "deleted": True},
                ],
                "features_text": [{"content_key": "stored"}],
                "quarantine": [{"stage": "extract_image", "record_id": "refused"}],
                "ledger": [{"step": "extract_text"}, {"step": "extract_image"}],
            },
            1,
        ),
        ("items", "every content was extracted or refused", {"items": [{"audio_keys": ["before its extraction"]}]}, 0),
        (
            "interactions",
            "every text was extracted or refused",
            {"interactions": [{"text_key": "lost"}, {"text_key": None}], "ledger": [{"step": "extract_text"}]},
            1,
        ),
        (
            "recommendations",
            "an item stands once on a shelf",
            {"recommendations": [ON_SHELF, ON_SHELF | {"rank": 2}]},
            1,
        ),
        ("recommendations", "scores are finite", {"recommendations": [ON_SHELF | {"score": float("nan")}]}, 1),
        (
            "recommendations",
            "scores fall with rank",
            {"recommendations": [ON_SHELF, ON_SHELF | {"rank": 2, "score": 0.6}, ON_SHELF | {"rank": 3, "score": 0.6}]},
            1,
        ),
        (
            "recommendations",
            "contributions add up to the score",
            {"recommendations": [ON_SHELF, ON_SHELF | {"rank": 2, "contribution_video": 0.01}]},
            1,
        ),
        (
            "explanations",
            "what is explained stands on its shelf",
            {
                "recommendations": [ON_SHELF | {"shelf": "for_you"}],
                "explanations": [WEIGHS, WEIGHS | {"shelf": "new_items"}, WEIGHS | {"item_id": "b"}],
            },
            2,
        ),
        (
            "explanations",
            "reasons are what the user had",
            {
                "interactions": [{"user_id": "u", "item_id": "l"}, {"user_id": "u", "item_id": "m", "date": NEXT}],
                "explanations": [WEIGHS, WEIGHS | {"because_item_id": "m"}, WEIGHS | {"user_id": "v"}],
            },
            2,
        ),
        (
            "explanations",
            "reasons are what the user had",
            {
                "explanations": [WEIGHS | {"date": NEXT}],
                "replaced_since": [{"date": NEXT, "source": "interactions", "arrived": NIGHT}],
            },
            0,
        ),
        (
            "explanations",
            "shares are of one whole",
            {
                "explanations": [
                    *(WEIGHS, WEIGHS | {"because_item_id": "m", "share": 0.4}),
                    *(WEIGHS | {"item_id": "b"}, WEIGHS | {"item_id": "b", "because_item_id": "m"}),
                    WEIGHS | {"item_id": "c", "owed": -0.1},
                    WEIGHS | {"item_id": "d", "rank_without": 0},
                ]
            },
            3,
        ),
        # The mean user's history is [2, 2], which adds 6 to the item's 3 times that of the user's popularity.
        (
            "recommendations",
            "popularity is what everybody likes",
            {
                "item_embeddings": [
                    {
                        "item_id": "a",
                        "vector": [1.0, 2.0, 3.0],
                        "blocks": [("history", [0, 2]), ("popularity", [2, 3])],
                        "common_history": 6.0,
                    }
                ],
                "user_embeddings": [
                    {"user_id": "*", "vector": [0.0, 0.0, 5.0]},
                    {"user_id": "cold", "vector": [0.0, 0.0, 5.0]},
                    {"user_id": "u", "vector": [1.0, 0.0, 1.0], "new_items_vector": [0.0, 0.0, 2.0]},
                    {"user_id": "v", "vector": [3.0, 4.0, 1.0]},
                ],
                "recommendations": [
                    ON_SHELF | {"contribution_history": -5.0, "contribution_popularity": 9.0},
                    ON_SHELF | {"shelf": "new_items", "contribution_popularity": 12.0},
                    ON_SHELF | {"user_id": "v", "contribution_popularity": 9.1},
                    ON_SHELF | {"user_id": "*", "contribution_history": 0.0, "contribution_popularity": 17.0},
                    ON_SHELF | {"user_id": "cold"},
                ],
            },
            2,
        ),
        (
            "recommendations",
            "no deleted item is recommended",
            {
                "recommendations": [ON_SHELF, ON_SHELF | {"item_id": "b", "date": NEXT}],
                "items": [
                    {"item_id": "a"},
                    {"item_id": "a", "date": NEXT, "deleted": True},
                    {"item_id": "b"},
                    {"item_id": "b", "date": NEXT, "deleted": True},
                ],
            },
            1,
        ),
        (
            "recommendations",
            "no seen item is recommended",
            {
                "recommendations": [ON_SHELF, ON_SHELF | {"item_id": "b"}],
                "interactions": [{"user_id": "u", "item_id": "a"}, {"user_id": "u", "item_id": "b", "date": NEXT}],
            },
            1,
        ),
        # An earlier night's partition that was replaced since proves nothing; the night's own always counts.
        (
            "recommendations",
            "no seen item is recommended",
            {
                "recommendations": [ON_SHELF | {"date": NEXT}, ON_SHELF | {"item_id": "b", "date": NEXT, "rank": 2}],
                "interactions": [{"user_id": "u", "item_id": "a"}, {"user_id": "u", "item_id": "b", "date": NEXT}],
                "replaced_since": [{"date": NEXT, "source": "interactions", "arrived": NIGHT}],
            },
            1,
        ),
        (
            "recommendations",
            "no seen item is recommended",
            {
                "recommendations": [ON_SHELF | {"date": NEXT}],
                "interactions": [{"user_id": "u", "item_id": "a"}],
                "replaced_since": [{"date": NEXT, "source": "items", "arrived": NIGHT}],
            },
            1,
        ),
        (
            "recommendations",
            "no deleted item is recommended",
            {
                "recommendations": [ON_SHELF | {"date": THIRD}],
                "items": [{"item_id": "a", "date": NEXT, "deleted": True}],
                "replaced_since": [{"date": THIRD, "source": "items", "arrived": NEXT}],
            },
            0,
        ),
        # 4 Nov is later than any version of the night of 1 Nov, replaced since, can be; 2 Nov is not.
        (
            "recommendations",
            "no deleted item is recommended",
            {
                "recommendations": [ON_SHELF | {"date": THIRD}, ON_SHELF | {"date": THIRD, "item_id": "b", "rank": 2}],
                "items": [
                    {"item_id": "a", "date": THIRD, "deleted": True, "updated_at": at(4)},
                    {"item_id": "b", "date": NEXT, "deleted": True, "updated_at": at(2)},
                ],
                "replaced_since": [{"date": THIRD, "source": "items", "arrived": NIGHT}],
            },
            1,
        ),
        *(
            (
                "recommendations",
                "no deleted item is recommended",
                {
                    "recommendations": [ON_SHELF | {"date": NEXT}],
                    "items": [
                        {"item_id": "a", "updated_at": there},
                        {"item_id": "a", "date": NEXT, "deleted": True, "updated_at": gone},
                    ],
                },
                breaking,
            )
            for there, gone, breaking in (
                (at(1), at(2), 1),
                (at(1), at(-6), 0),  # a tombstone that is older than what is there
                (at(2), None, 1),  # one without a time counts as of the end of its night's day
                (at(2), at(900), 1),  # as does one of a time that cannot be
                (at(900), at(2), 1),
                (None, at(1), 0),
                (None, None, 1),
            )
        ),
        (
            "similar_items",
            "no item is its own neighbour",
            {"similar_items": [{"item_id": "a", "similar_item_id": "a"}]},
            1,
        ),
        (
            "ledger",
            "contents that arrive are extracted or refused",
            KNOWN_TEXT | TWO_REVIEWS | {"ledger": of_texts("extract_text", rows_in=2)},
            0,
        ),
        (
            "ledger",
            "all that is known was extracted again",
            KNOWN_TEXT | TWO_REVIEWS | {"ledger": of_texts("reextract_text", rows_in=3)},
            0,
        ),
        (
            "ledger",
            "all that is known was extracted again",
            KNOWN_TEXT | TWO_REVIEWS | {"ledger": of_texts("reextract_text", rows_in=2)},
            1,
        ),
        (
            "ledger",
            "all that is known and stored was kept",
            KNOWN_TEXT
            | {
                "ledger": of_texts("reextract_text", rows_in=2, kept=2),
                "features_text": [{"content_key": "k", "encoder": "e"}, {"content_key": "l", "encoder": "other"}],
            },
            1,
        ),
        (
            "ledger",
            "kept contents are in the store of their encoder",
            {
                "ledger": of_texts("reextract_text", kept=3),
                "features_text": [{"content_key": "k", "encoder": "e"}, {"content_key": "l", "encoder": "other"}],
                "quarantine": [{"stage": "extract_text", "record_id": "m", "detail": "e: refused since"}],
            },
            1,
        ),
    ],
)
def test_a_check_selects_the_rows_that_break_its_promise(
    table: str, promise: str, rows: dict[str, list[dict[str, Any]]], breaking: int
) -> None:
    assert found(table, promise, rows) == breaking
