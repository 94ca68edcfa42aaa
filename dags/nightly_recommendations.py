"""The night: clean, extract four modalities, train, evaluate, recommend, report, verify."""

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from jobs.environment import driver_options, spark_environment
from jobs.order import WAITS, earlier_nights_done, take_up_next

JOBS = Path(__file__).resolve().parent.parent / "jobs"
MODALITIES = ("text", "image", "audio", "video")
NIGHT = ["--date", "{{ ds }}"]

DOC = """
### What it makes
The night's partition of every table under LAKE, from the raw partitions up to that night. Where RAW, LAKE and the
configuration are is told by `NIGHTWEAVE_RAW`, `NIGHTWEAVE_LAKE` and `NIGHTWEAVE_CONFIG` in the workers' environment.

### What a failure means, and what to do
- `clean`: RAW cannot be read, or more of the night's rows than the set share were refused. Look at `quarantine`;
  correct the raw files or the share.
- `extract`: an encoder cannot be loaded, or too many of the night's files cannot be decoded. The log names the
  modality; look at `quarantine`.
- `earlier_nights`: an earlier night is not complete and does not run. The log names it. Run it; when it is done, its
  task `later_nights` starts this one again by itself. In a backfill that goes backwards this is the ordinary course.
- `train`: memory ran out. Give the pool `train` a larger worker.
- `evaluate`: the model of the night cannot be read. Clear `train` and what follows.
- `recommend`: Spark lost its executors. Look at Spark's own log; clear the task.
- `verify`: a table does not hold what it promises; the log says which promise and shows rows. Keep readers off the
  night, and clear the step that wrote the table.
- `report`: the night's tables are not there. Clear what failed before.
- `later_nights`: a later night that failed for want of this one could not be started again. Clear that night.

A model that is worse than the last promoted one is no failure: the last one writes the night's tables, and `evaluate`
warns in its log and in `models.verdict`.

### Is a rerun safe?
Always. A night is a function of the raw partitions up to it; every task replaces its own partition in one commit.
"""


def spark_step(name: str, **options: object) -> dict[str, object]:
    """Arguments of a step that runs as a Spark application."""
    return {
        "task_id": name,
        "application": str(JOBS / f"{name}.py"),
        "conn_id": "spark_default",
        "name": f"nightweave-{name}",
        "env_vars": spark_environment(),
        "conf": {"spark.driver.extraJavaOptions": driver_options(), "spark.log.level": "ERROR"},
        "pool": "spark",
        **options,
    }


def python_step(name: str, *, pool: str) -> BashOperator:
    """A step that runs as a Python process of its own."""
    return BashOperator(task_id=name, bash_command=f"{sys.executable} -m jobs.{name} {' '.join(NIGHT)}", pool=pool)


with DAG(
    dag_id="nightly_recommendations",
    description="From the landing zone to recommendation tables, one partition a night",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2020, 1, 1),
    catchup=False,
    max_active_runs=int(os.environ.get("NIGHTWEAVE_MAX_ACTIVE_NIGHTS", "1")),
    default_args={
        "owner": "nightweave",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
    },
    tags=["nightweave", "nightly", "recommendations"],
    doc_md=DOC,
) as dag:
    clean = SparkSubmitOperator(**spark_step("clean", application_args=NIGHT))
    extract = SparkSubmitOperator.partial(
        **spark_step("extract", map_index_template="{{ task.application_args[-1] }}")
    ).expand(application_args=[[*NIGHT, "--modality", modality] for modality in MODALITIES])
    earlier_nights = PythonSensor(
        task_id=WAITS,
        python_callable=earlier_nights_done,
        mode="reschedule",
        poke_interval=timedelta(seconds=15),
        pool="default_pool",
    )
    train = python_step("train", pool="train")
    evaluate = python_step("evaluate", pool="train")
    recommend = SparkSubmitOperator(**spark_step("recommend", application_args=NIGHT))
    report = python_step("report", pool="default_pool")
    verify = python_step("verify", pool="default_pool")
    later_nights = PythonOperator(task_id="later_nights", python_callable=take_up_next, pool="default_pool")

    clean >> extract >> earlier_nights >> train >> evaluate >> recommend >> verify >> report
    recommend >> later_nights
