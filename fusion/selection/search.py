"""A strategy's parameters, searched for within a budget by what the validation likes say."""

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
    """How long a search goes on: for so many trials, or until a trial ends after so many minutes; the first to come."""

    trials: int | None = None
    minutes: float | None = None


def space(strategy: str) -> Space:
    """Parameter → what it may be.

    Raises:
        ValueError: no strategy has that name.
    """
    return registry.strategy(strategy).space


def search(bench: Bench, start: Trial, budget: Budget) -> list[Trial]:
    """Trials of the strategy of `start`, from the parameters that it was tried with, in its `space`; what the space
    leaves out stays. None where the strategy has no space, or nobody was asked.

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
