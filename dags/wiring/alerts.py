"""Alerts: to whom they go when a task fails or a night is late, and in which words.

`NIGHTWEAVE_ALERT_CONN_ID` names an Airflow connection: of type `smtp` for mail, to the addresses in
`NIGHTWEAVE_ALERT_TO` (by commas), or of type `http` for a webhook, which is posted JSON. Without it, alerts stand in
the log alone.
"""

import html
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook, DeadlineAlert, SyncCallback  # type: ignore[attr-defined] # its stub lacks two

from dags.wiring.plugin import FirstQueuedAt
from jobs.runtime.failure import VARIABLE, Failure, left

log = logging.getLogger("airflow.task")


@dataclass(frozen=True)
class Alert:
    """What happened, in one line and in a few."""

    subject: str
    text: str
    details: Mapping[str, Any]


def expect_failure(context: Mapping[str, Any]) -> None:
    """Before a task: name the file in which its process may leave why it failed."""
    os.environ[VARIABLE] = f"{tempfile.gettempdir()}/nightweave-failure-{context['ti'].id}.json"


def failure_of(context: Mapping[str, Any]) -> Failure:
    """What the task's process has left, else what Airflow knows; the file is gone after that."""
    path = Path(os.environ.get(VARIABLE, os.devnull))
    failure = left(path)
    if failure:
        path.unlink()
        return failure
    return Failure(str(context.get("exception") or "the task's process ended without a reason; its log may have more"))


def task_failed(context: Mapping[str, Any]) -> None:
    """Send an alert that a task failed for good, with the law broken and the partition."""
    failure, task, run, night = failure_of(context), context["ti"], context["dag_run"], context.get("ds")
    place = "" if task.map_index is None or task.map_index < 0 else f"[{task.map_index}]"
    subject = f"{task.dag_id} {night or run.run_id}: {task.task_id}{place} failed"
    details = {
        "kind": "task_failed",
        "dag_id": task.dag_id,
        "run_id": run.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "try_number": task.try_number,
        "night": night,
        "law": failure.law,
        "partition": failure.partition or (f"date={night}" if night else None),
        "message": failure.message,
    }
    _send(Alert(subject, Failure(failure.message, failure.law, details["partition"]).words(), details))


def task_retries(context: Mapping[str, Any]) -> None:
    """Log why the try failed; no alert is sent for it."""
    log.warning("%s", failure_of(context).words())


def run_is_late(context: Mapping[str, Any]) -> None:
    """Send an alert that a run has not ended in the time that is set."""
    run, deadline = context["dag_run"], context["deadline"]
    name = f"{run['dag_id']} {str(run.get('logical_date') or run['dag_run_id'])[:10]}"
    details = {
        "kind": "deadline_missed",
        "dag_id": run["dag_id"],
        "run_id": run["dag_run_id"],
        "logical_date": run.get("logical_date"),
        "deadline": str(deadline["deadline_time"]),
        "state": run.get("state"),
    }
    text = f"The run {run['dag_run_id']} was to end by {deadline['deadline_time']} and is {run.get('state')}."
    _send(Alert(f"{name}: late", text, details))


def deadline() -> DeadlineAlert:
    """The time that a run may take from when it is first queued: `NIGHTWEAVE_DEADLINE_MINUTES`, six hours unless set.

    It counts from there, not from the logical date: a backfill of last month is not late before it begins.
    """
    minutes = float(os.environ.get("NIGHTWEAVE_DEADLINE_MINUTES", "360"))
    return DeadlineAlert(
        reference=FirstQueuedAt(),
        interval=timedelta(minutes=minutes),
        callback=SyncCallback(run_is_late),
        name="night",
    )


def _send(alert: Alert) -> None:
    log.error("%s\n%s", alert.subject, alert.text)
    connection = os.environ.get("NIGHTWEAVE_ALERT_CONN_ID")
    if not connection:
        return
    # Not called as a template is: the text of a message may have come with the data, and is not to be rendered.
    _notifier(connection, alert).notify({})


def _notifier(connection: str, alert: Alert) -> Any:
    """The notifier of the connection's type.

    Raises:
        ValueError: it is neither `smtp` nor `http`, or mail has nobody to go to.
    """
    kind = BaseHook.get_connection(connection).conn_type
    if kind == "http":
        from airflow.providers.http.notifications.http import HttpNotifier

        body = {"subject": alert.subject, "text": alert.text, **alert.details}
        return HttpNotifier(http_conn_id=connection, json=body, headers={"Content-Type": "application/json"})
    if kind == "smtp":
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        to = [address.strip() for address in os.environ.get("NIGHTWEAVE_ALERT_TO", "").split(",") if address.strip()]
        if not to:
            raise ValueError(f"NIGHTWEAVE_ALERT_CONN_ID={connection} sends mail; set NIGHTWEAVE_ALERT_TO to addresses")
        return SmtpNotifier(
            smtp_conn_id=connection,
            to=to,
            subject=" ".join(alert.subject.split()),
            html_content=f"<pre>{html.escape(alert.text)}</pre>",
        )
    raise ValueError(f"NIGHTWEAVE_ALERT_CONN_ID={connection} is of type {kind!r}; expected 'smtp' or 'http'")
