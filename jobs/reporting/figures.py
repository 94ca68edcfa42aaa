"""The model in figures: beside baselines, by population, over nights, drawn as curves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb
from markupsafe import Markup

from fusion.evaluation.promotion import Compared, comparisons
from jobs.modelling.populations import BEST_PROMOTED, LAST_PROMOTED, LAST_WEIGHTS, LEAD, POPULATIONS
from jobs.reporting.asking import LAST_NIGHTS, ask
from jobs.reporting.words import name, say

WITHOUT = " without "
OF_ALL = ("ndcg", "recall", "hit_rate", "precision", "map", "mrr", "auc")
BEYOND = ("coverage", "novelty", "diversity", "popularity_bias", "exposure_gini")
TRIED_SHOWN = 10

MODELS = """
    SELECT date, model_version, promoted, verdict, strategy, coalesce(weights_from, MAP {}) FROM models
    WHERE date <= $night ORDER BY date DESC
"""
SERVING = "SELECT any_value(model_version) FROM item_embeddings WHERE date = $night"
LONGEST = "SELECT max(k) FROM metrics WHERE date <= $night AND metric = 'ndcg'"
FIGURES = f"""
    SELECT date, model, split, segment, metric, k, value, low, high FROM metrics
    WHERE date = $night AND NOT starts_with(metric, 'weight ') AND NOT starts_with(metric, 'parameter ')
        OR date IN {LAST_NIGHTS} AND metric = $metric AND k = $k AND segment IN ('all', 'cold_users')
            AND split NOT LIKE '% validation'
    ORDER BY date, split, segment, metric, k, value DESC, model
"""


@dataclass(frozen=True)
class Model:
    """A night's row of `models`."""

    night: date
    version: str
    promoted: bool
    verdict: str
    strategy: str
    weights_from: dict[str, str]

    def served_as(self, population: str) -> str:
        """The name under which `metrics` of the night has the model that serves a population."""
        if not self.promoted:
            return LAST_PROMOTED
        return LAST_WEIGHTS if population in self.weights_from else self.strategy


@dataclass(frozen=True)
class Value:
    """A row of `metrics`: a figure, and the ends of its 95% interval where it is a mean over users."""

    night: date
    model: str
    split: str
    segment: str
    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None

    def overlaps(self, other: "Value") -> bool | None:
        """Whether the intervals of two figures meet; None where one has none."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Beside:
    """The model that serves a population, beside the best baseline there.

    Attributes:
        lead: how far it is ahead of that baseline, the mean difference over the same users with its interval; None of
            too few users, and on nights of versions that did not measure it.
    """

    ours: Value
    theirs: Value
    lead: Value | None

    @property
    def loses(self) -> bool:
        return self.theirs.value > self.ours.value

    @property
    def sure(self) -> bool | None:
        """Whether the difference is more than chance: its interval leaves 0 out, or else theirs do not meet; None where
        nothing tells."""
        if self.lead and self.lead.low is not None and self.lead.high is not None:
            return self.lead.low > 0 or self.lead.high < 0
        overlaps = self.ours.overlaps(self.theirs)
        return None if overlaps is None else not overlaps


@dataclass(frozen=True)
class Population:
    """The figures of all models on one population, the best first.

    Attributes:
        name: `with_history`, `without_history` or `new_items`.
        serving: the name of the model that serves it, in `values`; it may have no figure there.
        nights: of each night with figures, the one that serves and the best baseline; either may be missing.
    """

    name: str
    split: str
    serving: str
    values: list[Value]
    beside: Beside | None
    nights: list[tuple[date, Value | None, Value | None]]

    @property
    def ours(self) -> Value | None:
        """The figure of the model that serves."""
        return next((v for v in self.values if v.model == self.serving), None)


@dataclass(frozen=True)
class Figures:
    """What the tables have of a night's model.

    Attributes:
        model: None on a night without one.
        serving: the `model_version` that serves the night.
        metric, k: the figure that decides.
        every: the populations of which a night that the report looks back on has a figure.
        values: all of the night's rows that are figures.
        models: the models of all nights so far.
    """

    model: Model | None
    serving: str | None
    metric: str
    k: int
    every: list[Population] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{'nDCG' if self.metric == 'ndcg' else self.metric}@{self.k}"

    @property
    def compared(self) -> list[Compared]:
        """What the verdict rests on."""
        return comparisons(self.model.verdict) if self.model else []

    @property
    def populations(self) -> list[Population]:
        """The populations of which this night has a figure."""
        return [each for each in self.every if each.values]

    def losses(self) -> list[tuple[Population, Beside]]:
        return [(each, each.beside) for each in self.populations if each.beside and each.beside.loses]

    @property
    def worth(self) -> list[Value]:
        """The model as it is (first), and shown a catalog without a modality; empty where it was not."""
        own = self.model.strategy if self.model else ""
        wanted = (self.metric, self.k, "all")
        found = [v for v in self.values if (v.metric, v.k, v.segment) == wanted and "validation" not in v.split]
        without = [v for v in found if v.model.startswith(f"{own}{WITHOUT}")]
        whole = [v for v in found if v.model == own and without and v.split == without[0].split]
        return whole + without if whole else []

    @property
    def better_without(self) -> list[str]:
        """The modalities without which the model ranks better."""
        return [v.model.partition(WITHOUT)[2] for v in self.worth[1:] if v.value > self.worth[0].value]

    @property
    def surely_better_without(self) -> list[str]:
        """Those of them whose interval does not meet the whole model's."""
        apart = {v.model.partition(WITHOUT)[2] for v in self.worth[1:] if v.overlaps(self.worth[0]) is False}
        return [modality for modality in self.better_without if modality in apart]

    @property
    def segments(self) -> dict[str, list[tuple[Value, Value | None]]]:
        """Split → the model's figure in each segment, and the best baseline's there."""
        found: dict[str, list[tuple[Value, Value | None]]] = {}
        own = self.model.strategy if self.model else ""
        rows = [v for v in self._deciding() if "validation" not in v.split]
        for v in rows:
            if v.model == own:
                beside = [o for o in rows if (o.split, o.segment) == (v.split, v.segment) and self.is_baseline(o.model)]
                found.setdefault(v.split, []).append((v, max(beside, key=lambda o: o.value, default=None)))
        return found

    @property
    def tried(self) -> list[Value]:
        """The validation figures of the strategies that were tried, the best first."""
        found = [v for v in self._deciding() if v.split.endswith(" validation")]
        return sorted(found, key=lambda v: (-v.value, v.model))[:TRIED_SHOWN]

    def curve(self, metric: str) -> list[tuple[int, float]]:
        """The points of `roc`, `pr` and the like: k, value."""
        return sorted((v.k, v.value) for v in self.values if v.metric == metric and v.k is not None)

    def one(self, metric: str) -> float | None:
        """A figure of the night's model without a cut, of all likes, on the split that has it."""
        return next((v.value for v in self.values if v.metric == metric and v.k is None and v.segment == "all"), None)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What `table` has, the one that decides first."""
        return (self.metric, *(metric for metric in (*OF_ALL, *BEYOND) if metric != self.metric))

    def table(self, population: Population) -> list[tuple[str, list[tuple[str, Value | None]]]]:
        """Model → each of `metrics` with its figure, on all likes of a population's split."""
        of = {
            (v.model, v.metric): v
            for v in self.values
            if (v.split, v.segment) == (population.split, population_segment(population.split))
            and v.k in (self.k, None)
        }
        return [(v.model, [(m, of.get((v.model, m))) for m in self.metrics]) for v in population.values]

    def called(self, model: str) -> Markup:
        """A model's name for people."""
        if self.model and model == self.model.strategy:
            return say("tonight's model ({s})", "本夜的模型（{s}）", s=model)
        return name(model)

    def is_baseline(self, model: str) -> bool:
        return is_baseline(model, self.model.strategy if self.model else "")

    def _deciding(self) -> list[Value]:
        return [v for v in self.values if (v.metric, v.k) == (self.metric, self.k)]


