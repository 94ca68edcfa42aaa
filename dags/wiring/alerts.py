"""Alerts: to whom they go when a task fails or a night is late, and in which words.

`NIGHTWEAVE_ALERT_CONN_ID` names an Airflow connection: of type `smtp` for mail, to the addresses in
`NIGHTWEAVE_ALERT_TO` (by commas), or of type `http` for a webhook, which is posted JSON. Without it, alerts stand in
the log alone.
"""

import html
import logging
import os
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook, DeadlineAlert, SyncCallback  # type: ignore[attr-defined] # its stub lacks two
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, DagRunTriggerException

from dags.wiring.notes import FAILURE
from dags.wiring.plugin import FirstQueuedAt
from jobs.runtime.failure import VARIABLE, Failure, left, one_line

log = logging.getLogger("airflow.task")

ENDED = re.compile(
    r"^(Cannot execute: .*Error code is: |(Bash command failed\..*|\w+ ended with) exit code )(?P<code>-?\d+)\.",
    re.DOTALL,
)
"""How Airflow's operators and ours word that a process of theirs failed."""


class TaskFailed(AirflowException):
    """The process that a task started failed; the message is its own sentence."""


@dataclass(frozen=True)
class Alert:
    """What happened, in one line and in a few."""

    subject: str
    text: str
    details: Mapping[str, Any]


def expect_failure(context: Mapping[str, Any]) -> None:
    """Before a task: name the file in which its process may leave why it failed."""
    os.environ[VARIABLE] = str(_file(context))


@contextmanager
def own_words(context: Mapping[str, Any]) -> Iterator[None]:
    """Within it, what a task does fails with the sentence of what failed, which the note of the run has too.

    Raises:
        TaskFailed: the task's process failed, which the operator that started it knows by the exit code alone.
    """
    try:
        yield
    except (AirflowSkipException, DagRunTriggerException):
        raise  # no failures: they are how a task has Airflow skip it, or clear another run
    except Exception as error:
        message = failure_of({**context, "exception": error}).message
        context["ti"].xcom_push(FAILURE, message)
        if ENDED.search(str(error)):
            raise TaskFailed(message) from None
        raise


def failure_of(context: Mapping[str, Any]) -> Failure:
    """What the task's process has left, else what Airflow knows."""
    error = context.get("exception")
    if failure := left(_file(context)):
        return failure
    if ended := ENDED.search(str(error)):
        return Failure(_silent(int(ended["code"])))
    # What is raised as Airflow's own error is a sentence already.
    if isinstance(error, BaseException) and not isinstance(error, AirflowException):
        return Failure.of(error)
    return Failure(one_line(str(error or "the task's process ended without a reason; its log may have more")))


def task_failed(context: Mapping[str, Any]) -> None:
    """Send an alert that a task failed for good: why, which law is broken, what to do and where the log is."""
    failure, task, run, night = _heard(context), context["ti"], context["dag_run"], context.get("ds")
    what = f"{task.dag_id} {night or run.run_id}: {task.task_id} failed"
    details = {
        "kind": "task_failed",
        "dag_id": task.dag_id,
        "run_id": run.run_id,
        "task_id": task.task_id,
        "try_number": task.try_number,
        "night": night,
        "law": failure.law,
        "partition": failure.partition or (f"date={night}" if night else None),
        "message": failure.message,
        "advice": advice(getattr(context.get("dag"), "doc_md", None) or "", task.task_id),
        "log_url": task.log_url,
    }
    lines = [
        failure.message,
        f"{what}, try {task.try_number}",
        Failure(failure.message, failure.law, details["partition"]).words(),
        f"what to do: {details['advice']}",
        f"log: {task.log_url}",
    ]
    _send(Alert(what, "\n".join(lines), details))


def task_retries(context: Mapping[str, Any]) -> None:
    """Log why the try failed; no alert is sent for it."""
    failure = _heard(context)
    log.warning("%s; it is tried again\n%s", failure.words(), failure.message)


def advice(doc: str, task_id: str) -> str:
    """What a DAG's page says to do when the task fails: its item of the list there, on one line."""
    items = re.findall(r"^- ((?:`[^`]+`(?:, )?)+): (.+(?:\n  .+)*)", doc, re.MULTILINE)
    told = [" ".join(text.split()) for tasks, text in items if f"`{task_id}`" in tasks]
    return told[0] if told else "look at its log"


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


def _file(context: Mapping[str, Any]) -> Path:
    """Where a try of a task leaves why it failed; the id is that of the try."""
    return Path(tempfile.gettempdir()) / f"nightweave-failure-{context['ti'].id}.json"


def _heard(context: Mapping[str, Any]) -> Failure:
    failure = failure_of(context)
    _file(context).unlink(missing_ok=True)
    return failure


def _silent(code: int) -> str:
    """A sentence on a process that ended and left none. Exit codes above 128 are a shell's word for a signal."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"the step's process ended with exit code {code} and left no reason; its log may have one"
    memory = ", most often for want of memory" if name == "SIGKILL" else ""
    return f"the step's process was ended by {name}{memory}; clear the task, with more memory if it happens again"


def _send(alert: Alert) -> None:
    first, _, rest = alert.text.partition("\n")
    log.error("%s\n%s", rest, first)
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
