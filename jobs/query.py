"""Answers to SQL over the lake: one SELECT in, rows out in a format that a person or a program reads."""

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from duckdb.sqltypes import DuckDBPyType

from jobs.runtime.night import UserError
from lake import views
from lake.lake import Lake
from schemas.config import Query
from schemas.errors import NightweaveError, did_you_mean

FORMATS = ("table", "csv", "json", "parquet")
ROWS_SHOWN = 1000
"""Rows of a table that a person is shown."""
ROWS_AT_ONCE = 10_000
WIDTH = 240
"""Of a table that no terminal shows, in characters."""
EXPLAIN = re.compile(r"\s*EXPLAIN\b(\s+ANALYZE\b)?(\s*\(\s*(ANALYZE|FORMAT)\b[^)]*\))?", re.IGNORECASE)
"""What stands before the statement that is explained."""
WELCOME = (
    "{lake}, as of now. End a statement with ; and leave with Ctrl-D. SHOW TABLES; lists tables and views, DESCRIBE "
    "items; the columns of one, and nightweave describe says what they mean."
)
SPILLED = 5
"""How many times a query's memory it may spill."""


def given(sql: str | None, file: Path | None) -> str | None:
    """Return the SQL that is asked: as given, of a file, or of standard input where `sql` is `-`, or nothing is given
    and it is no terminal; None where a person is to type it.

    Raises:
        UserError: both are given, or the file cannot be read.
    """
    if file is None:
        return sys.stdin.read() if sql == "-" or (sql is None and not sys.stdin.isatty()) else sql
    if sql is not None:
        raise UserError("the SQL and --file are given; expected one of them")
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--file {file} cannot be read: {error}; expected a text file with SQL") from None


def answer(sql: str, lake: Lake, *, format_: str, limits: Query) -> None:
    """Write the rows that `sql` selects to standard output.

    What was written before a query failed or was stopped stays written; the error says that it is not all.

    Raises:
        UserError: the format is unknown, or the SQL is not one statement that only reads, or is wrong, or takes more
            memory or time than `limits`.
        DamageError: a table that it reads is damaged.
    """
    check_format(format_)
    with _opened(lake, limits) as connection:
        _ask(connection, sql, lake, format_=format_, limits=limits)


def shell(lake: Lake, *, format_: str, limits: Query) -> None:
    """Answer what a person types, a statement at a time, from the tables as they are at the beginning."""
    check_format(format_)
    print(WELCOME.format(lake=lake.uri))
    with _opened(lake, limits) as connection:
        for sql in _typed():
            try:
                _ask(connection, sql, lake, format_=format_, limits=limits)
            except NightweaveError as error:
                print(f"nightweave: {error}", file=sys.stderr)
            except KeyboardInterrupt:
                print("stopped", file=sys.stderr)


