"""Train the night's fusion model: the validation likes choose the strategy and what there is to choose in it, then one
model is fitted without the test likes, to be judged by them, and one on everything, to serve."""

import argparse
import logging
import shutil

from fusion.models.registry import create
from jobs.modelling import artifacts
from jobs.modelling.contradictions import warn
from jobs.modelling.dataset import load
from jobs.modelling.model_selection import choose
from jobs.runtime.completeness import check_complete
from jobs.runtime.night import Night, run_step

log = logging.getLogger("nightweave.train")


def run(night: Night, _: argparse.Namespace) -> None:
    check_complete(night)
    state = load(night)
    warn(night, state.items)
    parts = state.split()
    best = choose(night, state, parts).best
    made = artifacts.identity(night, state, best.strategy, best.parameters)
    if artifacts.exists(night, made.path):
        artifacts.mark(night, made)
        log.info("train: %s is there already, made from the same data, config and code", made.model_version)
        return
    scratch, models = artifacts.scratch(night, made), {}
    for part, history in ((artifacts.TWIN, parts.known()), (artifacts.SERVED, state.history)):
        model = models[part] = create(best.strategy, dict(best.parameters))
        model.checkpoint = scratch / part if scratch else None
        seed = night.config.fusion.seed
        model.fit(state.filled(history), history, seed=seed, tuned=best.fitted, progress=True)
    artifacts.save(night, made, models)
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    log.info("train: made %s", made.model_version)


if __name__ == "__main__":
    run_step("jobs.train")
