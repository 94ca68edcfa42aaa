"""Parameters of a night, given through the API and in the browser's form, reach what the night runs."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from lake import staging
from lake.lake import Lake
from schemas.tables import Models
from tests.services.airflow import DAG, Airflow
from tests.services.backfills import SCREENSHOTS
from tests.services.browser import CHROMIUM, browser
from tests.services.conftest import NIGHTS

pytestmark = [pytest.mark.services, pytest.mark.timeout(3600)]

PROFILES = ["embedded", "gpu", "reference"]


def trigger(running: Airflow, night: str, **parameters: object) -> str:
    """The id of the run that the API makes."""
    order = {"logical_date": f"{night}T00:00:00Z", "conf": parameters}
    return running.api("POST", f"/dags/{DAG}/dagRuns", json=order)["dag_run_id"]


def given(running: Airflow, run_id: str, task_id: str) -> Any:
    """What a task's command line is made of, its templates filled in; None where the task has not begun."""
    for task in running.tasks(run_id):
        if task["task_id"] == task_id and task["rendered_fields"]:
            fields = task["rendered_fields"]
            return fields.get("application_args") or fields.get("bash_command")
    return None


def once_given(running: Airflow, run_id: str, task_id: str, *, seconds: float = 900) -> Any:
    deadline = time.monotonic() + seconds
    while not (arguments := given(running, run_id, task_id)):
        assert time.monotonic() < deadline, f"{task_id} of {run_id} did not begin: {running.tasks(run_id)}"
        time.sleep(1)
    return arguments


@pytest.mark.parametrize(
    "wrong",
    [{"config": "nowhere"}, {"config": "x; rm -rf /"}, {"force_extraction": "yes"}, {"skip_publishing": 1}],
    ids=str,
)
def test_the_api_refuses_a_value_that_the_schema_does_not_allow(wrong: dict[str, object], running: Airflow) -> None:
    before = {run["dag_run_id"] for run in running.runs()}
    with pytest.raises(requests.HTTPError, match=next(iter(wrong))) as refused:
        trigger(running, "2026-10-01", **wrong)
    assert refused.value.response.status_code == 400
    assert {run["dag_run_id"] for run in running.runs()} == before


@pytest.mark.at_length
def test_what_the_api_is_given_reaches_the_night(running: Airflow, fresh_lake: Callable[[], Lake]) -> None:
    lake = fresh_lake()
    run_id = trigger(running, NIGHTS[0], force_extraction=True, skip_publishing=True)
    assert running.wait(NIGHTS[:1]) == {NIGHTS[0]: "success"}
    states = {task["task_id"]: task["state"] for task in running.tasks(run_id)}
    assert "--again" in given(running, run_id, "extract_text")
    assert "--no-publish" in given(running, run_id, "clean")
    assert {name for name, state in states.items() if state == "skipped"} == {"publish", "later_nights"}
    assert set(states.values()) == {"success", "skipped"}
    assert not lake.count(Models, {}) and staging.passed_audit(lake, NIGHTS[0], staging.parts(lake, NIGHTS[0]))


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium is installed; `make services` installs Debian's")
@pytest.mark.at_length
def test_what_the_form_is_given_reaches_the_night(running: Airflow, fresh_lake: Callable[[], Lake]) -> None:
    fresh_lake()
    with browser(SCREENSHOTS / "parameters") as window:
        window.log_in(running.url, *running.user)
        window.open_dag()
        assert window.profiles() == ["null", *PROFILES]
    with browser(SCREENSHOTS / "parameters") as window:
        window.log_in(running.url, *running.user)
        window.open_dag()
        window.trigger(NIGHTS[0], profile="embedded", switches=["force_extraction", "skip_publishing"])
    (run,) = running.runs()
    assert run["logical_date"][:10] == NIGHTS[0]
    assert run["conf"] == {"config": "embedded", "force_extraction": True, "skip_publishing": True}
    arguments = once_given(running, run["dag_run_id"], "clean")
    assert arguments[:3] == ["--date", NIGHTS[0], "--config=embedded"] and "--no-publish" in arguments
    running.api("PATCH", f"/dags/{DAG}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
    running.wait(NIGHTS[:1])