def _typed() -> Iterator[str]:
    """Statements up to their `;`, until the end of the input. Ctrl-C forgets what was begun."""
    import readline  # noqa: F401  with it, `input` has line editing and a history

    lines: list[str] = []
    while True:
        try:
            line = input("       ...> " if lines else "nightweave> ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            lines.clear()
            continue
        if line.strip() or lines:
            lines.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(lines)
            lines.clear()


@contextmanager
def _opened(lake: Lake, limits: Query) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake's tables under the limits of memory and disk."""
    with tempfile.TemporaryDirectory(prefix="nightweave-query-") as folder:
        memory = {
            "memory_limit": f"{limits.memory_mib}MiB",
            "temp_directory": folder,
            "max_temp_directory_size": f"{SPILLED * limits.memory_mib}MiB",
        }
        with views.reading(lake, settings=memory) as connection:
            yield connection


def _ask(connection: duckdb.DuckDBPyConnection, sql: str, lake: Lake, *, format_: str, limits: Query) -> None:
    """Write the answer to one statement; raises as `answer`, and `KeyboardInterrupt` where it was interrupted."""
    try:
        with views.naming_damage(lake):
            statement = _reading(connection, sql)
            with _stopped_after(limits.seconds, connection.interrupt), _stopped_by_signals(connection.interrupt):
                rows = connection.sql(statement.query)
                if statement.type == duckdb.StatementType.EXPLAIN and format_ == "table":
                    print(*(text for _, text in rows.fetchall()), sep="\n")
                else:
                    show(rows, format_=format_, limit=limits.rows)
    except BrokenPipeError:  # whoever reads has enough
        raise
    except (duckdb.Error, OSError) as error:  # a result that is read batch by batch fails with the latter
        raise UserError(_explained(error, limits)) from None
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # what DuckDB makes of Ctrl-C
            raise
    else:
        return
    # outside of the handler, so that the error does not keep the connection until the interpreter ends
    raise KeyboardInterrupt


def _reading(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement of the SQL, a SELECT or the EXPLAIN of one.

    Raises:
        UserError: it is something else.
    """
    statements = connection.extract_statements(sql)
    read = statements
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.EXPLAIN:
        read = connection.extract_statements(EXPLAIN.sub("", statements[0].query, count=1))
    if len(statements) != 1 or len(read) != 1 or read[0].type != duckdb.StatementType.SELECT:
        raise UserError("only one SELECT is answered, or the EXPLAIN of one; the lake is read-only here")
    return statements[0]


@contextmanager
def _stopped_after(seconds: float, stop: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within it `stop` is called as a signal arrives: Python's own handlers wait until DuckDB has returned."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    arrived, written = os.pipe()
    os.set_blocking(written, False)
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)

    def wait() -> None:
        if os.read(arrived, 1):
            stop()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(written)  # ends the thread's wait
        waiting.join()
        os.close(arrived)


def _explained(error: Exception, limits: Query) -> str:
    what = " ".join(str(error).split())
    if what.startswith("INTERRUPT"):
        return f"the query was stopped after {limits.seconds:g} s; give it more with --seconds or query.seconds"
    if what.startswith("Out of Memory"):
        more = "give it more with --memory-mib or query.memory_mib"
        return (
            f"the query needs more than {limits.memory_mib} MiB of memory and {SPILLED} times as much on disk; {more}"
        )
    return f"the SQL cannot be answered: {what}"


def check_format(format_: str) -> None:
    """Raises UserError where the format is unknown."""
    if format_ not in FORMATS:
        near = did_you_mean(format_, FORMATS)
        raise UserError(f"--format {format_!r} is unknown; {near}expected one of {', '.join(FORMATS)}")


def show(result: duckdb.DuckDBPyRelation, *, format_: str, limit: int) -> None:
    """Write at most `limit` rows to standard output, batch by batch; that there are more is said on standard error.

    A table is as wide as the terminal at most: columns that do not fit are left out, which it says itself. In CSV a
    list, a map or a struct is one cell, JSON text; JSON is an object a line. Times are in ISO 8601.
    """
    if format_ == "table":
        width = shutil.get_terminal_size(fallback=(WIDTH, 0)).columns
        result.show(max_width=width, max_rows=min(ROWS_SHOWN, limit))
        return
    rows, left = result.to_arrow_reader(ROWS_AT_ONCE), limit
    with _writer(format_, rows.schema) as write:
        for batch in rows:
            write(pa.Table.from_batches([batch]).slice(0, left))
            if batch.num_rows > left:
                print(f"nightweave: cut after {limit} rows; for more give --rows or query.rows", file=sys.stderr)
                break
            left -= batch.num_rows


@contextmanager
def _writer(format_: str, schema: pa.Schema) -> Iterator[Callable[[pa.Table], object]]:
    """What writes rows to standard output. A Parquet file is written once it is whole."""
    out = sys.stdout.buffer
    if format_ == "csv":
        with pacsv.CSVWriter(out, _cells(schema.empty_table()).schema) as csv:
            yield lambda rows: csv.write(_cells(rows))
    elif format_ == "parquet":
        with tempfile.TemporaryFile() as file:
            parquet = pq.ParquetWriter(file, schema, compression="zstd")
            yield parquet.write
            parquet.close()
            file.seek(0)
            shutil.copyfileobj(file, out)
    else:
        yield lambda rows: out.write(_json_lines(rows).encode())


def _json_lines(rows: pa.Table) -> str:
    """Each row as a JSON object; of columns of one name the second is `NAME_1`."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cells = connection.from_arrow(rows)
        types = zip(cells.columns, cells.types, strict=True)
        row = ", ".join(f"{_quoted(name)} := {_plain(_quoted(name), dtype)}" for name, dtype in types)
        lines = cells.project(f"CAST(to_json(struct_pack({row})) AS VARCHAR)").fetchall()
    return "".join(f"{line}\n" for (line,) in lines)


def _cells(rows: pa.Table) -> pa.Table:
    """The same rows with nested columns as JSON text, and bytes and intervals as text in DuckDB's notation.

    A column is taken by its place, for names may repeat.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for place, field in enumerate(rows.schema):
            if not (
                pa.types.is_nested(field.type) or pa.types.is_interval(field.type) or pa.types.is_binary(field.type)
            ):
                continue
            cells = connection.from_arrow(pa.table({"cell": rows.column(place)}))
            text = _plain("cell", cells.types[0])
            text = f"to_json({text})" if pa.types.is_nested(field.type) else text
            column = cells.project(f"CAST({text} AS VARCHAR) AS cell").to_arrow_table()["cell"]
            rows = rows.set_column(place, field.name, column)
    return rows


def _plain(value: str, dtype: DuckDBPyType, depth: int = 0) -> str:
    """SQL for a value of which `to_json` makes what JSON knows: times in ISO 8601, no NaN, single precision in as few
    digits as it has."""
    nested = dtype.children if dtype.id in ("list", "array", "map", "struct") else []
    children, each = {name: child for name, child in nested if isinstance(child, DuckDBPyType)}, f"x{depth}"
    if dtype.id == "struct":
        parts = (f"{_quoted(k)} := {_plain(f'{value}.{_quoted(k)}', child, depth)}" for k, child in children.items())
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"
    if children:
        inner = _plain(each, children["value" if dtype.id == "map" else "child"], depth + 1)
        if inner == each:
            return value
        if dtype.id == "map":
            values = f"list_transform(map_values({value}), lambda {each}: {inner})"
            return f"map_from_entries(list_zip(map_keys({value}), {values}))"
        return f"list_transform({value}, lambda {each}: {inner})"
    if dtype.id.startswith("timestamp"):
        return f"replace(replace({value}::VARCHAR, ' ', 'T'), '+00', 'Z')"
    if dtype.id in ("float", "double"):
        return f"CASE WHEN isfinite({value}) THEN {value}::VARCHAR::JSON END"
    return f"{value}::VARCHAR" if dtype.id in ("interval", "blob") else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
