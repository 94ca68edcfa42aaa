"""Which of several strategies, with which parameters: fitted on train, judged by the validation likes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog
from fusion.data.splits import Split
from fusion.evaluation.evaluate import Figure, evaluate
from fusion.evaluation.intervals import intervals
from fusion.evaluation.promotion import clearly_best
from fusion.models import registry
from fusion.models.scorer import scorer
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout

MAX_USERS = 2000


@dataclass(frozen=True)
class Trial:
    """A strategy as it was tried.

    Attributes:
        name: what tells it from the other trials of the same choice.
        parameters: the arguments of its constructor that are not the defaults.
        fitted: how its fit on train went, and what the validation likes chose in it.
        value: the validation figure; None where nobody was asked.
        low, high: its 95% interval over users.
        per_user: float64 [n], the figure of each user asked.
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
        """What JSON can hold, without loss."""
        return asdict(self) | {"per_user": self.per_user.tolist()}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Trial":
        """The inverse of `as_dict`; `per_user` may be left out."""
        per_user = np.array(told.get("per_user", []), np.float64)
        return cls(**{**told, "fitted": FitLog(**told["fitted"]), "per_user": per_user})


class Bench:
    """One split, on whose validation likes strategies are tried one after the other.

    The whole catalog is ranked (of a split that says which items may be validated, those), without what the user has
    had in train; of more than `MAX_USERS` users with validation likes, as many are drawn by the seed.

    Args:
        catalog: as whoever knows train alone sees it.
        metric, k: of `fusion.evaluation.evaluate.evaluate`, what a trial is judged by; higher is better.
        checkpoints: the folder of this bench alone in which trials are kept, and what killed fits go on from; None for
            none. A trial that is there is not made again, so that whoever was killed goes on to the same trials.
    """

    def __init__(
        self, catalog: Catalog, split: Split, *, metric: str, k: int, seed: int, checkpoints: Path | None = None
    ) -> None:
        self.metric, self.k, self.seed = metric, k, seed
        self._catalog, self._split, self._checkpoints = catalog, split, checkpoints
        self._question = _of_some_users(split.tuning(), seed=seed)
        self._holdout = Holdout.of(split, len(catalog), seed=seed)

    def attempt(self, name: str, strategy: str, parameters: Mapping[str, Any], *, progress: bool = False) -> Trial:
        """Fits and judges a strategy.

        Raises:
            ValueError: no strategy has that name, or it takes no such parameter.
        """
        if self._checkpoints is None:
            return self._made(name, strategy, parameters, checkpoint=None, progress=progress)
        folder = self._checkpoints / name.replace(" ", "-")
        kept = folder.with_name(f"{folder.name}.json")
        if kept.exists():
            found = Trial.from_dict(json.loads(kept.read_text("utf-8")))
            if (found.name, found.strategy, found.parameters) == (name, strategy, dict(parameters)):
                return found
        trial = self._made(name, strategy, parameters, checkpoint=folder, progress=progress)
        beside = kept.with_name(f"{kept.name}.partial")
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(trial.as_dict()), "utf-8")
        beside.replace(kept)
        return trial

    def _made(
        self, name: str, strategy: str, parameters: Mapping[str, Any], *, checkpoint: Path | None, progress: bool
    ) -> Trial:
        model = registry.create(strategy, dict(parameters))
        model.checkpoint = checkpoint
        train = self._split.train
        fitted = model.fit(self._catalog, train, self._holdout, seed=self.seed, progress=progress)
        trial = Trial(name, strategy, dict(parameters), fitted)
        figures = evaluate(
            {name: scorer(model, self._catalog, train)},
            split=self._question,
            split_name="",
            n_items=len(self._catalog),
            ks=[self.k],
            segments=["all"],
        )
        found: list[Figure] = [figure for figure in figures if (figure.metric, figure.k) == (self.metric, self.k)]
        if not found:
            return trial
        judged = replace(trial, value=found[0].value, per_user=found[0].per_user)
        interval = intervals(found, seed=self.seed)[0]
        return judged if interval is None else replace(judged, low=interval.low, high=interval.high)


def foremost(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest figure, the first of equals; the first where nobody was asked."""
    return max(trials, key=lambda trial: -1.0 if trial.value is None else trial.value)


def preferred(trials: Sequence[Trial]) -> Trial:
    """The first trial, unless the best one is clearly better (`fusion.evaluation.promotion.clearly_best`)."""
    if any(trial.value is None for trial in trials):
        return trials[0]
    return trials[clearly_best([trial.per_user for trial in trials])]


def _of_some_users(question: Split, *, seed: int) -> Split:
    users = np.unique(question.test.likes().user)
    if len(users) <= MAX_USERS:
        return question
    drawn = np.random.default_rng(seed).choice(users, MAX_USERS, replace=False)
    return replace(question, test=question.test.where(np.isin(question.test.user, drawn)))
