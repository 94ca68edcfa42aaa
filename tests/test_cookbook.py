"""Every question of docs/howto/cookbook.md is answered, on the lake of a shop."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from jobs.landing.raw import Raw
from jobs.runtime.costs import Cost, keep
from jobs.runtime.night import Night
from lake import views, warehouse
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import TABLES
from schemas.values import listed
from schemas.view import VIEWS

ROOT = Path(__file__).resolve().parent.parent
QUESTION = re.compile(r"^### (?P<title>.+?)$(?P<text>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
QUESTIONS = {
    question["title"]: re.findall(r"^```sql\n(.*?)^```", question["text"], re.MULTILINE | re.DOTALL)
    for question in QUESTION.finditer((ROOT / "docs" / "howto" / "cookbook.md").read_text("utf-8"))
}
NOTHING_TO_FIND = {
    # of two nights, one has shelves
    "What changed on the shelves since the night before?",
    "Which items entered most shelves?",
    # of 18 items, all are shown, and no two look alike
    "Which items does nobody see?",
    "Which items have nearly the same picture?",
    # versions before explained no place
    "Which likes does a place owe most to?",
}


@pytest.fixture(scope="module")
def lake(old_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """That of the shop, whose release measured no costs, with costs of its nights: the second is half as long again."""
    copied = shutil.copytree(old_lake.uri.removeprefix("file://"), tmp_path_factory.mktemp("costs") / "lake")
    made, began = Lake(str(copied)), datetime(2026, 11, 3, 1, tzinfo=UTC)
    for night, longer in ((date(2026, 11, 1), 1.0), (date(2026, 11, 2), 1.5)):
        of_night = Night(night, Raw(str(copied)), made, Config())
        for step, modality in (("clean", None), ("extract_image", "image"), ("recommend", None)):
            keep(
                of_night, Cost(step, modality, "done", None, began, 60 * longer, 90.0, 1 << 28, 1 << 20, 1 << 10, None)
            )
    return made


@pytest.fixture(scope="module", params=["lake", "file"])
def ask(
    request: pytest.FixtureRequest, lake: Lake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """What `nightweave query` asks, and what an analyst opens."""
    if request.param == "lake":
        yield views.connect(lake)
        return
    place = tmp_path_factory.mktemp("cookbook") / "shop.duckdb"
    warehouse.write(lake, place)
    with duckdb.connect(str(place), read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_is_answered(title: str, ask: duckdb.DuckDBPyConnection) -> None:
    (sql,) = QUESTIONS[title]
    rows = ask.sql(sql).fetchall()
    assert rows or title in NOTHING_TO_FIND, sql
    assert all(any(value is not None for value in row) for row in rows)


def test_a_night_takes_from_its_first_step_to_its_last_and_costs_what_they_all_do(
    ask: duckdb.DuckDBPyConnection,
) -> None:
    """Three steps of 90 s of a core side by side, for 60 s and for 90 s: 270 s are 0.075 hours at 0.05."""
    ((sql,), (longer,)) = (
        QUESTIONS[title]
        for title in (
            "What does a night cost, and what would it at a price?",
            "Which steps take longer than they used to?",
        )
    )
    prices = [
        (date(2026, 11, 2), "00:01:30", 0.075, None, 0.0037),
        (date(2026, 11, 1), "00:01:00", 0.075, None, 0.0037),
    ]
    assert [(day, took, cores, gpus, pytest.approx(price, abs=1e-4)) for day, took, cores, gpus, price in prices] == (
        ask.sql(sql).fetchall()
    )
    ratios = [(step, seconds, usual, ratio) for _, step, seconds, usual, ratio in ask.sql(longer).fetchall()]
    assert ratios == [(step, 90.0, 60.0, 1.5) for step in ("clean", "extract_image", "recommend")]


def test_there_are_about_twenty_and_they_use_every_view() -> None:
    asked = " ".join(sql for several in QUESTIONS.values() for sql in several)
    assert len(QUESTIONS) >= 20
    unused = {name for name in VIEWS if name not in asked}
    assert unused <= {"versions_as_of"}, "which is there for the others"


def test_the_readmes_own_query_names_each_place_once(ask: duckdb.DuckDBPyConnection) -> None:
    """On a lake whose items arrived on more than one night."""
    text = (ROOT / "README.md").read_text("utf-8")
    (sql,) = re.findall(r'nightweave query .*?"(SELECT.*?)"', text, re.DOTALL)
    rows = ask.sql(sql.replace("LIMIT 9", "")).fetchall()
    assert len(rows) == len({row[:3] for row in rows}) > 9


def test_the_values_that_nights_wrote_are_listed(old_lake: Lake) -> None:
    ask = views.connect(old_lake).sql
    for table in TABLES.values():
        for column in (column for column in table.described if column.values):
            found = ask(f"SELECT DISTINCT {column.name} FROM {table.name} WHERE {column.name} IS NOT NULL").fetchall()
            assert [value for (value,) in found if not listed(column.values, value)] == [], (table.name, column.name)
