"""The lake as SQL: one DuckDB view a table, read-only."""

from collections.abc import Collection

import duckdb

from lake.lake import Lake
from schemas.tables import TABLES, Ledger

CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


def connect(lake: Lake, *, without: Collection[str] = ()) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view a table of the lake, as of now; tables not yet written are empty, and so are
    those named in `without`.

    SQL can read those views and nothing else: no file, no network, no extension, no variable of this program, no
    change of settings. A temporary table can be made; it goes with the connection.
    """
    connection = duckdb.connect(config=CLOSED)
    # The ledger is looked at first: what a step has said there is in the tables by then, whoever writes meanwhile.
    for table in sorted(TABLES.values(), key=lambda table: table is not Ledger):
        empty = table.name in without
        connection.register(table.name, table.schema.empty_table() if empty else lake.dataset(table))
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
