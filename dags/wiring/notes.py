"""The note of a run: which night it makes, why it failed, or where its report is; and the span of a night that ended.

Airflow's scheduler calls what is here; it may write notes. A note that a person has written stays, below ours.
"""

from typing import Any

from airflow.listeners import hookimpl

from dags.wiring.tracing import night_ended

NIGHTLY = "nightly_recommendations"
TAG = "nightweave"
LONGEST = 1000
"""Characters that Airflow's database takes."""
SHORTEST = 100
RULE = "\n\n---\n\n"
FAILURE = "nightweave_failure"
"""The XCom in which a failed task tells why."""


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """Note the night of a run as it begins, unless it has a note."""
    if dag_run.dag_id == NIGHTLY and dag_run.logical_date and not dag_run.note:
        dag_run.note = f"Night {dag_run.logical_date.date()}: makes the partitions date={dag_run.logical_date.date()}"


@hookimpl
def on_dag_run_failed(dag_run: Any) -> None:
    """Note the sentence of each task that failed for good and tells one."""
    session = _session(dag_run)
    if session and dag_run.dag_id == NIGHTLY:
        night_ended(dag_run, failed=True)
    if session and (told := failures(dag_run, session)):
        _note(dag_run, "\n\n".join(f"`{task}`: {sentence}" for task, sentence in sorted(told.items())))


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """Note where the night's report is, if it has one."""
    from dags.wiring.reports import TASK, address

    if not (session := _session(dag_run)):
        return
    if dag_run.dag_id == NIGHTLY:
        night_ended(dag_run, failed=False)
    ours = TAG in {tag.name for tag in dag_run.dag_model.tags}
    if ours and dag_run.logical_date and _state(dag_run, TASK, session) == "success":
        day = dag_run.logical_date.date()
        _note(dag_run, f"[Report of the night {day}]({address(day)})")


def failures(dag_run: Any, session: Any) -> dict[str, str]:
    """The sentences of the tasks of a run that failed, by task."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    told = select(XComModel).where(XComModel.dag_run_id == dag_run.id, XComModel.key == FAILURE)
    sentences = {row.task_id: XComModel.deserialize_value(row) for row in session.scalars(told)}
    return {task: sentence for task, sentence in sentences.items() if _state(dag_run, task, session) == "failed"}


def _state(dag_run: Any, task_id: str, session: Any) -> str | None:
    from airflow.models import TaskInstance
    from sqlalchemy import select

    here = (TaskInstance.dag_id == dag_run.dag_id, TaskInstance.run_id == dag_run.run_id)
    return session.scalar(select(TaskInstance.state).where(*here, TaskInstance.task_id == task_id))


def _session(dag_run: Any) -> Any:
    """The session that the caller works in, which commits what is noted; None without a scheduler, as in `nightweave
    night`, where nobody would read the note."""
    from sqlalchemy.orm import object_session

    return object_session(dag_run)


def _note(dag_run: Any, text: str) -> None:
    """Put our note into the place of the one before it. Where a person's leaves no room for it, it is left out."""
    before = dag_run.dag_run_note
    ours, rule, theirs = (before.content or "").partition(RULE) if before else ("", "", "")
    if before and before.user_id and not rule:
        theirs = ours
    below = f"{RULE}{theirs}" if theirs else ""
    if (room := LONGEST - len(below)) >= SHORTEST:
        dag_run.note = (text if len(text) <= room else f"{text[: room - 1]}…") + below
