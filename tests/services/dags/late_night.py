"""A run whose deadline passes while it runs."""

import time
from datetime import datetime, timedelta

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from dags.wiring import alerts


def take_long() -> None:
    time.sleep(5)


deadline = alerts.deadline()
deadline.interval = timedelta(seconds=1)

with DAG(dag_id="late_night", schedule=None, start_date=datetime(2020, 1, 1), catchup=False, deadline=deadline) as dag:
    PythonOperator(task_id="take_long", python_callable=take_long)
