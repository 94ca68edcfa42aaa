"""What the lake offers an analyst, in the forms that people and programs read: tables, views, their columns and values.

`python -m schemas.describe` prints what the reference has; `nightweave describe` the same, JSON, or sources of dbt.
"""

import inspect
import json
from collections.abc import Callable, Iterator
from textwrap import fill
from typing import Any

import pyarrow as pa
import yaml

from schemas.table import Column, Table
from schemas.tables import TABLES
from schemas.view import VIEWS, View, columns, empty, types

OF_VIEWS = """## The views

`nightweave query`, `lake.views.connect` and the file that `nightweave export duckdb` writes have them beside the
tables. One with a parameter is called with a night: `FROM items_as_of(DATE '2026-11-01')`.
"""
HEAD = "| column | type | may be null | description |\n| --- | --- | --- | --- |"
HEAD_OF_VIEW = "| column | type | description |\n| --- | --- | --- |"
EXPOSURES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "nightly_report": (
        "dashboard",
        "The night's report, LAKE/reports/DATE.html.",
        (
            "ledger",
            "quarantine",
            "metrics",
            "models",
            "items",
            "recommendations",
            "explanations",
            "similar_items",
            "costs",
        ),
    ),
    "shelves": (
        "application",
        "Whatever shows users their shelves and items their neighbours.",
        ("recommendations", "similar_items"),
    ),
}
"""What reads the tables: name → kind in dbt's words, description, the tables."""


def page() -> str:
    """The page as Markdown: of each table the grain, the rest of its docstring, the columns, what their values mean and
    the promises that `verify` checks; and the views."""
    return "\n".join([*map(_section, TABLES.values()), OF_VIEWS, *map(_view, VIEWS.values())])


def as_json() -> str:
    """Return all of it as a JSON list, an object a table or view."""
    return json.dumps(list(_entries()), ensure_ascii=False, indent=2) + "\n"


def dbt() -> str:
    """Return a `sources.yml` of dbt (1.8 or later, with dbt-duckdb on the file of `nightweave export duckdb`).

    Tables and views without parameters are its sources. A column that may not be null is tested for that, and one with
    few values for those. Beside them are the exposures.
    """
    sources = [
        {
            "name": entry["name"],
            "description": f"{entry['grain']} {entry['more']}".strip(),
            "columns": [_dbt_column(column) for column in entry["columns"]],
        }
        for entry in _entries()
        if not entry["parameters"]
    ]
    exposures = [
        {
            "name": name,
            "type": kind,
            "description": description,
            "owner": {"name": "nightweave"},
            "depends_on": [f"source('nightweave', '{table}')" for table in tables],
        }
        for name, (kind, description, tables) in EXPOSURES.items()
    ]
    words = "Tables and views of a lake of Nightweave."
    source = {"name": "nightweave", "schema": "main", "description": words, "tables": sources}
    document = {"version": 2, "sources": [source], "exposures": exposures}
    return str(yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120))


def comments() -> Iterator[str]:
    """Yield the SQL that describes tables, views and their columns within DuckDB, where all of them are views."""
    for entry in _entries():
        kind = "MACRO TABLE" if entry["kind"] == "function" else "VIEW"
        yield f"COMMENT ON {kind} {entry['name']} IS {_text(entry['grain'])}"
        if kind == "VIEW":
            for column in entry["columns"]:
                yield f"COMMENT ON COLUMN {entry['name']}.{column['name']} IS {_text(column['description'])}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


FORMATS: dict[str, Callable[[], str]] = {"markdown": page, "json": as_json, "dbt": dbt}


def _entries() -> Iterator[dict[str, Any]]:
    with empty() as connection:
        for table in TABLES.values():
            yield {
                "name": table.name,
                "kind": "table",
                "grain": table.grain(),
                "more": " ".join(_more(table).split()),
                "parameters": [],
                "key": list(table.key),
                "partitioned_by": list(table.partition_by),
                "columns": _columns(table.described, types(connection, table.name)),
                "promises": [{"name": check.name, "severity": check.severity} for check in table.all_checks()],
            }
        for view in VIEWS.values():
            yield {
                "name": view.name,
                "kind": "function" if view.parameters else "view",
                "grain": view.grain,
                "more": view.more,
                "parameters": list(view.parameters),
                "columns": _columns(columns(view.name), types(connection, view.name)),
            }


def _columns(described: tuple[Column, ...], types: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "type": types[column.name],
            "nullable": column.nullable,
            "description": column.description,
            "values": dict(column.values),
        }
        for column in described
    ]


def _dbt_column(column: dict[str, Any]) -> dict[str, Any]:
    closed = column["values"] and not any(part.isupper() for name in column["values"] for part in name.split("_"))
    tests: list[Any] = [] if column["nullable"] else ["not_null"]
    tests += [{"accepted_values": {"values": list(column["values"])}}] if closed else []
    described = {"name": column["name"], "description": column["description"], "data_type": column["type"]}
    return described | ({"data_tests": tests} if tests else {})


def _more(table: type[Table]) -> str:
    """The docstring after the grain."""
    _, _, more = inspect.cleandoc(table.__doc__ or "").partition("\n")
    return more.strip()


def _section(table: type[Table]) -> str:
    promises = [f"- {check.name}{'' if check.severity == 'fail' else ' (a warning)'}" for check in table.all_checks()]
    return _joined(
        f"## `{table.name}`",
        fill(f"{table.grain()} Key: {_names(table.key)}. Partitioned by: {_names(table.partition_by)}.", 120),
        _more(table),
        "\n".join([HEAD, *map(_line, table.described)]),
        *map(_values, table.described),
        "\n".join(["Promised:", "", *dict.fromkeys(promises)]),
    )


def _view(view: View) -> str:
    lines = [
        f"| `{column.name}` | {_type(column.type)} | {column.description} |"
        for column in columns(view.name)
        if column.name in view.described
    ]
    others = [f"`{name}`: {words[0].lower()}{words[1:]}" for name, words in view.described.items() if "*" in name]
    return _joined(
        f"### `{view.call}`",
        fill(view.grain, 120),
        fill(view.more, 120),
        "\n".join([HEAD_OF_VIEW, *lines]) if lines else "",
        fill("Other columns: " + " ".join(others), 120) if others else "",
    )


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(column: Column) -> str:
    return f"| `{column.name}` | {_type(column.type)} | {'yes' if column.nullable else ''} | {column.description} |"


def _values(column: Column) -> str:
    if not column.values:
        return ""
    lines = [f"| `{name}` | {meaning} |" for name, meaning in column.values.items()]
    return "\n".join([f"| `{column.name}` | |", "| --- | --- |", *lines])


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _type(dtype: pa.DataType) -> str:
    if pa.types.is_list(dtype):
        return f"list of {_type(dtype.value_type)}"
    if pa.types.is_map(dtype):
        return f"map from {_type(dtype.key_type)} to {_type(dtype.item_type)}"
    return str(dtype)


if __name__ == "__main__":
    print(page(), end="")
