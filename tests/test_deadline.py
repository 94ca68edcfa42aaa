"""A night that takes too long: from the DAG's deadline, through Airflow's own code, to whoever is on call."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dags.test_alerts import webhook

MISS = """
import structlog
from datetime import UTC, datetime, timedelta
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.models.dagbag import DBDagBag
from airflow.models.deadline import Deadline
from airflow.models.dag_version import DagVersion
from airflow.sdk.execution_time.callback_supervisor import execute_callback
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

manager = DagBundlesManager()
manager.sync_bundles_to_db()
bundle = next(iter(manager.get_all_dag_bundles()))
bundle.initialize()
bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
sync_bag_to_db(bag, bundle.name, bundle.version)
night = datetime(2026, 11, 1, tzinfo=UTC)
with create_session() as session:
    dag = DBDagBag().get_latest_version_of_dag("nightly_recommendations", session=session)
    run = dag.create_dagrun(
        run_id="late", logical_date=night, data_interval=(night, night + timedelta(days=1)), run_after=night,
        run_type=DagRunType.MANUAL, triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.QUEUED, session=session,
    )
    session.flush()
    (deadline,) = session.scalars(select(Deadline).where(Deadline.dagrun_id == run.id)).all()
    print("MINUTES", (deadline.deadline_time - run.queued_at).total_seconds() / 60)
    due = deadline.deadline_time
    dag.clear(run_id="late", session=session)
    session.flush()
    print("CLEARED", run.clear_number, deadline.deadline_time == due)
    deadline.handle_miss(session)
    data = deadline.callback.data
    told = execute_callback(data["path"], data["kwargs"], "nightly_recommendations.py", None, structlog.get_logger())
    print("DONE", told)
"""


@pytest.mark.slow
def test_a_night_past_its_deadline_is_told(tmp_path: Path) -> None:
    with webhook() as (port, posted):
        hook = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http"}
        environment = os.environ | {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path("dags").resolve()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_ON_CALL": json.dumps(hook),
            "NIGHTWEAVE_ALERT_CONN_ID": "on_call",
            "NIGHTWEAVE_DEADLINE_MINUTES": "90",
        }
        told = subprocess.run([sys.executable, "-c", MISS], capture_output=True, text=True, env=environment)
    assert "DONE (True, None)" in told.stdout, told.stdout[-2000:] + told.stderr[-3000:]
    assert "MINUTES 90.0" in told.stdout
    assert "CLEARED 1 True" in told.stdout, "a run that is cleared keeps its deadline"
    (call,) = posted
    body = call["body"]
    assert body["subject"] == "nightly_recommendations 2026-11-01: late"
    assert (body["kind"], body["run_id"], body["state"]) == ("deadline_missed", "late", "queued")
