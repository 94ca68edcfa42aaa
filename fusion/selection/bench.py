"""Trials of strategies with parameters, each fitted on train and evaluated on the validation likes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, Split
from fusion.data.splits import with_some_users
from fusion.evaluation.evaluate import Figure, evaluate
from fusion.evaluation.intervals import intervals
from fusion.evaluation.promotion import clearly_best
from fusion.models import registry
from fusion.models.scorer import scorer
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout

MAX_USERS = 2000
"""Most users that a trial is evaluated on."""


@dataclass(frozen=True)
class Trial:
    """A strategy with parameters, and its result.

    Attributes:
        name: unique among the trials of one choice.
        parameters: the arguments of its constructor that are not the defaults.
        fitted: the log of its fit on train, with what was chosen by validation likes within it.
        value: the validation figure; None where no user has a validation like.
        low, high: its 95% interval over users.
        per_user: float64 [n], the figure of each user.
    """

    name: str
    strategy: str
    parameters: Mapping[str, Any]
    fitted: FitLog
    value: float | None = None
    low: float | None = None
    high: float | None = None
    per_user: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The trial as JSON values, without loss."""
        return asdict(self) | {"per_user": self.per_user.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Trial":
        """The inverse of `as_dict`; `per_user` may be left out."""
        per_user = np.array(values.get("per_user", []), np.float64)
        return cls(**{**values, "fitted": FitLog(**values["fitted"]), "per_user": per_user})


class Bench:
    """One split, on whose validation likes strategies are tried one after the other.

    Candidates are all items, or the split's `valid_candidates`, without those that the user liked or saw in train. Of
    more than `MAX_USERS` users with validation likes, that many are drawn (`fusion.data.splits.with_some_users`).

    Args:
        catalog: the model input made from train alone.
        metric, k: the figure of `fusion.evaluation.evaluate.evaluate` that trials are compared by; higher is better.
        checkpoints: a folder of this bench alone, for finished trials and the checkpoints of unfinished fits; None for
            none. A finished trial is read, not repeated, so that a process that was killed continues with the same
            trials.
    """

    def __init__(
        self, catalog: Catalog, split: Split, *, metric: str, k: int, seed: int, checkpoints: Path | None = None
    ) -> None:
        self.metric, self.k, self.seed = metric, k, seed
        self._catalog, self._split, self._checkpoints = catalog, split, checkpoints
        self._tuning = with_some_users(split.tuning(), most=MAX_USERS, seed=seed)
        self._holdout = Holdout.of(split, len(catalog), seed=seed)

    def attempt(self, name: str, strategy: str, parameters: Mapping[str, Any], *, progress: bool = False) -> Trial:
        """Fits and evaluates a strategy.

        Raises:
            ValueError: no strategy has that name, or it takes no such parameter.
        """
        if self._checkpoints is None:
            return self._run(name, strategy, parameters, checkpoint=None, progress=progress)
        folder = self._checkpoints / name.replace(" ", "-")
        kept = folder.with_name(f"{folder.name}.json")
        if kept.exists():
            found = Trial.from_dict(json.loads(kept.read_text("utf-8")))
            if (found.name, found.strategy, found.parameters) == (name, strategy, dict(parameters)):
                return found
        trial = self._run(name, strategy, parameters, checkpoint=folder, progress=progress)
        partial = kept.with_name(f"{kept.name}.partial")  # renamed once whole: a kill leaves no half-written trial
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(trial.as_dict()), "utf-8")
        partial.replace(kept)
        return trial

    def _run(
        self, name: str, strategy: str, parameters: Mapping[str, Any], *, checkpoint: Path | None, progress: bool
    ) -> Trial:
        model = registry.create(strategy, dict(parameters))
        model.checkpoint = checkpoint
        train = self._split.train
        fitted = model.fit(self._catalog, train, self._holdout, seed=self.seed, progress=progress)
        trial = Trial(name, strategy, dict(parameters), fitted)
        figures = evaluate(
            {name: scorer(model, self._catalog, train, new_items=self._tuning.test_candidates is not None)},
            split=self._tuning,
            split_name="",
            n_items=len(self._catalog),
            ks=[self.k],
            segments=["all"],
        )
        found: list[Figure] = [figure for figure in figures if (figure.metric, figure.k) == (self.metric, self.k)]
        if not found:
            return trial
        trial = replace(trial, value=found[0].value, per_user=found[0].per_user)
        interval = intervals(found, seed=self.seed)[0]
        return trial if interval is None else replace(trial, low=interval.low, high=interval.high)


def best_trial(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest figure, the first of equals; one without a figure is below all others."""
    return max(trials, key=lambda trial: -1.0 if trial.value is None else trial.value)


def select_trial(trials: Sequence[Trial]) -> Trial:
    """The first trial, unless the best one is clearly better (`fusion.evaluation.promotion.clearly_best`)."""
    if any(trial.value is None for trial in trials):
        return trials[0]
    return trials[clearly_best([trial.per_user for trial in trials])]
