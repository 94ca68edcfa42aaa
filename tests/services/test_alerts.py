"""A deadline that passes under the real scheduler reaches whoever is on call."""

from datetime import datetime, timedelta

import pytest

from tests.services.airflow import LATE, Airflow
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
