"""What fails or is late under the real scheduler reaches whoever is on call, and stands where people look."""

import re
from datetime import datetime, timedelta

import pytest

from tests.services.airflow import FAILING, LATE, Airflow
from tests.services.conftest import OnCall

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def test_a_late_run_is_told_and_goes_on(running: Airflow, on_call: OnCall) -> None:
    running.forget_runs(LATE)
    run = running.api("POST", f"/dags/{LATE}/dagRuns", json={"logical_date": "2026-10-01T00:00:00Z"})
    late = datetime.fromisoformat(run["queued_at"]) + timedelta(seconds=1)
    alert = on_call.hears(kind="deadline_missed", dag_id=LATE, run_id=run["dag_run_id"])
    assert alert["subject"] == f"{LATE} 2026-10-01: late"
    assert datetime.fromisoformat(alert["deadline"]) == late and alert["state"] in ("queued", "running")
    assert running.wait(["2026-10-01"], LATE) == {"2026-10-01": "success"}


SENTENCES = {
    "clean": r"--date 'someday' is no date; expected YYYY-MM-DD",
    "train": r"TypeError: fromisoformat: argument must be str, at jobs/runtime/night\.py:\d+ in day_of",
}
ADVICE = {"clean": "read the date again.", "train": "tell whoever wrote the program."}


def test_a_failure_is_one_sentence_in_the_alert_in_the_log_and_in_the_note(running: Airflow, on_call: OnCall) -> None:
    """A Spark application that failed at what it was given, and a process that failed at what nobody has foreseen."""
    running.forget_runs(FAILING)
    run_id = running.api("POST", f"/dags/{FAILING}/dagRuns", json={"logical_date": "2026-10-01T00:00:00Z"})[
        "dag_run_id"
    ]
    assert running.wait(["2026-10-01"], FAILING) == {"2026-10-01": "failed"}
    (run,) = running.runs(FAILING)
    notes = dict(re.findall(r"^`(\w+)`: (.+)$", run["note"], re.MULTILINE))
    assert notes.keys() == SENTENCES.keys()
    for task, sentence in SENTENCES.items():
        alert = on_call.hears(kind="task_failed", dag_id=FAILING, task_id=task)
        first, where, _, advice, log = alert["text"].splitlines()
        assert re.fullmatch(sentence, first)
        assert where == f"{FAILING} 2026-10-01: {task} failed, try 1" and advice == f"what to do: {ADVICE[task]}"
        assert log.startswith(f"log: {running.url}/dags/{FAILING}/runs/") and f"/tasks/{task}" in log
        lines = [line for line in running.log(run_id, task, attempt=1, dag=FAILING).splitlines() if line.strip()]
        assert [line.strip() for line in lines if "::endgroup::" not in line][-1] == first
        assert notes[task] == first


def test_what_a_person_has_noted_stays(running: Airflow) -> None:
    running.forget_runs(FAILING)
    order = {"logical_date": "2026-10-01T00:00:00Z", "note": "asked for by Ana"}
    run_id = running.api("POST", f"/dags/{FAILING}/dagRuns", json=order)["dag_run_id"]
    for _ in range(2):
        assert running.wait(["2026-10-01"], FAILING) == {"2026-10-01": "failed"}
        (run,) = running.runs(FAILING)
        assert run["note"].startswith("`clean`: ") and run["note"].count("asked for by Ana") == 1
        assert run["note"].endswith("asked for by Ana") and run["note"].count("`train`: ") == 1
        running.api("POST", f"/dags/{FAILING}/dagRuns/{run_id}/clear", json={"dry_run": False})
    running.wait(["2026-10-01"], FAILING)
