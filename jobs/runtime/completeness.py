"""Which nights are complete: a night's training looks back on all of them before it."""

import pyarrow.compute as pc

from jobs.runtime.night import Night, NightError
from schemas.tables import Ledger

LAST_STEP = "recommend"


def incomplete(night: Night) -> list[str]:
    """The earlier nights that the raw data has and that are not complete, oldest first, as `YYYY-MM-DD`."""
    done = night.lake.read(Ledger, where=pc.field("step") == LAST_STEP, columns=["date"])
    complete = {str(day) for day in done["date"].to_pylist()}
    given = [m for m, several in night.config.extract.encoders.items() if any(choice.is_given for choice in several)]
    kinds = ["items", "interactions", *(f"vectors/{modality}" for modality in given)]
    arrived = {day for kind in kinds for day in night.raw.nights(kind)}
    return sorted(day for day in arrived if day < night.ds and day not in complete)


def reopen(night: Night) -> None:
    """Take back that the night is complete; before its rows change, for if its run then fails, later nights would train
    on rows of two runs."""
    mark = {"date": night.ds, "step": LAST_STEP}
    if night.lake.count(Ledger, mark):
        night.lake.replace(Ledger, [], mark)


def lacking(night: Night, nights: list[str]) -> NightError:
    """What keeps a night from training: these earlier nights are not complete."""
    return NightError(
        f"night {night.ds} looks back on nights that are not complete: {', '.join(nights)}. "
        "Run them first (nightweave night --date D, or a backfill from the Airflow UI), then this one again",
        law=1,
        partition=", ".join(f"date={day}" for day in nights),
    )


def check_complete(night: Night) -> None:
    """See that every earlier night that the raw data has is complete.

    Raises:
        NightError: some are not; the message names them.
    """
    if missing := incomplete(night):
        raise lacking(night, missing)
