"""The order of nights under the real scheduler, with nights that have nothing else to do."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from lake.lake import Lake
from tests.services.airflow import ORDER as DAG
from tests.services.airflow import Airflow
from tests.services.backfills import MATRIX, Backfill
from tests.services.conftest import OnCall

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

NIGHTS = [f"2026-10-0{day}" for day in range(1, 6)]


@pytest.fixture
def five_nights(running: Airflow, fresh_lake: Callable[[], Lake], raw: Path, tmp_path: Path):
    """RAW has five nights, and none is complete."""
    for night in NIGHTS:
        (tmp_path / "items" / f"ds={night}").mkdir(parents=True)
        (tmp_path / "items" / f"ds={night}" / "items.jsonl").write_text('{"item_id": "a"}\n')
    running.forget_runs(DAG)
    fresh_lake()
    running.point(running.raw, tmp_path)
    yield
    running.point(running.raw, raw)


def completed(running: Airflow) -> list[tuple[str, str]]:
    """When each night's last `complete` began and ended, in the order of the nights."""
    spans = []
    for run in running.runs(DAG):
        (task,) = (t for t in running.tasks(run["dag_run_id"], DAG) if t["task_id"] == "complete")
        spans.append((task["start_date"], task["end_date"]))
    return spans


def complete_in_order(running: Airflow, nights: list[str]) -> list[tuple[str, str]]:
    """See that all nights end well and none before an earlier one."""
    assert set(running.wait(nights, DAG).values()) == {"success"}
    spans = completed(running)
    assert len(spans) == len(nights) and all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    return spans


@pytest.mark.at_length
@pytest.mark.usefixtures("five_nights")
@pytest.mark.parametrize("how", MATRIX, ids=str)
def test_nights_end_in_order_however_they_are_started(running: Airflow, how: Backfill) -> None:
    how.start(running, NIGHTS[:3], dag=DAG)
    complete_in_order(running, NIGHTS[:3])
    how.look(running, NIGHTS[:3], DAG)


@pytest.mark.at_length
@pytest.mark.usefixtures("five_nights")
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("active", [1, 3])
def test_nights_are_made_anew_in_order_however_they_are_started(running: Airflow, active: int, backwards: bool) -> None:
    how = Backfill("api", active, backwards)
    how.start(running, NIGHTS, dag=DAG)
    first = complete_in_order(running, NIGHTS)
    how.start(running, NIGHTS, dag=DAG, reprocess="completed")
    again = complete_in_order(running, NIGHTS)
    assert all(before[1] < after[0] for before, after in zip(first, again, strict=True))


@pytest.mark.usefixtures("five_nights")
def test_a_night_that_nobody_runs_is_named_in_the_log_and_to_whoever_is_on_call(
    running: Airflow, on_call: OnCall
) -> None:
    alone = {"logical_date": f"{NIGHTS[2]}T00:00:00Z"}
    run = running.api("POST", f"/dags/{DAG}/dagRuns", json=alone)["dag_run_id"]
    assert running.wait(NIGHTS[2:3], DAG) == {NIGHTS[2]: "failed"}
    told = running.log(run, "earlier_nights", attempt=1, dag=DAG)
    why = f"night {NIGHTS[2]} looks back on nights that are not complete: {NIGHTS[0]}, {NIGHTS[1]}."
    assert why in told
    alert = on_call.hears(kind="task_failed", run_id=run, task_id="earlier_nights", night=NIGHTS[2], law=1)
    assert why in alert["message"] and alert["partition"] == f"date={NIGHTS[0]}, date={NIGHTS[1]}"
