"""The lake's tables as read-only DuckDB views."""

from collections.abc import Collection, Mapping

import duckdb

from lake.lake import Lake
from schemas.tables import TABLES, Ledger

CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


def connect(
    lake: Lake, *, without: Collection[str] = (), settings: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with one view a table of the lake, as of now; a table not yet written is empty.

    SQL can read those views and nothing else: no file, no network, no extension, no variable of this program, no
    change of settings. A temporary table can be made; it goes with the connection. Times are in UTC, whatever the zone
    of the machine.

    Args:
        without: names of tables that are to be empty.
        settings: further ones of DuckDB's, such as `memory_limit`.

    >>> connect(Lake("/a/lake/not/yet/written")).sql("SELECT count(*) FROM items").fetchall()
    [(0,)]
    """
    connection = duckdb.connect(config={**CLOSED, **(settings or {})})
    # The ledger is opened first: what it accounts for is then in the other tables, even while a step writes.
    for table in sorted(TABLES.values(), key=lambda table: table is not Ledger):
        empty = table.name in without
        connection.register(table.name, table.schema.empty_table() if empty else lake.dataset(table))
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
