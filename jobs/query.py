"""Answers to SQL over the lake: one SELECT in, rows out in a format that a person or a program reads."""

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from jobs.runtime.night import UserError
from lake import views
from lake.lake import Lake
from schemas.config import Query
from schemas.errors import did_you_mean

FORMATS = ("table", "csv", "json", "parquet")
ROWS_SHOWN = 1000
"""Rows of a table that a person is shown."""
ROWS_AT_ONCE = 10_000
SPILLED = 5
"""How many times a query's memory it may spill."""


def answer(sql: str, lake: Lake, *, format_: str, limits: Query) -> None:
    """Write the rows that `sql` selects to standard output.

    What was written before a query failed or was stopped stays written; the error says that it is not all.

    Raises:
        UserError: the format is unknown, or the SQL is not one statement that only reads, or is wrong, or takes more
            memory or time than `limits`.
        DamageError: a table that it reads is damaged.
    """
    check_format(format_)
    with tempfile.TemporaryDirectory(prefix="nightweave-query-") as folder:
        memory = {
            "memory_limit": f"{limits.memory_mib}MiB",
            "temp_directory": folder,
            "max_temp_directory_size": f"{SPILLED * limits.memory_mib}MiB",
        }
        try:
            with views.reading(lake, settings=memory) as connection:
                statements = connection.extract_statements(sql)
                if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                    raise UserError("only one SELECT is answered; the lake is read-only here")
                with _stopped_after(limits.seconds, connection.interrupt), _stopped_by_signals(connection.interrupt):
                    show(connection.sql(statements[0].query), format_=format_, limit=limits.rows)
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

    In CSV a list, a map or a struct is one cell, JSON text.
    """
    if format_ == "table":
        result.show(max_width=240, max_rows=min(ROWS_SHOWN, limit))  # it says itself that there are more
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
        with pacsv.CSVWriter(out, _in_words(schema.empty_table(), nested=True).schema) as csv:
            yield lambda rows: csv.write(_in_words(rows, nested=True))
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
    # Whole numbers stay whole beside nulls, whatever the batch.
    frame = _in_words(rows, nested=False).to_pandas(integer_object_nulls=True)
    return str(frame.to_json(orient="records", lines=True, date_format="iso", force_ascii=False))


def _in_words(rows: pa.Table, *, nested: bool) -> pa.Table:
    """The same rows with bytes and intervals as text in DuckDB's notation, and if `nested`, nested columns as JSON.

    A column is taken by its place, for names may repeat.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for place, field in enumerate(rows.schema):
        if nested and pa.types.is_nested(field.type):
            text = "CAST(to_json(cell) AS VARCHAR)"
        elif pa.types.is_interval(field.type) or pa.types.is_binary(field.type):
            text = "CAST(cell AS VARCHAR)"
        else:
            continue
        cells = connection.from_arrow(pa.table({"cell": rows.column(place)})).project(f"{text} AS cell")
        rows = rows.set_column(place, field.name, cells.to_arrow_table()["cell"])
    return rows
