"""Epochs: a learner goes through its examples until validation says that it no longer gets better."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from fusion.data.catalog import History
from fusion.models.base import FitLog
from fusion.training.checkpoint import Checkpoint, Progress, identity
from fusion.training.config import Recipe
from fusion.training.examples import Example, Examples, batches
from fusion.training.trainer import Variables, Weights


class Learner(Protocol):
    """What learns from examples, a batch at a time.

    Attributes:
        variables: what it learns.
        history: what examples are drawn from; its items are places below `n_items`.
    """

    variables: Variables
    history: History
    n_items: int

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update; returns the batch's mean loss."""


def train(
    learner: Learner,
    start: Weights,
    *,
    recipe: Recipe,
    seed: int,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: Path | None = None,
    settings: object = None,
) -> tuple[Weights, FitLog]:
    """Teaches a learner; with `validate`, gives the weights of the best epoch.

    Args:
        start: the weights that the learner begins with.
        checkpoint: folder in which every epoch leaves what is needed to go on from it; None for none.
        settings: what, beside recipe, seed, history and start, tells this training from others, by its `repr`.
    """
    random = np.random.default_rng(seed)
    examples = Examples(learner.history, learner.n_items)

    def epoch() -> tuple[Weights, float]:
        losses = [
            learner.step(examples.draw(users, random), random)
            for users in batches(examples.users, random, recipe=recipe)
        ]
        return learner.variables.weights(), float(np.mean(losses))

    kept = None
    if checkpoint:
        arrays = {f"history/{name}": array for name, array in vars(learner.history).items()}
        made_from = identity(settings, recipe, seed, arrays=arrays | {f"start/{n}": a for n, a in start.items()})
        kept = Checkpoint(checkpoint, identity=made_from, trained=learner.variables, random=random)
    return best_epoch(epoch, start, recipe=recipe, validate=validate, progress=progress, checkpoint=kept)


def best_epoch(
    run: Callable[[], tuple[Weights, float]],
    start: Weights,
    *,
    recipe: Recipe,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: Checkpoint | None = None,
) -> tuple[Weights, FitLog]:
    """Runs epochs, each of which gives the weights after it and its loss, and keeps the weights that validate best,
    those at the start among them; without `validate`, the last. With a checkpoint, it goes on after the last epoch
    that it holds, to the same end as if it had never stopped."""
    began = time.monotonic()
    first = Progress(0, 0, 0.0, () if validate is None else (validate(start),))
    stands, best = (checkpoint.read(first) if checkpoint else None) or (first, start)
    began -= stands.seconds
    bar = tqdm(total=recipe.epochs, initial=stands.epoch, desc="train", unit="epoch", disable=not progress)
    with bar:
        while stands.epoch < recipe.epochs and not _waited(stands, recipe, validated=validate is not None):
            weights, loss = run()
            figures = stands.valid_ndcg if validate is None else (*stands.valid_ndcg, validate(weights))
            better = validate is None or figures[-1] > max(figures[:-1])
            epoch = stands.epoch + 1
            best, best_at = (weights, epoch) if better else (best, stands.best_epoch)
            stands = Progress(epoch, best_at, time.monotonic() - began, figures)
            if checkpoint:
                checkpoint.write(stands, best)
            bar.set_postfix({"loss": f"{loss:.4f}"} | ({"ndcg": f"{figures[-1]:.4f}"} if figures else {}))
            bar.update()
    return best, FitLog(stands.epoch, stands.best_epoch, time.monotonic() - began, list(stands.valid_ndcg[1:]))


def _waited(stands: Progress, recipe: Recipe, *, validated: bool) -> bool:
    """Whether so many epochs have passed without a better one that no more are run."""
    return validated and stands.epoch > 0 and stands.epoch - stands.best_epoch >= recipe.patience
