"""The nightly DAG run in this process: the same DAG as under a scheduler, no second orchestrator."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from jobs.runtime.night import Night, NightError
from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.telemetry import night_span
from jobs.runtime.terminal import StepLines

DAGS = Path(__file__).resolve().parent.parent / "dags"
LOCAL_SPARK = json.dumps({"conn_type": "spark", "host": "local[*,4]"})


def run_nightly(
    night: Night, params: Mapping[str, Any], *, config: str | None = None, lines: StepLines | None = None
) -> None:
    """Run `nightly_recommendations` for one night.

    Args:
        params: those of the DAG that are not to have their default.
        config: the configuration of all its steps, a file or a profile; that of the environment unless given.
        lines: are told what the steps do; unless given, how long they took is printed at the end.

    Raises:
        NightError: a task of the night failed; the message names those that did, and why.
    """
    with airflow_home() as home:
        _configure(home, night, config)
        # Airflow reads its configuration when it is first imported, so it is imported only now.
        from airflow.utils.db import initdb
        from airflow.utils.session import create_session

        initdb()
        from dags.nightly_recommendations import dag
        from dags.wiring.notes import failures
        from dags.wiring.tracing import bring_collector

        if lines:
            from airflow.sdk.listener import get_listener_manager

            get_listener_manager().add_listener(lines.listener())
        # There is no scheduler to see it missed, and Airflow's `test` stumbles over it (3.3.2).
        dag.deadline = None
        for task in dag.tasks:
            # Whoever waits at a terminal wants the failure, not a second try in a minute.
            task.retries = 0
        bring_collector()
        with night_span(night.date):
            run = dag.test(logical_date=datetime.combine(night.date, time(), UTC), run_conf=dict(params))
            instances = run.get_task_instances()
            with create_session() as session:
                told = failures(run, session)
            if run.state != "success":
                unknown = {t.task_id: "the log has the reason" for t in instances if t.state == "failed"}
                reasons = [f"{task}: {sentence}" for task, sentence in sorted((unknown | told).items())]
                raise NightError(f"night {night.ds} failed in {'; '.join(reasons) or 'its DAG'}")
    if not lines:
        _say_timings(instances)


@contextmanager
def airflow_home() -> Iterator[str]:
    """`AIRFLOW_HOME` where it is set, else a folder for this run alone, so that nights can run at the same time."""
    if home := os.environ.get("AIRFLOW_HOME"):
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="nightweave-airflow-") as folder:
        yield folder


def _configure(home: str, night: Night, config: str | None) -> None:
    config = config or os.environ.get("NIGHTWEAVE_CONFIG")
    if config:
        # The steps run in folders of their own.
        os.environ["NIGHTWEAVE_CONFIG"] = str(Path(config).resolve()) if Path(config).suffix else config
    os.environ |= {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.task.hooks=INFO",
        "NIGHTWEAVE_RAW": str(Path(night.raw.uri).resolve()) if "://" not in night.raw.uri else night.raw.uri,
        "NIGHTWEAVE_LAKE": night.lake.uri,
        **spark_environment(),
    }
    os.environ.setdefault("AIRFLOW_CONN_SPARK_DEFAULT", LOCAL_SPARK)


def _say_timings(instances: list) -> None:
    for task in sorted((t for t in instances if t.state != "skipped"), key=lambda t: t.start_date):
        print(f"{task.task_id:<14} {task.duration:7.1f} s")
