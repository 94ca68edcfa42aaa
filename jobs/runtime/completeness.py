"""Which nights are complete: a night's training looks back on all of them before it."""

import pyarrow.compute as pc

from jobs.runtime.arrival import nights_landed
from jobs.runtime.night import Night, NightError
from lake import publication, staging
from lake.lake import Lake
from schemas.tables import Ledger

LAST_STEP = "recommend"


def complete(lake: Lake) -> set[str]:
    """The nights that are complete, as `YYYY-MM-DD`.

    A night is complete once all its steps are published, and while no run that is to be published makes it anew.
    """
    done = lake.read(Ledger, where=pc.field("step") == LAST_STEP, columns=["date"])
    return {str(day) for day in done["date"].to_pylist()}.difference(staging.to_be_published(lake))


def incomplete(night: Night) -> list[str]:
    """The earlier nights that the raw data has and that are not complete, oldest first, as `YYYY-MM-DD`."""
    done = complete(night.lake)
    return [day for day in nights_landed(night) if day < night.ds and day not in done]


def reopen_night(lake: Lake, night: str) -> None:
    """Take back that the night `YYYY-MM-DD` of a lake is complete."""
    mark = {"date": night, "step": LAST_STEP}
    if lake.count(Ledger, mark):
        lake.replace(Ledger, [], mark)


def lacking(night: Night, nights: list[str]) -> NightError:
    """What keeps a night from training: these earlier nights are not complete."""
    return NightError(
        f"night {night.ds} looks back on nights that are not complete: {', '.join(nights)}. "
        "Run them first (nightweave night --date D, or a backfill from the Airflow UI), then this one again; where a "
        "run of one has ended unpublished: nightweave publish, or nightweave discard",
        law=1,
        partition=", ".join(f"date={day}" for day in nights),
    )


def check_complete(night: Night) -> None:
    """See that every earlier night that the raw data has is complete.

    A change of what readers see is carried out first, where its process died: the accounts of its night may be in the
    ledger while the rest is still read as it was before.

    Raises:
        NightError: some are not; the message names them.
    """
    publication.carry_out_unfinished(night.lake)
    if missing := incomplete(night):
        raise lacking(night, missing)
