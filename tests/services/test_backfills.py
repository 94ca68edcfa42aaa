"""Backfills through Airflow's own scheduler on PostgreSQL: each ends with the rows of nights run one by one."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lake import publication
from lake.lake import Lake
from schemas.features import FEATURES
from schemas.tables import Metrics, Published, Recommendations
from tests.jobs.nights import contents
from tests.services.airflow import CONSUMER, Airflow
from tests.services.backfills import MATRIX, PATIENCE_S, SCREENSHOTS, Backfill
from tests.services.browser import CHROMIUM, browser
from tests.services.conftest import NIGHTS

pytestmark = [pytest.mark.services, pytest.mark.timeout(3600)]


def rows(lake: Lake) -> dict[str, list[str]]:
    """Every row of every table, and of every model file its hash. The order of nights may change a feature row's date,
    and what `published` says of how readers came to see a night."""
    found = contents(lake)
    del found[Published.name]
    for table in FEATURES.values():
        columns = [column for column in table.schema.names if column != "date"]
        found[table.name] = sorted(map(repr, lake.read(table, columns=columns).to_pylist()))
    root = Path(lake.uri.removeprefix("file://"))
    files = sorted(path for path in (root / "artifacts").rglob("*") if path.is_file())
    found["artifacts"] = [f"{f.relative_to(root)} {hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files]
    return found


def differing(one: Lake, other: Lake) -> dict[str, tuple[list[str], list[str]]]:
    """By table, the first rows that only one of two lakes has."""
    left, right = rows(one), rows(other)
    assert left.keys() == right.keys() and all(left[name] for name in ("recommendations", "models", "artifacts"))
    only = {name: (set(left[name]) - set(right[name]), set(right[name]) - set(left[name])) for name in left}
    same = {name for name in left if left[name] == right[name]}
    return {name: (sorted(a)[:2], sorted(b)[:2]) for name, (a, b) in only.items() if name not in same}


@dataclass(frozen=True)
class Filled:
    """What a backfill left: the lake, the state of each night's run, the tasks of each night."""

    lake: Lake
    states: dict[str, str]
    tasks: dict[str, list[dict[str, Any]]]

    def span(self, night: str, task_id: str) -> tuple[datetime, datetime]:
        """When the task of a night first began and last ended."""
        times = [
            (datetime.fromisoformat(t["start_date"]), datetime.fromisoformat(t["end_date"]))
            for t in self.tasks[night]
            if t["task_id"] == task_id
        ]
        return min(begun for begun, _ in times), max(ended for _, ended in times)


def fill(running: Airflow, lake: Lake, how: Backfill, **options: str) -> Filled:
    how.start(running, NIGHTS, **options)
    states = running.wait(NIGHTS, seconds=PATIENCE_S)
    how.look(running, NIGHTS)
    return Filled(lake, states, {r["logical_date"][:10]: running.tasks(r["dag_run_id"]) for r in running.runs()})


def all_green(filled: Filled) -> bool:
    return set(filled.states.values()) == {"success"}


@pytest.fixture(scope="module")
def forwards(running: Airflow, fresh_lake: Callable[[], Lake]) -> Filled:
    """Side by side: started by clicking, and looked at in the browser, where there is one."""
    door = "ui" if CHROMIUM.exists() else "cli"
    return fill(running, fresh_lake(), Backfill(door, active=3, backwards=False))


def test_nights_side_by_side_leave_the_rows_of_nights_one_by_one(forwards: Filled, one_by_one: Lake) -> None:
    assert all_green(forwards), forwards.states
    assert [str(change.date) for change in publication.history(forwards.lake)] == NIGHTS
    assert not differing(forwards.lake, one_by_one)


