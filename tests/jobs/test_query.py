"""The analyst's way in reads the tables, and can do nothing else."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.query import answer, given, shell
from jobs.runtime.night import UserError
from lake import views
from lake.lake import Lake
from schemas.config import Query
from schemas.tables import TABLES, UserEmbeddings
from tests.lake.test_lake import NIGHT, embeddings
from tests.test_schemas import a_row

WRITES = [
    "INSERT INTO user_embeddings SELECT * FROM user_embeddings",
    "UPDATE user_embeddings SET user_id = 'x'",
    "DELETE FROM user_embeddings",
    "DROP VIEW user_embeddings",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE OR REPLACE VIEW user_embeddings AS SELECT 1",
    "ALTER VIEW user_embeddings RENAME TO mine",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY user_embeddings TO '{folder}/out.parquet' (FORMAT parquet)",
    "EXPORT DATABASE '{folder}/export'",
    "VACUUM",
    "CHECKPOINT",
]
FILES = [
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "WITH x AS MATERIALIZED (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
    "ATTACH '{folder}/other.db' AS other",
    "ATTACH '{folder}/other.db' AS other (READ_ONLY)",
    "IMPORT DATABASE '{folder}'",
]
REACH = [
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL delta FROM community",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "SELECT getenv('PATH')",
    "SELECT * FROM python_variable",
]
SETTINGS = [
    "SET enable_external_access = true",
    "SET GLOBAL enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "PRAGMA enable_external_access = true",
    "PRAGMA enable_profiling = 'json'",
    "SET temp_directory = '{folder}'",
    "SET python_enable_replacements = true",
    "SET allow_community_extensions = true",
    "CALL force_checkpoint()",
]


@pytest.fixture
def written(lake: Lake) -> Lake:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    return lake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a readable file and a database in it."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    (made / "secret.csv").write_text("word\nhidden\n")
    duckdb.connect(str(made / "other.db")).close()
    return made


@pytest.mark.parametrize("sql", [*WRITES, *FILES, *REACH, *SETTINGS])
def test_nothing_but_a_select_over_the_tables_is_answered(
    written: Lake, folder: Path, sql: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=r"only one SELECT|cannot be answered"):
        answer(sql.format(folder=folder, secret=folder / "secret.csv"), written, format_="csv", limits=Query())
    assert b"hidden" not in capsysbinary.readouterr().out
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert written.read(UserEmbeddings)["user_id"].to_pylist() == ["a"]


@pytest.mark.parametrize("sql", [*FILES, *REACH, *SETTINGS, *(w for w in WRITES if "{folder}" in w)])
def test_the_connection_itself_refuses(written: Lake, folder: Path, sql: str) -> None:
    """So that a statement that gets past the look at its kind still reaches nothing."""
    python_variable = views.connect(written).sql("SELECT 1 AS one").to_arrow_table()
    with pytest.raises(duckdb.Error):
        views.connect(written).execute(sql.format(folder=folder, secret=folder / "secret.csv")).fetchall()
    assert len(python_variable) == 1


def test_two_statements_are_not_one() -> None:
    with pytest.raises(UserError, match="only one SELECT"):
        answer("SELECT 1; SELECT 2", Lake("nowhere"), format_="csv", limits=Query())


def test_what_analysts_write_is_answered(written: Lake, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    sql = "WITH u AS (FROM user_embeddings) SELECT user_id, count(*) AS n FROM u GROUP BY ALL ORDER BY 1"
    answer(sql, written, format_="csv", limits=Query())
    assert capsysbinary.readouterr().out == b'"user_id","n"\n"a",1\n'


def test_lists_maps_and_structs_are_json_text_in_csv(written: Lake, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    sql = """SELECT user_id, vector, MAP {'k': [1]} AS tags, {'a': 1, 'b': 'x"y'} AS both, NULL::INTEGER[] AS none,
             [TIMESTAMPTZ '2026-11-01 10:00:00+02'] AS times, INTERVAL 2 DAY AS span, '\\xFF'::BLOB AS bytes,
             1 AS same, [2] AS same FROM user_embeddings"""
    answer(sql, written, format_="csv", limits=Query())
    header, row = csv.reader(capsysbinary.readouterr().out.decode().splitlines())
    assert header == ["user_id", "vector", "tags", "both", "none", "times", "span", "bytes", "same", "same"]
    assert [json.loads(cell) for cell in row[1:4]] == [[1.0, 0.0], {"k": [1]}, {"a": 1, "b": 'x"y'}]
    assert row[4:] == ["", '["2026-11-01T08:00:00Z"]', "2 days", "\\xFF", "1", "[2]"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_every_table_can_be_asked_for_in_every_format(
    lake: Lake, table: str, format_: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    schema = TABLES[table].schema
    row = a_row(TABLES[table], {"vector": [0.5, 1.0]} if "vector" in schema.names else {})
    where = {column: str(row[column]) for column in TABLES[table].partition_by}
    lake.write(TABLES[table], pa.Table.from_pylist([row], schema=schema), where)
    answer(f"SELECT * FROM {table}", lake, format_=format_, limits=Query())
    written = capsysbinary.readouterr().out
    if format_ == "csv":
        header, row = csv.reader(written.decode().splitlines())
        assert header == schema.names and len(row) == len(header)
    elif format_ == "json":
        assert list(json.loads(written)) == schema.names
    else:
        assert pq.read_table(pa.BufferReader(written)).num_rows == 1


def test_json_has_plain_maps_and_iso_times(written: Lake, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    sql = """SELECT DATE '2026-11-01' AS day, TIMESTAMPTZ '2026-11-01 10:00:00.25+02' AS moment,
             MAP {'k': [1, 2]} AS map, {'a': TIMESTAMP '2026-11-01', 'none': NULL} AS both,
             [0.1::FLOAT, 'nan', NULL] AS numbers,
             MAP {'t': TIMESTAMPTZ '2026-11-01 00:00:00+00'} AS times, NULL::STRUCT(a INTEGER) AS nothing,
             '"Größe"' AS text, 12345678901234567890123::HUGEINT AS whole, 'inf'::DOUBLE AS endless"""
    answer(sql, written, format_="json", limits=Query())
    assert json.loads(capsysbinary.readouterr().out) == {
        "day": "2026-11-01",
        "moment": "2026-11-01T08:00:00.25Z",
        "map": {"k": [1, 2]},
        "both": {"a": "2026-11-01T00:00:00", "none": None},
        "numbers": [0.1, None, None],
        "times": {"t": "2026-11-01T00:00:00Z"},
        "nothing": None,
        "text": '"Größe"',
        "whole": 12345678901234567890123,
        "endless": None,
    }


@pytest.mark.parametrize(
    "explain", ["EXPLAIN", "EXPLAIN ANALYZE", "explain (analyze, format json)", "/* why */ EXPLAIN"]
)
def test_a_plan_is_explained(written: Lake, explain: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer(f"{explain} SELECT user_id FROM user_embeddings", written, format_="table", limits=Query())
    assert "user_id" in capsys.readouterr().out


@pytest.mark.parametrize(
    "sql", ["COPY (SELECT 1) TO '{folder}/x.csv'", "CREATE TABLE x AS SELECT 1", "DROP VIEW items"]
)
@pytest.mark.parametrize("explain", ["EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN (ANALYZE)", "EXPLAIN EXPLAIN"])
def test_what_writes_is_not_explained(written: Lake, folder: Path, sql: str, explain: str) -> None:
    with pytest.raises(UserError, match=r"only one SELECT|cannot be answered"):
        answer(f"{explain} {sql.format(folder=folder)}", written, format_="csv", limits=Query())
    assert not (folder / "x.csv").exists()


@pytest.mark.parametrize("sql", ["SHOW TABLES", "DESCRIBE items", "SUMMARIZE items", "FROM nights"])
def test_a_person_can_look_around(written: Lake, sql: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    answer(sql, written, format_="json", limits=Query())
    out = capsysbinary.readouterr().out
    assert not out if sql == "FROM nights" else json.loads(out.splitlines()[0])


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_is_as_wide_as_the_terminal(
    written: Lake, columns: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    answer("SELECT * FROM recommendations RIGHT JOIN range(2) ON true", written, format_="table", limits=Query())
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns and "17 columns" in shown


def test_sql_is_read_from_a_file_or_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "q.sql"
    file.write_text("SELECT 'ü'")
    assert given(None, file) == "SELECT 'ü'"
    for argument in ("-", None):
        monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 2"))
        assert given(argument, None) == "SELECT 2"
    assert given("SELECT 1", None) == "SELECT 1"
    with pytest.raises(UserError, match="expected one of them"):
        given("SELECT 1", file)
    with pytest.raises(UserError, match=r"nowhere\.sql cannot be read: .*expected a text file"):
        given(None, tmp_path / "nowhere.sql")


def test_a_shell_answers_statement_by_statement(
    written: Lake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong statement, an interrupt and what is only begun do not end it; the end of the input does."""
    typed = iter(
        ["", "SELECT user_id", "FROM user_embeddings;", "SELECT nothing;", "SELECT", KeyboardInterrupt, "SELECT 5;"]
    )

    def read(prompt: str) -> str:
        line = next(typed, EOFError)
        if not isinstance(line, str):
            raise line
        return line

    monkeypatch.setattr("builtins.input", read)
    shell(written, format_="csv", limits=Query())
    told = capfd.readouterr()
    assert told.out.splitlines()[1:] == ['"user_id"', '"a"', "", '"5"', "5", ""]
    assert told.err.startswith("nightweave: the SQL cannot be answered: Binder Error") and told.err.count("\n") == 1


ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"
ENDLESS_ROWS = "SELECT a.range FROM range(10000000) a, range(10000000) b"


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_ROWS])
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_query_is_stopped_when_its_time_is_over(
    written: Lake, sql: str, format_: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Whether it gives rows meanwhile or none; half a Parquet file is not written."""
    limits = Query(seconds=0.2, rows=10**12)
    with pytest.raises(UserError, match=r"stopped after 0\.2 s; give it more with --seconds or query\.seconds"):
        answer(sql, written, format_=format_, limits=limits)
    assert format_ == "csv" or not capsysbinary.readouterr().out


def test_a_query_that_needs_too_much_memory_is_stopped(written: Lake) -> None:
    sql = "SELECT count(DISTINCT repeat(range::VARCHAR, 100)) FROM range(1500000)"
    with pytest.raises(UserError, match="more than 64 MiB of memory and 5 times as much on disk; give it more with"):
        answer(sql, written, format_="csv", limits=Query(memory_mib=64))


@pytest.mark.parametrize(("rows", "cut"), [(11, True), (12, False), (13, False)])
@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_rows_beyond_the_limit_are_cut_and_that_is_said(
    written: Lake, rows: int, cut: bool, format_: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    answer("SELECT range AS n FROM range(12)", written, format_=format_, limits=Query(rows=rows))
    told = capsysbinary.readouterr()
    if format_ == "parquet":
        numbers = pq.read_table(pa.BufferReader(told.out))["n"].to_pylist()
    elif format_ == "json":
        numbers = [json.loads(line)["n"] for line in told.out.splitlines()]
    else:
        numbers = [int(line) for line in told.out.splitlines()[1:]]
    assert numbers == list(range(min(rows, 12)))
    assert told.err.decode() == ("nightweave: cut after 11 rows; for more give --rows or query.rows\n" if cut else "")


def test_a_table_says_itself_that_it_is_not_all(written: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    answer("SELECT range AS n FROM range(12)", written, format_="table", limits=Query(rows=5))
    assert "(5 shown)" in capfd.readouterr().out


def test_whole_numbers_stay_whole_in_json_whatever_stands_in_other_rows(
    written: Lake, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    sql = "SELECT unnest([1, NULL]) AS n, INTERVAL 2 DAY AS span, '\\xFF'::BLOB AS bytes, [1, 2] AS list"
    answer(sql, written, format_="json", limits=Query())
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0] == '{"n":1,"span":"2 days","bytes":"\\\\xFF","list":[1,2]}'
    assert json.loads(lines[1])["n"] is None


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_ROWS])
def test_an_interrupt_ends_it_without_a_word(written: Lake, sql: str) -> None:
    command = [sys.executable, "-m", "jobs.cli", "query", sql, "--rows", str(10**12), "--lake", written.uri]
    with subprocess.Popen([*command, "--format", "csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while b"_duckdb" not in Path(f"/proc/{process.pid}/maps").read_bytes():
            time.sleep(0.05)
        time.sleep(1)  # the query has begun, or is about to
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, b"")
