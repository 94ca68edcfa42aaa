"""The `nightweave` command: a user's mistake is one line and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.lake.test_lake import NIGHT, embeddings


def nightweave(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jobs.cli", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["night", "--date", "tomorrow", "--raw", "r", "--lake", "l"], "expected YYYY-MM-DD"),
        (["night", "--date", "2026-11-01", "--lake", "l"], "NIGHTWEAVE_RAW"),
        (["night", "--date", "2026-11-01", "--raw", "r", "--lake", "l", "--config", "nosuch"], "embedded"),
        (["query", "SELECT nothing", "--lake", "l"], "cannot be answered"),
        (["query", "CREATE TABLE x AS SELECT 1", "--lake", "l"], "only one SELECT"),
        (["query", "SELECT 1", "--lake", "l", "--format", "xml"], "table, csv, json, parquet"),
        (["report", "--date", "2026-11-01", "--lake", "l"], "nightweave night"),
        (["explain", "--date", "2026-11-01", "--lake", "l", "--user", "u"], "no shelf"),
        (["import", "movielens", "nowhere", "r"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    told = nightweave(*(str(tmp_path / a) if a in ("r", "l", "nowhere") else a for a in arguments))
    assert told.returncode == 2
    assert len(told.stderr.strip().splitlines()) == 1 and says in told.stderr


@pytest.mark.parametrize(
    ("format_", "answer"), [("csv", '"user_id"\n"a"\n'), ("json", '{"user_id":"a"}\n'), ("table", None)]
)
def test_query_formats(lake: Lake, format_: str, answer: str | None) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    told = nightweave("query", "SELECT user_id FROM user_embeddings", "--lake", lake.uri, "--format", format_)
    assert told.returncode == 0
    assert told.stdout == answer if answer else "user_id" in told.stdout


def test_demo_data_does_not_write_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine").write_text("x")
    told = nightweave("demo-data", str(tmp_path / "raw"), "--items", "20", "--users", "1")
    assert told.returncode == 2 and "mine" in told.stderr
