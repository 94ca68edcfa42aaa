"""The end of a night: readers see it, unless it is left staged, or a person who is asked rejects it."""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

log = logging.getLogger("nightweave.publish")


def publish(*, ds: str, dag: Any, params: Mapping[str, Any], **_: Any) -> None:
    """Publish what the night has staged, unless it is to stay staged.

    Raises:
        PublicationError: it was not audited as it is now.
    """
    from jobs.runtime.night import location
    from lake import publication
    from lake.lake import Lake

    if params["skip_publishing"]:
        log.warning("skip_publishing is set: %s stays staged; nightweave publish --date %s shows it to readers", ds, ds)
        return
    done = publication.publish(Lake(location("lake", None)), ds, actor=dag.dag_id)
    log.info("night %s is published: change %d, served by %s", ds, done.number, done.model_version)


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
