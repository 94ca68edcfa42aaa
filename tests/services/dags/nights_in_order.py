"""The order of nights alone: the two tasks that see to it, around one that does nothing but call its night complete."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from dags.wiring import alerts, order


def call_complete(*, ds: str, **_: object) -> None:
    from jobs.runtime.completeness import LAST_STEP
    from jobs.runtime.ledger import Account, close
    from jobs.runtime.night import Night

    close(Night.of(date_=ds, raw=None, lake=None, config=None), LAST_STEP, Account(rows_in=0, kept=0))


with DAG(
    dag_id="nights_in_order",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2020, 1, 1),
    catchup=False,
    # A scheduler that hears late of one look may take the next for lost; another try mends that, as in production.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1), "on_failure_callback": alerts.task_failed},
    # Not passed when a night is cleared.
    deadline=alerts.deadline(),
) as dag:
    (
        PythonSensor(
            task_id=order.WAITS,
            python_callable=order.earlier_nights_done,
            mode="reschedule",
            poke_interval=timedelta(seconds=10),
            pre_execute=alerts.expect_failure,
        )
        >> PythonOperator(task_id="complete", python_callable=call_complete)
        >> PythonOperator(task_id="later_nights", python_callable=order.take_up_next)
    )
