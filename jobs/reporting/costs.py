"""What the steps of the night cost, and those of the nights before it."""

from dataclasses import dataclass
from datetime import date

import duckdb
from markupsafe import Markup

from jobs.reporting.asking import LAST_NIGHTS, ask
from jobs.reporting.words import name, say

SERVING = say("shelves and neighbours", "推荐列表与相似物品")
"""`recommend` as work to do; its account in `ledger` is of people."""

COSTS = f"""
    SELECT date, step, modality, outcome, wall_s, cpu_s, peak_memory_bytes, bytes_read, bytes_written, gpu_s,
        spark IS NOT DISTINCT FROM 'cluster'
    FROM costs WHERE date IN {LAST_NIGHTS} AND NOT starts_with(step, 'reextract') ORDER BY date, began, step
"""


@dataclass(frozen=True)
class Cost:
    """A row of `costs`.

    Attributes:
        elsewhere: executors of a cluster did a part of the work, which is not counted.
    """

    night: date
    step: str
    modality: str | None
    outcome: str
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    bytes_read: int | None
    bytes_written: int | None
    gpu_s: float | None
    elsewhere: bool

    @property
    def kind(self) -> str:
        """The class of the style that draws it."""
        return self.modality or self.step

    @property
    def words(self) -> Markup:
        """The step in both languages."""
        return SERVING if self.step == "recommend" else name(self.step)


@dataclass(frozen=True)
class Costs:
    """What steps cost, on the night and on those that the report looks back on, each night's in the order in which its
    steps began."""

    night: date
    rows: list[Cost]

    @property
    def tonight(self) -> list[Cost]:
        return [row for row in self.rows if row.night == self.night]

    @property
    def nights(self) -> list[date]:
        return sorted({row.night for row in self.rows})

    @property
    def kinds(self) -> list[tuple[str, Markup]]:
        """Class of the style and words, of every step that has a row."""
        return list({row.kind: row.words for row in self.rows}.items())

    def stacks(self, figure: str) -> list[list[tuple[str, float]]]:
        """Of each of `nights` a stack of its steps' `wall_s` or `cpu_s`."""
        return [[(row.kind, getattr(row, figure)) for row in self.rows if row.night == night] for night in self.nights]

    @property
    def on_gpus(self) -> bool:
        return any(row.gpu_s is not None for row in self.tonight)


def costs(connection: duckdb.DuckDBPyConnection, night: date) -> Costs:
    """What the table has of the night and of those before it; it may have nothing."""
    return Costs(night, ask(connection, Cost, COSTS, night=night))
