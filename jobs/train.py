"""Train the night's model: select strategy and parameters on validation likes that are in no test, then fit one model
without the test likes of each kind of split, to be evaluated on them, and one on the whole history, to serve."""

import logging
import shutil
from typing import get_args

from fusion.data.matrix_factors import threads_for
from fusion.data.splits import Kind, choice_split, split_as
from fusion.missing.fill import model_input
from fusion.models.registry import create
from jobs.modelling import artifacts
from jobs.modelling.contradictions import warn
from jobs.modelling.dataset import Dataset, load
from jobs.modelling.model_selection import choose
from jobs.runtime.completeness import check_complete
from jobs.runtime.night import Night

log = logging.getLogger("nightweave.train")


def run(night: Night) -> None:
    """Train the night's model and store it, unless it is stored already."""
    check_complete(night)
    (dataset,) = load(night)
    with threads_for(len(dataset.catalog)):
        _train(night, dataset)


def _train(night: Night, dataset: Dataset) -> None:
    config = night.config.fusion
    warn(night, dataset.catalog)
    # what is judged on any kind of split has no part in the choice
    best = choose(night, dataset, choice_split(dataset.history, config, item_ids=dataset.catalog.item_ids)).best
    made = artifacts.identity(night, dataset, best.strategy, best.parameters)
    if artifacts.exists(night, made.path):
        artifacts.write_manifest(night, made, encoders=dataset.encoders)
        log.info("train: %s is there already, made from the same data, config and code", made.model_version)
        return
    checkpoints, models = artifacts.checkpoint_folder(night, made), {}
    histories = {artifacts.SERVED: dataset.history}
    for kind in get_args(Kind):
        split = split_as(dataset.history, config, item_ids=dataset.catalog.item_ids, kind=kind)
        histories[artifacts.held_out(kind)] = split.known()
    for part, history in histories.items():
        model = models[part] = create(best.strategy, dict(best.parameters))
        model.checkpoint = checkpoints / part if checkpoints else None
        catalog = model_input(dataset.catalog, dataset.reviews, history, config)
        model.fit(catalog, history, seed=config.seed, tuned=best.fitted, progress=True)
    artifacts.save(night, made, models, encoders=dataset.encoders)
    if checkpoints:
        shutil.rmtree(checkpoints, ignore_errors=True)
    log.info("train: made %s", made.model_version)
