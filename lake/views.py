"""The lake as SQL: one DuckDB view a table, read-only."""

import duckdb

from lake.lake import Lake
from schemas.tables import TABLES


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view a table of the lake, as of now; tables not yet written are empty.

    SQL can read those views and nothing else: no file, no network, no extension, no change of settings.
    """
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    for table in TABLES.values():
        connection.register(table.name, lake.dataset(table))
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
