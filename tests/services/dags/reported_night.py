"""A run that ends with a report, which somebody else has written."""

from datetime import datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from dags.wiring.notes import TAG
from dags.wiring.reports import TASK, ReportLink

with DAG(dag_id="reported_night", schedule=None, start_date=datetime(2020, 1, 1), catchup=False, tags=[TAG]) as dag:
    report = PythonOperator(task_id=TASK, python_callable=lambda: None)
    report.operator_extra_links = [ReportLink()]
