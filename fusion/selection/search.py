"""Hyperparameter search within a budget, by the figure on the validation likes."""

import logging
import time
from dataclasses import dataclass

import optuna

from fusion.models import registry
from fusion.models.base import Space
from fusion.selection.bench import Bench, Trial

log = logging.getLogger("nightweave.tuning")


@dataclass(frozen=True)
class Budget:
    """A search ends after `trials` trials, or with the trial during which `minutes` have passed, whichever is first."""

    trials: int | None = None
    minutes: float | None = None


def space(strategy: str) -> Space:
    """Parameter of the strategy → its range.

    Raises:
        ValueError: no strategy has that name.
    """
    return registry.strategy(strategy).space


def search(bench: Bench, start: Trial, budget: Budget) -> list[Trial]:
    """Trials of the strategy of `start` over its `space`, beginning from the parameters of `start`; parameters outside
    the space stay. No trials where the strategy has no space, or `start` has no figure.

    Parameters are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011), seeded: with a budget of
    trials, the same data gives the same ones. A budget of minutes gives as many as the machine manages.
    """
    ranges = dict(space(start.strategy))
    if not ranges or start.value is None:
        return []
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=bench.seed))
    tried = registry.create(start.strategy, dict(start.parameters)).parameters()
    try:
        known = {name: tried[name] for name in ranges}
        study.add_trial(optuna.trial.create_trial(params=known, distributions=ranges, value=start.value))
    except ValueError:
        log.info("tuning: the configured parameters of %s lie outside its space; the search begins without", tried)
    trials: list[Trial] = []
    began = time.monotonic()
    while _goes_on(budget, done=len(trials), seconds=time.monotonic() - began):
        asked = study.ask(ranges)
        parameters = {**start.parameters, **asked.params}
        trial = bench.attempt(f"{start.strategy} trial {len(trials) + 1}", start.strategy, parameters)
        study.tell(asked, trial.value)
        trials.append(trial)
        log.info("tuning: %s: %s@%d %.4f with %s", trial.name, bench.metric, bench.k, trial.value, asked.params)
    return trials


def _goes_on(budget: Budget, *, done: int, seconds: float) -> bool:
    if budget.trials is not None and done >= budget.trials:
        return False
    return budget.minutes is None or seconds < 60 * budget.minutes
