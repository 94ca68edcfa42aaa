"""The end of a night: readers see it, unless it is left staged, or a person who is asked rejects it."""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

log = logging.getLogger("nightweave.publish")


def publish(*, ds: str, dag: Any, params: Mapping[str, Any], **_: Any) -> None:
    """Publish what the night has staged, unless it is to stay staged.

    Raises:
        AirflowSkipException: it is to stay staged, so that the task is skipped, and no asset has an event.
        PublicationError: it was not audited as it is now.
    """
    from jobs.runtime.night import location
    from lake import publication
    from lake.lake import Lake

    if params["skip_publishing"]:
        log.warning("skip_publishing is set: %s stays staged; nightweave publish --date %s shows it to readers", ds, ds)
        raise AirflowSkipException
    done = publication.publish(Lake(location("lake", None)), ds, actor=dag.dag_id)
    log.info("night %s is published: change %d, served by %s", ds, done.number, done.model_version)


def roll_back(*, dag: Any, dag_run: Any, params: Mapping[str, Any], **_: Any) -> None:
    """Take readers of a night back to what they saw before it was last published; nothing where that was the last
    thing that the same person did to it, for the same reason.

    Raises:
        PublicationError: it is not published, or what was seen before is gone.
    """
    from jobs.runtime.night import location
    from lake import publication
    from lake.lake import Lake

    lake, night, reason = Lake(location("lake", None)), params["night"], params["reason"]
    actor = dag_run.triggering_user_name or dag.dag_id
    last = next((row for row in reversed(publication.history(lake)) if str(row.date) == night), None)
    if last is None or (last.action, last.actor, last.reason) != (publication.ROLLBACK, actor, reason):
        last = publication.rollback(lake, night, actor=actor, reason=reason)
    log.info("night %s is rolled back: change %d", night, last.number)


class Approval(ApprovalOperator):
    """Asks a person whether a night is published, where the parameter `ask_when_close` is set and the verdict on its
    model is close; the night goes on without asking otherwise."""

    def execute(self, context: Any) -> Any:
        if not context["params"]["ask_when_close"] or not (verdict := close_verdict(context["ds"])):
            return None
        self.body = f"The verdict on the model of the night {context['ds']} is close:\n\n{verdict}"
        return super().execute(context)


def close_verdict(night: str) -> str | None:
    """The verdict on a staged night's model, a clause a line, where it is close; None otherwise."""
    import pyarrow.compute as pc

    from jobs.runtime.night import Night
    from schemas.tables import Models

    made = Night.of(date_=night, raw=None, lake=None, config=None, staged=True)
    rows = made.lake.read(Models, where=pc.field("date") == made.date, columns=["verdict", "close"]).to_pylist()
    return "\n".join(f"- {clause}" for row in rows if row["close"] for clause in row["verdict"].split("; ")) or None
