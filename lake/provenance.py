"""Which versions of `items` and `interactions` a night's shelves were made from.

It is recorded in the commits of the transaction log and in no row: which version a night has read depends on the order
in which nights ran, and rows must not.
"""

from collections.abc import Collection
from itertools import product

import pyarrow as pa

from lake.commits import mark
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import Interactions, Items, Ledger, Recommendations

SOURCES: tuple[type[Table], ...] = (Items, Interactions)
REPLACED_SINCE = "replaced_since"
"""The name that the checks use for what `replaced_since` returns."""
SCHEMA = pa.schema([("date", pa.date32()), ("source", pa.string()), ("arrived", pa.date32())])


def now(lake: Lake) -> dict[str, int]:
    """Return name → version of the sources as of now. Called before they are read, it names nothing that was not."""
    return {source.name: lake.version(source) for source in SOURCES}


def replaced_since(lake: Lake, *, without: Collection[str] = (), night: str | None = None) -> pa.Table:
    """Return the earlier nights' partitions of the sources that were replaced after a night had read them.

    Nothing certain can be found by them about the night's shelves. Nights and partitions of versions that recorded
    nothing count as the oldest, so that of two such the night has read the partition.

    Args:
        without: names of tables that cannot be read.
        night: only what this night has read; of all nights unless given.

    Returns: `date`, the night; `source`, the name of the table; `arrived`, the partition's date, always before `date`.
    """
    rows: list[tuple] = []
    if not {Ledger.name, Recommendations.name}.intersection(without):
        cleaned = sorted(set(lake.files(Ledger)["partition.date"].to_pylist()))
        of_nights = {"date": night} if night else {}
        made = sorted(set(lake.files(Recommendations, of_nights)["partition.date"].to_pylist()))
        read = {day: lake.made_from(Recommendations, {"date": str(day)}) for day in made}
        for source in SOURCES:
            delta = None if source.name in without else lake.delta(source)
            if delta is None:
                continue
            replaced = {day: delta.transaction_version(mark({"date": str(day)})) or 0 for day in cleaned}
            rows += [
                (later, source.name, day)
                for later, (day, version) in product(made, replaced.items())
                if day < later and version > read[later].get(source.name, 0)
            ]
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)
