"""The views beside the tables: what is current, what changed, and a night at a glance, as SQL that DuckDB reads.

Each is a file under `schemas/views/`. Its first comment says what a row is, the next whatever else a reader must know;
`Parameters:` makes it a function that returns rows (a table macro), and `Columns:` describes its columns, `PREFIX*` all
that begin so, by the table that they come from.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from schemas.table import Column
from schemas.tables import COUNTS_AS_OF, TABLES

if TYPE_CHECKING:
    import duckdb

_FILES = files("schemas") / "views"
_NAMES = (
    "recommendations_latest",
    "latest_items",
    "versions_as_of",
    "items_as_of",
    "features_joined",
    "shelf_changes",
    "nights",
)
_COUNTS_AS_OF = COUNTS_AS_OF.replace("updated_at", "timezone('UTC', updated_at)")
"""Whatever the zone of the session is."""
_HEADER = re.compile(r"(?:--.*\n)+")
_FROM = re.compile(r"[Aa]s in `(?P<table>\w+)`\.")


@dataclass(frozen=True)
class View:
    """A view, or with parameters a function that returns rows.

    Attributes:
        grain: what a row is, in a sentence.
        more: what else to know; may be empty.
        described: name or `PREFIX*` → description.
        sql: one SELECT over the tables and other views, with the placeholders that `statement` fills in.
    """

    name: str
    grain: str
    more: str
    parameters: tuple[str, ...]
    described: dict[str, str]
    sql: str

    @property
    def call(self) -> str:
        """The view as it stands in a FROM.

        >>> VIEWS["items_as_of"].call
        'items_as_of(night)'
        """
        return f"{self.name}({', '.join(self.parameters)})" if self.parameters else self.name

    def statement(self, *, last_night: date | None, temporary: bool = True) -> str:
        """Return the SQL that creates it, `temporary` for the connection alone; `last_night` as in `create`."""
        night = f"DATE '{last_night}'" if last_night else "NULL::DATE"
        sql = self.sql.format(counts_as_of=_COUNTS_AS_OF, last_night=night)
        kind = f"MACRO {self.call} AS TABLE" if self.parameters else f"VIEW {self.name} AS"
        return f"CREATE {'TEMP ' if temporary else ''}{kind} {sql}"

    def description(self, column: str) -> str:
        """What a column of it holds.

        Raises:
            KeyError: nothing describes it.
        """
        found = self.described.get(column)
        if found is None:
            prefix = max((p[:-1] for p in self.described if p.endswith("*") and column.startswith(p[:-1])), key=len)
            found, column = self.described[f"{prefix}*"], column.removeprefix(prefix)
        if source := _FROM.fullmatch(found):
            (found,) = (of.description for of in TABLES[source["table"]].described if of.name == column)
        return found


def _read(name: str) -> View:
    text = (_FILES / f"{name}.sql").read_text("utf-8")
    header = _HEADER.match(text)
    assert header, name
    lines = [line.removeprefix("--").strip() for line in header[0].splitlines()]
    words, _, columns = "\n".join(lines).partition("Columns:\n")
    words, _, parameters = words.partition("Parameters:")
    grain, _, more = words.strip().partition("\n\n")
    described = dict(line.split(": ", 1) for line in columns.splitlines())
    parts = (" ".join(grain.split()), " ".join(more.split()), tuple(parameters.split()), described)
    return View(name, *parts, sql=text[header.end() :])


VIEWS: dict[str, View] = {name: _read(name) for name in _NAMES}


def create(connection: "duckdb.DuckDBPyConnection", *, last_night: date | None, temporary: bool = True) -> None:
    """Create all views on a connection on which the tables are, unless `temporary` in the file that it has open.

    Args:
        last_night: the last one with recommendations. It is written into their view, for only a constant keeps DuckDB
            from reading the nights before it.
    """
    for view in sorted(VIEWS.values(), key=lambda view: not view.parameters):  # views may call functions
        connection.execute(view.statement(last_night=last_night, temporary=temporary))


@contextmanager
def empty() -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield a connection with all tables, of no rows, and all views."""
    import duckdb

    with duckdb.connect() as connection:
        for table in TABLES.values():
            connection.register(table.name, table.schema.empty_table())
        create(connection, last_night=None)
        yield connection


def types(connection: "duckdb.DuckDBPyConnection", name: str) -> dict[str, str]:
    """Return the columns of a table or view of a connection, in order, with DuckDB's names of their types."""
    relation = connection.sql(f"FROM {_called(name)}")
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


@cache
def columns(name: str) -> tuple[Column, ...]:
    """Return the columns of a view, in order."""
    with empty() as connection:
        schema = connection.sql(f"FROM {_called(name)}").to_arrow_table().schema
    return tuple(Column(of.name, of.type, VIEWS[name].description(of.name), nullable=True) for of in schema)


def _called(name: str) -> str:
    """The table or view in a FROM, with some night for its parameters."""
    parameters = VIEWS[name].parameters if name in VIEWS else ()
    return f"{name}({', '.join('NULL' for _ in parameters)})" if parameters else name
