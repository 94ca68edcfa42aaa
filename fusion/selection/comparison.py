"""Comparison of strategies, policies for missing modalities, ablations and baselines on one split."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.baselines.registry import BASELINES
from fusion.data.catalog import Catalog, History, Scorer, Split
from fusion.data.subsets import without_modality, without_share
from fusion.evaluation.evaluate import Figure, evaluate
from fusion.evaluation.intervals import Interval, intervals, sign_flip_p
from fusion.missing.fill import fill
from fusion.models import registry
from fusion.models.base import Strategy
from fusion.models.scorer import scorer
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from schemas.config import Missing
from schemas.table import MODALITIES, Modality

KS = (10, 20)
SHOWN = (("ndcg", 10), ("recall", 20), ("auc", None), ("coverage", 20))
HALF = 0.5
_NOBODY = np.zeros(0, np.int64)

Known = Callable[[History], Catalog]
"""A part of the history → the catalog as prepared from that part alone."""
Change = Callable[[Catalog, History], Catalog]
"""A catalog and the known history → a changed catalog."""


def _unchanged(catalog: Catalog, _: History) -> Catalog:
    return catalog


def _without(modality: Modality, catalog: Catalog, _: History) -> Catalog:
    return without_modality(catalog, modality)


@dataclass(frozen=True)
class Line:
    """One line of the comparison.

    Attributes:
        kind: `strategy`; `left_out`, the default strategy without one of its scorers; `policy`, the default strategy
            with missing modalities filled in; `hidden`, the default strategy fitted on everything and evaluated on
            less; `without`, fitted and evaluated on less; `baseline`.
        name: of the strategy, policy or baseline, or of the scorer or modality that was removed.
        values: the figures of `SHOWN`, in that order; NaN for a missing one.
        intervals: of those figures, at 95%; None for a figure that is not a mean over users.
        per_user: float64 [n], the first figure of each user; empty without figures.
        p_value: of the paired difference to the best baseline; NaN where there is none, and for a baseline.
        tune_s: seconds of the fit on train, in which validation likes choose; 0 where nothing is chosen.
        fit_s, score_s: seconds of the last fit, and of scoring and evaluation.
        note: why there are no figures, where there are none.
    """

    kind: str
    name: str
    values: tuple[float, ...] = (float("nan"),) * len(SHOWN)
    intervals: tuple[Interval | None, ...] = (None,) * len(SHOWN)
    per_user: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    p_value: float = float("nan")
    tune_s: float = 0.0
    fit_s: float = 0.0
    score_s: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """Mean over users of one line's first figure less another's, and its 95% interval (paired bootstrap)."""

    mean: float
    low: float
    high: float


def difference(line: Line, other: Line, *, seed: int) -> Difference | None:
    """A line less another one of the same split; None where one has no figures."""
    if not len(line.per_user) or not len(other.per_user):
        return None
    per_user = line.per_user - other.per_user
    figure = Figure(line.name, "", "all", SHOWN[0][0], SHOWN[0][1], float(per_user.mean()), _NOBODY, per_user)
    (interval,) = intervals([figure], seed=seed)
    assert interval is not None
    return Difference(figure.value, interval.low, interval.high)


class Comparison:
    """One split of one catalog, on which models are fitted and evaluated one after the other.

    Args:
        known: makes the catalog from a part of the history.
        default: the strategy of the policies and the ablations.
        parameters: of the default strategy.
    """

    def __init__(
        self,
        known: Known,
        split: Split,
        *,
        default: str,
        parameters: dict[str, Any] | None = None,
        seed: int,
    ) -> None:
        self._known, self._split, self._seed = known, split, seed
        self._default, self._parameters = default, parameters or {}
        self._history = split.known()
        self._catalog = known(self._history)
        self._best: Line | None = None

    def lines(
        self,
        *,
        baselines: Sequence[str],
        strategies: Sequence[str],
        missing: Sequence[str] = (),
        leave_out: Sequence[str] = (),
        ablations: bool = True,
    ) -> Iterator[Line]:
        """One line after the other, baselines first: their best is the reference of the p-values. The default strategy
        has its line whether it is among `strategies` or not.

        Args:
            leave_out: scorers of the default strategy, each of which is left out once; one that it does not have on
                this catalog has no line.
            ablations: whether the default strategy is evaluated without each modality and half of each.
        """
        for name in baselines:
            line = self._baseline(name)
            if len(line.per_user) and (self._best is None or line.values[0] > self._best.values[0]):
                self._best = line
            yield line
        for name in strategies:
            if name != self._default:
                yield self._fitted("strategy", name, strategy=name)[0]
        line, model = self._fitted("strategy", self._default)
        yield line
        there = {scorer for weights in model.population_weights.values() for scorer in weights}
        for name in (name for name in leave_out if name in there):
            yield self._evaluated("left_out", name, self._scorer(model.without(name), self._catalog))
        for name in missing:
            yield self._fitted("policy", name, change=partial(self._filled, name))[0]
        if not ablations:
            return
        present = [m for m in MODALITIES if self._catalog.masks[m].any()]
        for modality in present:
            catalog = without_modality(self._catalog, modality)
            yield self._evaluated("hidden", modality, self._scorer(model, catalog))
            yield self._fitted("without", modality, change=partial(_without, modality))[0]
        half = self._halved(self._catalog, self._history)
        yield self._evaluated("hidden", "half of each", self._scorer(model, half))
        yield self._fitted("without", "half of each", change=self._halved)[0]

    def _baseline(self, name: str) -> Line:
        started, n = time.monotonic(), len(self._catalog)
        try:
            model = BASELINES[name]().fit(self._history, n, catalog=self._catalog, terms=self._catalog.terms)
        except (ValueError, ModuleNotFoundError) as error:
            return Line("baseline", name, note=str(error))
        fit_s = time.monotonic() - started
        return self._evaluated("baseline", name, lambda users: model.scores(self._history, users), fit_s=fit_s)

    def _fitted(
        self,
        kind: str,
        name: str,
        *,
        strategy: str | None = None,
        change: Change = _unchanged,
    ) -> tuple[Line, Strategy]:
        """Fits a strategy, the default one unless named, on the changed catalog: tuned on train, where it chooses by
        validation likes, then on train and valid."""
        settings = {} if strategy else self._parameters
        strategy = strategy or self._default
        started = time.monotonic()
        tuned, tune_s = None, 0.0
        if registry.strategy(strategy).validates:
            tuned = self._tuned(strategy, settings, change)
            tune_s, started = time.monotonic() - started, time.monotonic()
        model, catalog = registry.create(strategy, settings), change(self._catalog, self._history)
        model.fit(catalog, self._history, seed=self._seed, tuned=tuned)
        fit_s = time.monotonic() - started
        return self._evaluated(kind, name, self._scorer(model, catalog), tune_s=tune_s, fit_s=fit_s), model

    def _tuned(self, strategy: str, parameters: dict[str, Any], change: Change) -> FitLog:
        train = self._split.train
        holdout = Holdout.of(self._split, len(self._catalog), seed=self._seed)
        return registry.create(strategy, parameters).fit(
            change(self._known(train), train), train, holdout, seed=self._seed
        )

    def _filled(self, policy: str, catalog: Catalog, known: History) -> Catalog:
        return fill(catalog, known, Missing(policy=policy), seed=self._seed)

    def _scorer(self, model: Strategy, catalog: Catalog) -> Scorer:
        return scorer(model, catalog, self._history, new_items=self._split.test_candidates is not None)

    def _halved(self, catalog: Catalog, _: History) -> Catalog:
        return without_share(catalog, HALF, seed=self._seed)

    def _evaluated(self, kind: str, name: str, scores: Scorer, *, tune_s: float = 0.0, fit_s: float = 0.0) -> Line:
        started = time.monotonic()
        figures = evaluate(
            {name: scores}, split=self._split, split_name="", n_items=len(self._catalog), ks=KS, segments=["all"]
        )
        found = {(figure.metric, figure.k): figure for figure in figures}
        if SHOWN[0] not in found:
            return Line(kind, name, note="nobody is asked")
        ends = dict(zip(found, intervals(figures, seed=self._seed), strict=True))
        first, p_value = found[SHOWN[0]], float("nan")
        if self._best is not None and kind != "baseline":
            p_value = sign_flip_p(first.per_user - self._best.per_user, seed=self._seed)
        return Line(
            kind,
            name,
            tuple(found[shown].value if shown in found else float("nan") for shown in SHOWN),
            tuple(ends.get(shown) for shown in SHOWN),
            first.per_user,
            p_value,
            tune_s,
            fit_s,
            time.monotonic() - started,
        )
