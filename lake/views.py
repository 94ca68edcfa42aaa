"""The lake as SQL: one DuckDB view a table, read-only."""

import duckdb

from lake.lake import Lake
from schemas.tables import TABLES

CLOSED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view a table of the lake, as of now; tables not yet written are empty.

    SQL can read those views and nothing else: no file, no network, no extension, no variable of this program, no
    change of settings. A temporary table can be made; it goes with the connection.
    """
    connection = duckdb.connect(config=CLOSED)
    for table in TABLES.values():
        connection.register(table.name, lake.dataset(table))
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
