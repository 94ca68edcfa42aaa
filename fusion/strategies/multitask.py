"""Model-level fusion: one trunk over history and all modalities, learnt for several tasks at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from fusion.data import Catalog, History
from fusion.lookup import places
from fusion.multitask import network
from fusion.multitask.items import Items, Weights
from fusion.multitask.start import start
from fusion.multitask.training import TaskRecipe, train
from fusion.multitask.validation import valid_losses
from fusion.preprocess import fit_projections, projections_from, projections_state, speaks
from fusion.strategies.base import FitLog, Space, Strategy
from fusion.validation import Holdout
from schemas.table import MODALITIES

MIN_ITEMS_PER_CATEGORY = 2
LABELS_HELD_OUT = 0.1
"""Share of the items whose category validates the category head, when there are validation likes."""
_PREFIX = "weights/"


class Multitask(Strategy):
    """score(u, i) = u · z_i + b_i, where z_i = q_i + sum over modalities of φ_m(x_mi), φ_m has one hidden layer, and u
    is linear in the means of the parts q_i, φ_m(x_mi) over the items that the user likes, once over all likes alike and
    once with recent ones weighing more. The parts stand side by side in an item's vector, and u is repeated for each.

    Three heads learn on the trunk z: whether the user will like the item (binary cross-entropy of sigmoid(u · z + b +
    offset), over liked and all other items), how they rate it (mean squared error), and the item's category, from its
    content parts alone (softmax cross-entropy). The tasks' weights are learnt too (Kendall, Gal and Cipolla 2018). A
    task without data plays no part. Hiding the history and the modalities of random items in training teaches each
    part to speak alone.

    Args:
        tasks: what is learnt: `interaction`, with any of `rating` and `category`.
        width: of the trunk.
        hidden: units of a modality's hidden layer.
        dims: columns that a modality's vectors are projected onto before learning.
        ridge: of the closed-form factors that training begins at.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        negatives, ratings_per_step: see `fusion.multitask.training.TaskRecipe`.
        epochs, patience, batch_size, learning_rate, item_dropout, modality_dropout, items_per_step, steps_per_epoch,
            optimizer: see `fusion.training.Recipe`.
        untuned_epochs: how many there are when `fit` is given neither validation data nor what it once chose.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "multitask"
    space: ClassVar[Space] = {
        "width": IntDistribution(32, 128, log=True),
        "hidden": IntDistribution(64, 256, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
        "item_dropout": FloatDistribution(0.0, 0.3),
    }

    def __init__(
        self,
        *,
        tasks: Sequence[str] = network.TASKS,
        width: int = 64,
        hidden: int = 128,
        dims: int = 128,
        ridge: float = 800.0,
        decay: float = 10.0,
        negatives: float = 100.0,
        modality_dropout: float = 0.1,
        ratings_per_step: int = 2048,
        epochs: int = 30,
        untuned_epochs: int = 10,
        patience: int = 6,
        batch_size: int = 128,
        learning_rate: float = 5e-4,
        item_dropout: float = 0.1,
        items_per_step: int = 2048,
        steps_per_epoch: Sequence[int] = (20, 200),
        optimizer: str = "adam",
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        _check(self._parameters)
        self.tasks, self.width, self.hidden, self.dims = tuple(tasks), width, hidden, dims
        self.ridge, self.decay, self.untuned_epochs = ridge, decay, untuned_epochs
        self.recipe = TaskRecipe(
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            item_dropout=item_dropout,
            items_per_step=items_per_step,
            steps_per_epoch=(steps_per_epoch[0], steps_per_epoch[1]),
            modality_dropout=modality_dropout,
            negatives=negatives,
            ratings_per_step=ratings_per_step,
            optimizer=optimizer,
        )

    def parameters(self) -> dict[str, Any]:
        return dict(self._parameters)

    def fit(
        self,
        catalog: Catalog,
        train: History,
        valid: History | None = None,
        *,
        seed: int,
        tuned: FitLog | None = None,
        progress: bool = False,
    ) -> FitLog:
        likes = train.likes()
        self._projections = fit_projections(catalog, dims=self.dims)
        self._item_ids = catalog.item_ids[np.bincount(likes.item, minlength=len(catalog)) > 0]
        self._learn_scales(catalog, train)
        items = self._items(catalog)
        self._weights = start(
            items,
            likes,
            width=self.width,
            hidden=self.hidden,
            ridge=self.ridge,
            negatives=self.recipe.negatives,
            seed=seed,
        )
        if not len(likes):
            return FitLog()
        return self._train(items, train, valid, seed=seed, tuned=tuned, progress=progress)

    @property
    def blocks(self) -> dict[str, slice]:
        blocks, first = {"history": slice(0, self.width + 1)}, self.width + 1
        for modality in MODALITIES:
            stop = first + (self.width if modality in self._modalities else 0)
            blocks[modality] = slice(first, stop)
            first = stop
        return blocks

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` without the popularity bias, which says nothing of likeness."""
        return {**self.blocks, "history": slice(0, self.width)}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        return {"history": places(self._item_ids, catalog) >= 0, **speaks(catalog, self._projections)}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._items(catalog).item_vectors(self._weights)

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        everyone = np.arange(len(history.user_ids))
        return self._items(catalog).user_vectors(self._weights, history.likes(), users=everyone)

    def ratings(self, catalog: Catalog, history: History, asked: History) -> NDArray[np.float32]:
        """float32 [n]: what each row of `asked`, under the same `user_ids`, may be rated by a user who likes what
        `history` says; NaN where the model learnt no ratings. The rows' own ratings play no part."""
        items, (mean, deviation) = self._items(catalog), self._rating_scale
        users = items.users(self._weights, history.likes(), users=np.arange(len(history.user_ids)))
        trunk = sum(network.without_bias(items.parts(self._weights)))
        return mean + deviation * network.rating(self._weights, users[asked.user], trunk[asked.item], xp=np)

    def categories(self, catalog: Catalog) -> NDArray[np.str_]:
        """str [N]: what category each item seems to be of; "" where it has no content, or the model learnt none."""
        items = self._items(catalog)
        if not len(self._categories):
            return np.full(len(catalog), "")
        logits = network.category(self._weights, items.parts(self._weights), xp=np)
        return np.where(items.masks[:, 1:].any(axis=1), self._categories[logits.argmax(axis=1)], "")

    def state(self) -> dict[str, NDArray[Any]]:
        learnt = {"item_ids": self._item_ids, "categories": self._categories, "rating_scale": self._rating_scale}
        weights = {_PREFIX + name: array for name, array in self._weights.items()}
        return projections_state(self._projections) | learnt | weights

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._projections = projections_from(state)
        self._item_ids, self._categories = state["item_ids"], state["categories"]
        self._rating_scale = state["rating_scale"]
        self._weights = {n.removeprefix(_PREFIX): array for n, array in state.items() if n.startswith(_PREFIX)}

    @property
    def _modalities(self) -> list[str]:
        """Those of which something was learnt."""
        return [m for m in MODALITIES if self._projections[m].dims]

    def _learn_scales(self, catalog: Catalog, history: History) -> None:
        """The categories that there are to tell apart, and the mean and standard deviation of ratings, NaN where all
        are alike."""
        described = np.any(list(speaks(catalog, self._projections).values()), axis=0)
        names, counts = np.unique(catalog.categories[described & (catalog.categories != "")], return_counts=True)
        names = names[counts >= MIN_ITEMS_PER_CATEGORY]
        self._categories = names if "category" in self.tasks and len(names) > 1 else names[:0]
        given = history.rating[~np.isnan(history.rating)].astype(np.float64)
        learnt = "rating" in self.tasks and len(given) > 0 and given.std() > 0
        self._rating_scale = np.array([given.mean(), given.std()] if learnt else [np.nan] * 2, np.float32)

    def _items(self, catalog: Catalog) -> Items:
        masks = self.masks(catalog)
        label = np.searchsorted(self._categories, catalog.categories)
        return Items(
            content={m: self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in self._modalities},
            masks=np.stack([masks[name] for name in ("history", *self._modalities)], axis=1),
            place=places(self._item_ids, catalog),
            labels=np.where(np.isin(catalog.categories, self._categories), label, -1),
            categories=len(self._categories),
            decays=(None, self.decay),
        )

    def _train(
        self,
        items: Items,
        train_on: History,
        valid: History | None,
        *,
        seed: int,
        tuned: FitLog | None,
        progress: bool,
    ) -> FitLog:
        holdout = None if valid is None else Holdout(train_on, valid, n_items=len(items), seed=seed)
        users = np.zeros(0, np.int64) if holdout is None else holdout.users
        likes = train_on.likes()
        validate: Callable[[Weights], float] | None = None
        if holdout is not None and len(users):

            def validate(weights: Weights) -> float:
                return holdout.ndcg(items.user_vectors(weights, likes, users=users), items.item_vectors(weights))

        epochs = tuned.best_epoch if tuned else self.recipe.epochs if validate else self.untuned_epochs
        held_out = np.random.default_rng(seed).random(len(items)) < (LABELS_HELD_OUT if validate else 0)
        self._weights, log = train(
            self._weights,
            replace(items, labels=np.where(held_out, -1, items.labels)),
            self._standardised(train_on),
            recipe=replace(self.recipe, epochs=epochs, checkpoint=self.checkpoint),
            seed=seed,
            validate=validate,
            progress=progress,
        )
        losses: dict[str, float] = {}
        if valid is not None and len(users):
            items = replace(items, labels=np.where(held_out & items.masks[:, 1:].any(axis=1), items.labels, -1))
            rated = self._standardised(valid)
            losses = valid_losses(self._weights, items, train_on, rated, users=users, negatives=self.recipe.negatives)
        return replace(log, tasks=self._report(losses))

    def _standardised(self, history: History) -> History:
        mean, deviation = self._rating_scale
        return replace(history, rating=(history.rating - mean) / deviation)

    def _report(self, losses: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """Task that was learnt → its weight, and its validation loss if there is one."""
        learnt = {"rating": not np.isnan(self._rating_scale).any(), "category": len(self._categories) > 0}
        weights = dict(zip(network.TASKS, np.exp(-self._weights["uncertainty"]).tolist(), strict=True))
        return {
            task: {"weight": weight} | ({"valid_loss": losses[task]} if task in losses else {})
            for task, weight in weights.items()
            if learnt.get(task, True)
        }


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises ValueError where an argument is out of its range."""
    tasks = list(parameters["tasks"])
    if "interaction" not in tasks or set(tasks) - set(network.TASKS):
        raise ValueError(f"tasks {tasks}: expected 'interaction', with any of {list(network.TASKS[1:])}")
    for name in ("width", "hidden", "dims", "batch_size", "items_per_step", "ratings_per_step", "patience"):
        if parameters[name] < 1:
            raise ValueError(f"{name} {parameters[name]}: expected 1 or more")
    for name in ("ridge", "decay", "negatives", "learning_rate"):
        if not parameters[name] > 0:
            raise ValueError(f"{name} {parameters[name]}: expected more than 0")
    for name in ("item_dropout", "modality_dropout"):
        if not 0 <= parameters[name] < 1:
            raise ValueError(f"{name} {parameters[name]}: expected a share, at least 0 and below 1")
    for name in ("epochs", "untuned_epochs"):
        if parameters[name] < 0:
            raise ValueError(f"{name} {parameters[name]}: expected 0 or more")
    least, most = parameters["steps_per_epoch"]
    if not 1 <= least <= most:
        raise ValueError(f"steps_per_epoch {[least, most]}: expected the least and the most, each 1 or more")
