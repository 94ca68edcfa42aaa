"""Answers to SQL over the lake: one SELECT in, rows out in a format that a person or a program reads."""

import sys

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from jobs.runtime.night import UserError
from lake import views
from lake.lake import Lake

FORMATS = ("table", "csv", "json", "parquet")


def answer(sql: str, lake: Lake, *, format_: str) -> None:
    """Write the rows that `sql` selects to standard output.

    Raises:
        UserError: the format is unknown, or the SQL is not one statement that only reads, or is wrong.
        DamageError: a table that it reads is damaged.
    """
    check_format(format_)
    try:
        with views.reading(lake) as connection:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UserError("only one SELECT is answered; the lake is read-only here")
            show(connection.sql(statements[0].query), format_=format_)
    except duckdb.Error as error:
        raise UserError(f"the SQL cannot be answered: {' '.join(str(error).split())}") from None


def check_format(format_: str) -> None:
    """Raises UserError where the format is unknown."""
    if format_ not in FORMATS:
        raise UserError(f"--format {format_!r} is unknown; expected one of {', '.join(FORMATS)}")


def show(result: duckdb.DuckDBPyRelation, *, format_: str) -> None:
    """Write rows to standard output. In CSV a list, a map or a struct is one cell, JSON text."""
    if format_ == "table":
        result.show(max_width=240, max_rows=1000)
        return
    rows = result.to_arrow_table()
    if format_ == "csv":
        pacsv.write_csv(_flat(rows), sys.stdout.buffer)
    elif format_ == "parquet":
        pq.write_table(rows, sys.stdout.buffer, compression="zstd")
    else:
        sys.stdout.write(rows.to_pandas().to_json(orient="records", lines=True, date_format="iso", force_ascii=False))


def _flat(rows: pa.Table) -> pa.Table:
    """The same rows with nested columns as JSON text, and bytes and intervals as text in DuckDB's notation.

    A column is taken by its place, for names may repeat.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            text = "CAST(to_json(cell) AS VARCHAR)"
        elif pa.types.is_interval(field.type) or pa.types.is_binary(field.type):
            text = "CAST(cell AS VARCHAR)"
        else:
            continue
        cells = connection.from_arrow(pa.table({"cell": rows.column(place)})).project(f"{text} AS cell")
        rows = rows.set_column(place, field.name, cells.to_arrow_table()["cell"])
    return rows