def is_baseline(model: str, strategy: str) -> bool:
    """Whether a name in `metrics` is neither the night's model, whole or without a modality, nor an earlier one."""
    return model not in (strategy, LAST_PROMOTED, BEST_PROMOTED, LAST_WEIGHTS) and WITHOUT not in model


def population_segment(split: str) -> str:
    """The segment on which a split's population is judged."""
    return next((segment for kind, (_, _, segment) in POPULATIONS.items() if kind == split), "all")


def figures(connection: duckdb.DuckDBPyConnection, night: date) -> Figures:
    """What the tables have of the night's model."""
    models = {model.night: model for model in ask(connection, Model, MODELS, night=night)}
    model = models.get(night)
    ((serving,),) = connection.execute(SERVING, {"night": night}).fetchall()
    compared = comparisons(model.verdict) if model else []
    metric, k = _deciding(connection, night, compared)
    values = ask(connection, Value, FIGURES, night=night, metric=metric, k=k)
    populations = [_population(kind, values, models, night=night, figure=(metric, k)) for kind in POPULATIONS]
    return Figures(
        model,
        serving,
        metric,
        k,
        every=[each for each in populations if each.nights],
        values=[v for v in values if v.night == night],
        models=list(models.values()),
    )


def _deciding(connection: duckdb.DuckDBPyConnection, night: date, compared: Sequence[Compared]) -> tuple[str, int]:
    """The figure that the verdict rests on; without any, nDCG of the longest lists that were judged."""
    if compared and (found := re.fullmatch(r"(\w+)@(\d+)", compared[0].figure)):
        return found[1], int(found[2])
    ((longest,),) = connection.execute(LONGEST, {"night": night}).fetchall()
    return "ndcg", longest or 0


def _population(
    kind: Any,
    values: Sequence[Value],
    models: dict[date, Model],
    *,
    night: date,
    figure: tuple[str, int],
) -> Population:
    """The population that a kind of split judges."""
    population, _, segment = POPULATIONS[kind]
    by_night: dict[date, list[Value]] = {}
    for v in values:
        if (v.split, v.segment, v.metric, v.k) == (kind, segment, *figure) and WITHOUT not in v.model:
            by_night.setdefault(v.night, []).append(v)
    nights: list[tuple[date, Value | None, Value | None]] = []
    for each, found in sorted(by_night.items()):
        if each in models:
            served, strategy = models[each].served_as(population), models[each].strategy
            ours = next((v for v in found if v.model == served), None)
            best = max((v for v in found if is_baseline(v.model, strategy)), key=lambda v: v.value, default=None)
            nights.append((each, ours, best))
    tonight = sorted(by_night.get(night, []), key=lambda v: (-v.value, v.model)) if night in models else []
    beside = None
    _, ours, best = nights[-1] if tonight else (night, None, None)
    if ours and best:
        of_lead = (night, best.model, kind, segment, f"{figure[0]}{LEAD}", figure[1])
        leads = (v for v in values if (v.night, v.model, v.split, v.segment, v.metric, v.k) == of_lead)
        beside = Beside(ours, best, next(leads, None))
    serving = models[night].served_as(population) if night in models else ""
    return Population(population, kind, serving, tonight, beside, nights)
