"""Repair: what is missing or damaged is taken out of the tables and kept aside; nights that lost rows are named."""

from collections.abc import Iterator

from jobs.runtime.completeness import reopen_night
from jobs.runtime.night import check_lake
from lake.lake import Lake
from lake.repair import Aside, repair
from schemas.tables import BY_NIGHT, LOOKED_BACK_ON, TABLES, Ledger


def repair_lake(lake: Lake) -> Iterator[str]:
    """Repair every table, and yield a line for each damage and a last one with the nights to run again.

    A night whose rows later nights look back on counts as incomplete until it is made again. No night may run
    meanwhile.

    Raises:
        UserError: there is no lake.
        LakeError: a table cannot be read or written for another cause.
    """
    check_lake(lake)
    aside, nights = Aside(lake), set()
    # The ledger is first, for nights are reopened in it.
    for table in sorted(TABLES.values(), key=lambda table: table is not Ledger):
        for done in repair(lake, table, aside):
            lost = {partition["date"] for partition in done.partitions if "date" in partition}
            for night in lost if table in LOOKED_BACK_ON else ():
                reopen_night(lake, night)
            nights |= lost if table in BY_NIGHT else set()  # what a night has cost, no other run can tell
            yield done.words()
    if nights:
        yield f"run again, the oldest first: {', '.join(sorted(nights))}"
    elif not aside.moved:
        yield "nothing is damaged"
