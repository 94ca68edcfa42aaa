"""Somebody's own DAG: it runs once for each night that is published, and reads that night."""

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.wiring import assets


def read(*, dag_run, **_: object) -> list[int]:
    from jobs.runtime.night import location
    from lake.lake import Lake
    from schemas.tables import Metrics, Recommendations

    lake = Lake(location("lake", None))
    return [lake.count(table, {"date": dag_run.partition_key}) for table in (Recommendations, Metrics)]


shelves, figures = assets.tables("recommendations", "metrics")
with DAG(dag_id="reads_one_night", schedule=PartitionedAssetTimetable(assets=shelves & figures)) as dag:
    PythonOperator(task_id="read", python_callable=read)
