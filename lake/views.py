"""The lake's tables as read-only DuckDB views."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from lake import publication
from lake.lake import Lake
from schemas.tables import TABLES, Ledger, Published

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


FAILED_STREAM = re.compile(r"reading the stream registered as '(\w+)' failed")
"""What DuckDB says where a registered Arrow data set cannot be read."""


def connect(
    lake: Lake, *, instead: "Mapping[str, Dataset] | None" = None, settings: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with one view a table of the lake, as of now; a table not yet written is empty.

    SQL can read those views and nothing else: no file, no network, no extension, no variable of this program, no
    change of settings. A temporary table can be made; it goes with the connection. Times are in UTC, whatever the zone
    of the machine.

    Args:
        instead: name of a table → what is read in its place.
        settings: further ones of DuckDB's, such as `memory_limit`.

    Raises:
        DamageError: a table's log is damaged.

    >>> connect(Lake("/a/lake/not/yet/written")).sql("SELECT count(*) FROM items").fetchall()
    [(0,)]
    """
    connection = duckdb.connect(config={**CLOSED, **(settings or {})})
    given = dict(instead or {})

    def opened(lake: Lake) -> "dict[str, Dataset]":
        # The ledger is opened first: what it accounts for is then in the other tables, even while a step writes.
        first = sorted(TABLES.values(), key=lambda table: table is not Ledger)
        return {table.name: lake.dataset(table) for table in first if table.name not in given}

    datasets = opened(lake) if Published.name in given else publication.as_readers_see(lake, opened)
    for name, dataset in (datasets | given).items():
        connection.register(name, dataset)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


@contextmanager
def reading(lake: Lake, *, settings: Mapping[str, str] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield what `connect` returns, closed at the end.

    Raises:
        DamageError: a table's log is damaged, or within it a live file of one was found missing or damaged.
    """
    with connect(lake, settings=settings) as connection, naming_damage(lake):
        try:
            yield connection
        except BaseException:
            connection.interrupt()  # a query that still runs would keep the connection open
            raise


@contextmanager
def naming_damage(lake: Lake) -> Iterator[None]:
    """Within it, an error of DuckDB is a `DamageError` where it comes from a live file that is missing or damaged."""
    try:
        yield
    except (duckdb.Error, OSError) as error:  # the latter where a result is read batch by batch
        if failed := FAILED_STREAM.search(str(error)):
            with lake.naming_damage(TABLES[failed[1]]):
                raise
        raise
