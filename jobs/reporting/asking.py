"""Asking the tables: rows of SQL as values of a class."""

from typing import TypeVar

import duckdb

T = TypeVar("T")

NIGHTS = 60
"""How many nights the report looks back on."""

LAST_NIGHTS = f"(SELECT DISTINCT date FROM ledger WHERE date <= $night ORDER BY date DESC LIMIT {NIGHTS})"
"""The nights that the report looks back on, this one included, as an SQL relation of the column `date`."""


def ask(connection: duckdb.DuckDBPyConnection, row: type[T], sql: str, **parameters: object) -> list[T]:
    """The rows of a query as values of `row`, whose fields stand in the order of its columns."""
    return [row(*values) for values in connection.execute(sql, parameters or None).fetchall()]
