"""The order of nights under a scheduler. Nights may start in any order and side by side; only training must come after
every earlier night. Here is what a night's task asks of Airflow to see to that.

What is asked of `ti` goes through Airflow's execution API; no task needs the database or a password.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, DagRunTriggerException

from dags.wiring import alerts

log = logging.getLogger("nightweave.order")

WAITS = "earlier_nights"


class MakesRoom(AirflowFailException):
    """A night fails for one that queues, which starts it again when it is complete: nobody has anything to do."""


def earlier_nights_done(*, ds: str, ti: Any, **_: Any) -> bool:
    """Whether every earlier night is complete and none of them is being made anew.

    Nights that run are worth waiting for. One that does not run may be waiting for the very slot that this night
    holds, as in a backfill that goes backwards, so this night makes room: it fails, and names it.

    Raises:
        MakesRoom: an earlier night queues, and all that is lacking will be made without anybody's help.
        AirflowFailException: an earlier night is not complete, does not run, and waits for none that does; the message
            names all that are lacking.
    """
    from jobs.runtime.completeness import incomplete, lacking
    from jobs.runtime.failure import Failure, leave
    from jobs.runtime.night import Night

    night = Night.of(date_=ds, raw=None, lake=None, config=None)
    missing = incomplete(night)
    queued, running = (ti.get_previous_dagrun(state=state) for state in ("queued", "running"))
    if queued or not all(_runs(ti, day, "running") for day in missing):
        waiting = sorted({str(queued.logical_date.date())}.union(missing) if queued else missing)
        # A night that itself failed for want of an earlier one is started again by that one.
        coming = (
            _runs(ti, day, "running", "queued") or _without_earlier(ti, logical_dates=[_start(day)]) for day in missing
        )
        if (queued or running) and all(coming):
            raise MakesRoom(f"night {ds} makes room for {', '.join(waiting)} and starts again when they are complete")
        error = lacking(night, waiting)
        leave(Failure(str(error), error.law, error.partition))
        # No try of its own would help: the night that is named starts this one again.
        raise AirflowFailException(str(error))
    if running:
        log.info("night %s waits for night %s, which runs", ds, running.logical_date.date())
    return not running


def failed(context: Mapping[str, Any]) -> None:
    """Send an alert that the task failed, unless it has made room: that is the ordinary course of a backfill."""
    if isinstance(context.get("exception"), MakesRoom):
        log.info("%s; no alert is sent", context["exception"])
        return
    alerts.task_failed(context)


def take_up_next(*, ds: str, ti: Any, **_: Any) -> None:
    """Clear the run of the earliest later night that failed for want of an earlier one, so that it starts again.

    Raises:
        DagRunTriggerException: there is such a run; it is how a task has Airflow clear it.
    """
    if not _without_earlier(ti):
        return
    day = date.fromisoformat(ds)
    while (day := day + timedelta(days=1)) <= ti.start_date.date():
        for run_id in _without_earlier(ti, logical_dates=[_start(day)]):
            log.info("night %s failed for want of an earlier night and starts again", day)
            raise _clearing(ti.dag_id, run_id, _start(day))


def _without_earlier(ti: Any, **which: list[datetime]) -> list[str]:
    """The runs, of those days or of all, that failed for want of an earlier night."""
    states = ti.get_task_states(ti.dag_id, task_ids=[WAITS], **which)
    return [run_id for run_id, tasks in states.items() if tasks.get(WAITS) == "failed"]


def _runs(ti: Any, day: str, *states: str) -> bool:
    """Whether the night of a day has a run in one of the states."""
    return bool(ti.get_dr_count(ti.dag_id, logical_dates=[_start(day)], states=list(states)))


def _start(day: str | date) -> datetime:
    """The logical date of a day's night."""
    return datetime.combine(date.fromisoformat(str(day)), time(), UTC)


def _clearing(dag_id: str, run_id: str, logical_date: datetime) -> DagRunTriggerException:
    return DagRunTriggerException(
        trigger_dag_id=dag_id,
        dag_run_id=run_id,
        logical_date=logical_date,
        conf=None,
        reset_dag_run=True,
        skip_when_already_exists=False,
        wait_for_completion=False,
        allowed_states=[],
        failed_states=[],
        poke_interval=0,
        deferrable=False,
    )