def test_nights_are_cleaned_and_extracted_side_by_side_and_trained_one_after_another(forwards: Filled) -> None:
    for earlier, later in pairwise(NIGHTS):
        assert forwards.span(later, "clean")[0] < forwards.span(earlier, "train")[0]
        assert forwards.span(later, "extract_text")[0] < forwards.span(earlier, "publish")[1]
        assert forwards.span(later, "train")[0] >= forwards.span(earlier, "publish")[1]


# The scheduler of the tests starts no run by the clock, and none by an asset: what it leaves out is done here.
START_RUNS_BY_PARTITION = """
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.utils.session import create_session
with create_session() as session:
    print(SchedulerJobRunner(Job(), executors=[None])._create_dagruns_for_partitioned_asset_dags(session))
"""


def test_a_dag_of_somebody_else_runs_for_each_night_that_is_published(forwards: Filled, running: Airflow) -> None:
    running.python(START_RUNS_BY_PARTITION)
    runs = {run["partition_key"]: run["dag_run_id"] for run in running.wait_for_runs(CONSUMER, len(NIGHTS))}
    assert sorted(runs) == NIGHTS
    for night, run_id in runs.items():
        expected = [forwards.lake.count(table, {"date": night}) for table in (Recommendations, Metrics)]
        assert running.returned(run_id, "read", dag=CONSUMER) == expected and all(expected)


def some_run_that_extracted_texts(running: Airflow) -> str:
    """Of nights side by side, whichever comes first extracts the texts that they have in common."""
    for run_id in (run["dag_run_id"] for run in running.runs()):
        (text,) = (t for t in running.tasks(run_id) if t["task_id"] == "extract_text")
        told = running.log(run_id, "extract_text", attempt=text["try_number"])
        if re.search(r"extract_text: [1-9]\d* contents", told):
            return run_id
    raise AssertionError("no night extracted a text")


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium is installed; `make services` installs Debian's")
def test_the_log_in_the_browser_shows_how_far_an_extraction_is(forwards: Filled, running: Airflow) -> None:
    run_id = some_run_that_extracted_texts(running)
    with browser(SCREENSHOTS / "log") as window:
        window.log_in(running.url, *running.user)
        window.open_dag()
        done = re.compile(r"extract_text: ([1-9]\d*) contents to extract under histogram-.* \1 of \1 done", re.S)
        told = window.open_log(run_id, "extract_text", until=done)
    assert done.search(told), told


@pytest.mark.at_length
def test_reprocessing_complete_nights_through_the_api_changes_no_row(forwards: Filled, running: Airflow) -> None:
    before = rows(forwards.lake)
    again = fill(running, forwards.lake, Backfill("api", active=3, backwards=False), reprocess="completed")
    assert all_green(again), again.states
    assert again.span(NIGHTS[0], "clean")[0] > forwards.span(NIGHTS[-1], "publish")[1], "nothing ran again"
    assert rows(forwards.lake) == before


@pytest.mark.at_length
def test_one_at_a_time_backwards_from_the_command_line(
    running: Airflow, fresh_lake: Callable[[], Lake], one_by_one: Lake
) -> None:
    """Nights that find an earlier one waiting make room for it, and start again when it is complete."""
    filled = fill(running, fresh_lake(), Backfill("cli", active=1, backwards=True))
    assert all_green(filled), filled.states
    assert not differing(filled.lake, one_by_one)
    tries = {night: max(t["try_number"] for t in filled.tasks[night] if t["task_id"] == "clean") for night in NIGHTS}
    assert tries[NIGHTS[0]] < tries[NIGHTS[1]]


@pytest.mark.at_length
@pytest.mark.parametrize(
    "how", [how for how in MATRIX if str(how) not in ("ui-3-forwards", "cli-1-backwards")], ids=str
)
def test_every_other_way_to_fill_in_nights(
    how: Backfill, running: Airflow, fresh_lake: Callable[[], Lake], one_by_one: Lake
) -> None:
    filled = fill(running, fresh_lake(), how)
    assert all_green(filled), filled.states
    assert not differing(filled.lake, one_by_one)
