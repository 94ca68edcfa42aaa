"""Which versions of `items` and `interactions` a night's shelves were made from.

It is recorded in the commits of the transaction log and in no row: which version a night has read depends on the order
in which nights ran, and rows must not.
"""

from collections.abc import Collection
from itertools import product

import pyarrow as pa

from lake.lake import Lake, mark
from schemas.table import Table
from schemas.tables import Interactions, Items, Ledger, Recommendations

SOURCES: tuple[type[Table], ...] = (Items, Interactions)
REPLACED_SINCE = "replaced_since"
"""The name that the checks use for what `replaced_since` returns."""
SCHEMA = pa.schema([("date", pa.date32()), ("source", pa.string()), ("arrived", pa.date32())])


def now(lake: Lake) -> dict[str, int]:
    """Return name → version of the sources as of now. Called before they are read, it names nothing that was not."""
    return {source.name: lake.version(source) for source in SOURCES}


def made_from(lake: Lake, table: type[Table], night: str) -> dict[str, int]:
    """Return name → version of the sources that a night's partition was made from.

    It is 0 where none was recorded: the partition was written by a version that recorded none, or there is none.
    """
    delta = lake.delta(table)
    names = [(source.name, mark({"date": night}, source.name)) for source in SOURCES]
    return {name: (delta.transaction_version(of) if delta else None) or 0 for name, of in names}


def replaced_since(lake: Lake, *, without: Collection[str] = ()) -> pa.Table:
    """Return the earlier nights' partitions of the sources that were replaced after a night had read them.

    Nothing certain can be found by them about the night's shelves. Nights and partitions of versions that recorded
    nothing count as the oldest, so that of two such the night has read the partition.

    Args:
        without: names of tables that cannot be read.

    Returns: `date`, the night; `source`, the name of the table; `arrived`, the partition's date, always before `date`.
    """
    rows: list[tuple] = []
    if not {Ledger.name, Recommendations.name}.intersection(without):
        cleaned = sorted(set(lake.files(Ledger)["partition.date"].to_pylist()))
        made = sorted(set(lake.files(Recommendations)["partition.date"].to_pylist()))
        read = {night: made_from(lake, Recommendations, str(night)) for night in made}
        for source in SOURCES:
            delta = None if source.name in without else lake.delta(source)
            if delta is None:
                continue
            replaced = {day: delta.transaction_version(mark({"date": str(day)})) or 0 for day in cleaned}
            rows += [
                (night, source.name, day)
                for night, (day, version) in product(made, replaced.items())
                if day < night and version > read[night][source.name]
            ]
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)
