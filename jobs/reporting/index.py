"""The nights at a glance: what `reports/index.html` shows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from jobs.reporting.arrivals import RECORDS, Arrivals
from jobs.reporting.charts import Line
from jobs.reporting.figures import Model, Population, Value


@dataclass(frozen=True)
class Glance:
    """A night in one row.

    Attributes:
        ours, best: the figure of the model that served, and of the best baseline.
        served: users with shelves of their own.
        items, events, refused: of the records that arrived, how many were kept of each, and refused of both.
        has_report: there is a page to open.
    """

    night: date
    model: Model | None
    ours: Value | None
    best: Value | None
    served: int
    items: int
    events: int
    refused: int
    has_report: bool

    @property
    def loses(self) -> bool:
        return bool(self.ours and self.best and self.best.value > self.ours.value)


def glances(
    came: Arrivals, population: Population | None, models: Sequence[Model], *, reported: Collection[date]
) -> list[Glance]:
    """The nights that the report looks back on, the newest first.

    Args:
        population: whose figures are shown.
        models: of all nights.
        reported: the nights that have a page.
    """
    by_night = {model.night: model for model in models}
    of = {night: (ours, best) for night, ours, best in population.nights} if population else {}
    found = []
    for night in came.nights[::-1]:
        items, events = (came.of(step, night) for step in RECORDS)
        recommend = came.of("recommend", night)
        found.append(
            Glance(
                night,
                by_night.get(night),
                *of.get(night, (None, None)),
                served=max(0, recommend.kept - 1) if recommend else 0,  # one is for everybody without a history
                items=items.kept if items else 0,
                events=events.kept if events else 0,
                refused=sum(account.refused for account in (items, events) if account),
                has_report=night in reported,
            )
        )
    return found


def lines_of(pairs: Sequence[tuple[Value | None, Value | None]]) -> list[Line]:
    """The model that served, with its interval, and the best baseline, over nights."""
    served = [(ours.value, ours.low, ours.high) if ours else None for ours, _ in pairs]
    best = [(each.value, None, None) if each else None for _, each in pairs]
    return [Line("baseline", best), Line("serving", served)]
