"""The order of nights under the real scheduler, with nights that have nothing else to do."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from lake.lake import Lake
from tests.services.airflow import Airflow

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

DAG = "nights_in_order"
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


def order(running: Airflow, *, active: int, backwards: bool, reprocess: str = "none") -> None:
    ordered = {
        "dag_id": DAG,
        "from_date": f"{NIGHTS[0]}T00:00:00Z",
        "to_date": f"{NIGHTS[-1]}T00:00:00Z",
        "max_active_runs": active,
        "run_backwards": backwards,
        "reprocess_behavior": reprocess,
    }
    running.api("POST", "/backfills", json=ordered)


def completed(running: Airflow) -> list[tuple[str, str]]:
    """When each night's last `complete` began and ended, in the order of the nights."""
    spans = []
    for run in running.runs(DAG):
        (task,) = (t for t in running.tasks(run["dag_run_id"], DAG) if t["task_id"] == "complete")
        spans.append((task["start_date"], task["end_date"]))
    return spans


def complete_in_order(running: Airflow) -> list[tuple[str, str]]:
    """See that all nights end well and none before an earlier one."""
    assert set(running.wait(NIGHTS, DAG).values()) == {"success"}
    spans = completed(running)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    return spans


@pytest.mark.usefixtures("five_nights", "at_length")
def test_five_nights_three_at_a_time_backwards_end_in_order(running: Airflow) -> None:
    order(running, active=3, backwards=True)
    complete_in_order(running)


@pytest.mark.usefixtures("five_nights", "at_length")
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("active", [1, 3])
def test_nights_are_made_anew_in_order_however_they_are_started(running: Airflow, active: int, backwards: bool) -> None:
    order(running, active=active, backwards=backwards)
    first = complete_in_order(running)
    order(running, active=active, backwards=backwards, reprocess="completed")
    again = complete_in_order(running)
    assert all(before[1] < after[0] for before, after in zip(first, again, strict=True))


@pytest.mark.usefixtures("five_nights")
def test_a_night_that_nobody_runs_is_named_in_the_log(running: Airflow) -> None:
    alone = {"logical_date": f"{NIGHTS[2]}T00:00:00Z"}
    run = running.api("POST", f"/dags/{DAG}/dagRuns", json=alone)["dag_run_id"]
    assert running.wait(NIGHTS[2:3], DAG) == {NIGHTS[2]: "failed"}
    told = running.log(run, "earlier_nights", attempt=1, dag=DAG)
    assert f"night {NIGHTS[2]} looks back on nights that are not complete: {NIGHTS[0]}, {NIGHTS[1]}." in told
