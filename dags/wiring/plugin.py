"""What Airflow's processes must know beside the DAG files; they find it by the entry point `airflow.plugins`."""

from datetime import datetime
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseDeadlineReference  # type: ignore[attr-defined] # its stub lacks the name

from dags.wiring import nights, notes
from dags.wiring.reports import PREFIX, ReportLink, pages


class FirstQueuedAt(BaseDeadlineReference):
    """When a run was queued first; clearing it changes nothing.

    With Airflow 3.3's own reference, which counts from the last time, a run whose deadline has not passed cannot be
    cleared: the server answers 500 (apache/airflow#70368).
    """

    required_kwargs = frozenset({"dag_id", "run_id"})

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        from airflow.models import DagRun
        from sqlalchemy import select

        return session.scalar(select(DagRun.queued_at).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


class Nightweave(AirflowPlugin):
    # Airflow reads them from the class.
    name = "nightweave"
    deadline_references: ClassVar = [FirstQueuedAt]  # type: ignore[misc]
    timetables: ClassVar = [nights.Nights]  # type: ignore[misc]
    listeners: ClassVar = [notes]  # type: ignore[misc]
    operator_extra_links: ClassVar = [ReportLink()]  # type: ignore[misc]
    fastapi_apps: ClassVar = [{"name": "reports", "app": pages, "url_prefix": PREFIX}]  # type: ignore[misc]
