"""Train the night's fusion model: the validation likes say for how long, then one model is fitted without the test
likes, to be judged by them, and one on everything, to serve."""

import argparse
import logging
import shutil

from fusion.registry import create
from fusion.splits import Split, split
from fusion.strategies.base import Strategy
from jobs import artifacts
from jobs.completeness import check_complete
from jobs.contradictions import warn
from jobs.night import Night, run_step
from jobs.state import State, load

log = logging.getLogger("nightweave.train")

CONTENT_ONLY = "content"


def strategy_of(night: Night, state: State) -> str:
    """The configured strategy, or that of content alone where there are too few likes to learn from."""
    enough = len(state.history.likes()) >= night.config.fusion.min_likes
    return night.config.fusion.strategy if enough else CONTENT_ONLY


def split_of(night: Night, state: State) -> Split:
    """How the night holds out likes."""
    how = night.config.fusion.split
    return split(
        state.history,
        kind=how.kind,
        test_share=how.test_share,
        valid_share=how.valid_share,
        n_items=len(state.items),
        seed=night.config.fusion.seed,
    )


def run(night: Night, _: argparse.Namespace) -> None:
    check_complete(night)
    state = load(night)
    warn(night, state.items)
    made = artifacts.identity(night, state, strategy_of(night, state))
    if artifacts.exists(night, made.path):
        artifacts.mark(night, made)
        log.info("train: %s is there already, made from the same data, config and code", made.model_version)
        return
    parts = split_of(night, state)
    settings = night.config.fusion
    parameters = settings.parameters if made.strategy == settings.strategy else {}
    scratch = artifacts.scratch(night, made)

    def unfitted(part: str) -> Strategy:
        model = create(made.strategy, parameters)
        model.checkpoint = scratch / part if scratch else None
        return model

    catalog = state.filled(parts.train)
    tuned = unfitted("tuned").fit(
        catalog, parts.train, parts.valid, candidates=parts.valid_candidates, seed=settings.seed, progress=True
    )
    log.info("train: tuned in %.1f s: %s", tuned.seconds, tuned.as_dict())
    models = {}
    for part, history in ((artifacts.TWIN, parts.known()), (artifacts.SERVED, state.history)):
        models[part] = unfitted(part)
        models[part].fit(state.filled(history), history, seed=settings.seed, tuned=tuned, progress=True)
    artifacts.save(night, made, models)
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    log.info("train: made %s", made.model_version)


if __name__ == "__main__":
    run_step("jobs.train")
