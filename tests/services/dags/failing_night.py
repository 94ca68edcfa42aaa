"""Steps that fail: a Spark application at what its command line is given, a process at what nobody has foreseen."""

import shlex
import sys
from datetime import datetime

from airflow.sdk import DAG

from dags.wiring import alerts
from dags.wiring.steps import ProcessStep, prepare, spark_task

DOC = """
- `clean`: read the date again.
- `train`: tell whoever wrote the program.
"""
UNFORESEEN = """
from jobs.runtime.night import day_of, user_errors
with user_errors():
    day_of(20261101)
"""

with DAG(
    dag_id="failing_night",
    schedule=None,
    start_date=datetime(2020, 1, 1),
    catchup=False,
    default_args={"retries": 0, "on_failure_callback": alerts.task_failed},
    doc_md=DOC,
) as dag:
    spark_task("clean", ["--date", "someday"])
    command = shlex.join([sys.executable, "-c", UNFORESEEN])
    ProcessStep(task_id="train", bash_command=command, pre_execute=prepare)
