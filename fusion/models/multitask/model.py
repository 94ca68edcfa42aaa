"""Model-level fusion: one trunk over history and all modalities, trained for several tasks at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog, History, positions
from fusion.data.projection import modality_masks
from fusion.models.base import FitContext, Predictions, Space
from fusion.models.multitask import network
from fusion.models.multitask.initial_weights import initial_weights
from fusion.models.multitask.learner import MultitaskLearner, valid_losses
from fusion.models.multitask.network import MultitaskItems
from fusion.models.trained import Trained
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.layers import fit_scales, scaled_sequences
from fusion.training.trainer import Weights
from schemas.table import MODALITIES

MIN_ITEMS_PER_CATEGORY = 2
LABELS_HELD_OUT = 0.1
"""Share of the items whose category is held out to validate the category head, when there are validation likes."""


class Multitask(Trained):
    """score(u, i) = u · z_i + b_i, where z_i = q_i + sum over modalities of φ_m(x_mi), φ_m has one hidden layer, and u
    is linear in the means of the parts q_i, φ_m(x_mi) over the items that the user likes, once with equal weights and
    once with recent likes weighing more. The parts stand side by side in an item's vector, and u is repeated for each.
    Where the catalog has sequences of audio or video, a GRU over the sequence adds to φ_m (`fusion.training.layers`).

    Three heads are trained on the trunk z: whether the user will like the item (binary cross-entropy of sigmoid(u · z +
    b + offset), over liked and all other items), how they rate it (mean squared error), and the item's category, from
    its content parts alone (softmax cross-entropy). The tasks' weights are trained too (Kendall, Gal and Cipolla 2018).
    A task without data is left out. In training, the history and the modalities of random items are hidden (dropout),
    so that each part learns to score alone.

    Args:
        tasks: `interaction`, with any of `rating` and `category`.
        width: of the trunk.
        hidden: units of a modality's hidden layer.
        units: of the recurrent layers.
        dims: columns that a modality's vectors are projected onto before learning.
        ridge: of the closed-form factors that training starts from.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        negatives, ratings_per_step: see `fusion.models.multitask.learner.MultitaskLearner`.
        training: see `fusion.training.config.TrainingConfig`; the losses are the tasks' own.

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
    sequences = True
    defaults = TrainingConfig(modality_dropout=0.1, items_per_step=2048)
    unused_settings = frozenset({"loss", "precision", "devices"})

    @validate_call
    def __init__(
        self,
        *,
        tasks: Sequence[str] = network.TASKS,
        width: PositiveInt = 64,
        hidden: PositiveInt = 128,
        units: PositiveInt = 32,
        dims: PositiveInt = 128,
        ridge: PositiveFloat = 800.0,
        decay: PositiveFloat = 10.0,
        negatives: PositiveFloat = 100.0,
        ratings_per_step: PositiveInt = 2048,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        if "interaction" not in tasks or set(tasks) - set(network.TASKS):
            raise ValueError(f"tasks {list(tasks)}: expected 'interaction', with any of {list(network.TASKS[1:])}")
        self.tasks, self.width, self.hidden, self.units, self.dims = tuple(tasks), width, hidden, units, dims
        self.ridge, self.decay, self.negatives, self.ratings_per_step = ridge, decay, negatives, ratings_per_step

    def predictions(self, catalog: Catalog, history: History) -> Predictions:
        return Predictions(self._mean_ratings(catalog, history), self._categories(catalog))

    def _mean_ratings(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        """float32 [N]: each item's predicted rating, a mean over the users; NaN where the model learnt no ratings, or
        there is no user."""
        items, (mean, deviation) = self._network(catalog), self._learnt["rating_scale"]
        if not len(history.user_ids):
            return np.full(len(catalog), np.nan, np.float32)
        users = items.users(self._weights, history.likes(), users=np.arange(len(history.user_ids)))
        trunk = sum(network.without_bias(items.parts(self._weights)))
        # the head is linear in the user: the rating of the mean user is the mean of the users' ratings
        mean_user = np.broadcast_to(users.mean(axis=0), trunk.shape)
        return (mean + deviation * network.rating(self._weights, mean_user, trunk, xp=np)).astype(np.float32)

    def _categories(self, catalog: Catalog) -> NDArray[np.str_]:
        """str [N]: the most probable category of each item by its content; "" where it has none, or the model learnt no
        categories."""
        items, categories = self._network(catalog), self._learnt["categories"]
        if not len(categories):
            return np.full(len(catalog), "")
        logits = network.category(self._weights, items.parts(self._weights), xp=np)
        return np.where(items.masks[:, 1:].any(axis=1), categories[logits.argmax(axis=1)], "")

    @property
    def _widths(self) -> dict[str, int]:
        learnt = self._modalities
        return {"history": self.width + 1, **{m: self.width if m in learnt else 0 for m in MODALITIES}}

    def _initialise(self, context: FitContext) -> tuple[MultitaskItems, Weights]:
        catalog = context.catalog
        self._learnt = self._targets(catalog, context.train) | fit_scales(catalog, self._modalities)
        items = self._network(catalog)
        return items, initial_weights(
            items,
            context.train.likes(),
            width=self.width,
            hidden=self.hidden,
            units=self.units,
            ridge=self.ridge,
            negatives=self.negatives,
            seed=context.seed,
        )

    def _network(self, catalog: Catalog) -> MultitaskItems:
        categories = self._learnt["categories"]
        label = np.searchsorted(categories, catalog.categories)
        return MultitaskItems(
            content=self._content(catalog, self._modalities),
            sequences=scaled_sequences(catalog, self._learnt),
            masks=self._block_masks(catalog, self._modalities),
            place=positions(self._item_ids, catalog.item_ids),
            labels=np.where(np.isin(catalog.categories, categories), label, -1),
            categories=len(categories),
            decays=(None, self.decay),
        )

    def _learner(self, context: FitContext, network: MultitaskItems, initial: Weights) -> MultitaskLearner:
        return MultitaskLearner(
            initial,
            replace(network, labels=np.where(_held_out(context), -1, network.labels)),
            self._standardised(context.train),
            config=self._run_config(context),
            negatives=self.negatives,
            ratings_per_step=self.ratings_per_step,
            seed=context.seed,
        )

    def _extend_log(self, context: FitContext, network: MultitaskItems, log: FitLog) -> FitLog:
        """Adds the weight and the validation loss of every task that was learnt."""
        losses: dict[str, float] = {}
        if context.holdout is not None:
            validated = _held_out(context) & network.masks[:, 1:].any(axis=1)
            losses = valid_losses(
                self._weights,
                replace(network, labels=np.where(validated, network.labels, -1)),
                context.train,
                self._standardised(context.holdout.valid),
                users=context.holdout.users,
                negatives=self.negatives,
            )
        return replace(log, tasks=self._task_log(losses))

    def _targets(self, catalog: Catalog, history: History) -> dict[str, NDArray[Any]]:
        """`categories`, the categories to be predicted, ascending, empty where there are fewer than two; and
        `rating_scale`, mean and standard deviation of the ratings, NaN where all are equal."""
        described = np.any(list(modality_masks(catalog, self._projections).values()), axis=0)
        names, counts = np.unique(catalog.categories[described & (catalog.categories != "")], return_counts=True)
        names = names[counts >= MIN_ITEMS_PER_CATEGORY]
        categories = names if "category" in self.tasks and len(names) > 1 else names[:0]
        ratings = history.rating[~np.isnan(history.rating)].astype(np.float64)
        learnt = "rating" in self.tasks and len(ratings) > 0 and ratings.std() > 0
        scale = np.array([ratings.mean(), ratings.std()] if learnt else [np.nan] * 2, np.float32)
        return {"categories": categories, "rating_scale": scale}

    def _standardised(self, history: History) -> History:
        """The history with standardised ratings; all NaN where the model learns none."""
        mean, deviation = self._learnt["rating_scale"]
        return replace(history, rating=(history.rating - mean) / deviation)

    def _task_log(self, losses: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """Task that was learnt → its weight, and its validation loss if there is one."""
        learnt = {
            "rating": not np.isnan(self._learnt["rating_scale"]).any(),
            "category": len(self._learnt["categories"]) > 0,
        }
        weights = dict(zip(network.TASKS, np.exp(-self._weights["uncertainty"]).tolist(), strict=True))
        return {
            task: {"weight": weight} | ({"valid_loss": losses[task]} if task in losses else {})
            for task, weight in weights.items()
            if learnt.get(task, True)
        }


def _held_out(context: FitContext) -> NDArray[np.bool_]:
    """bool [N]: items whose category is held out for validation, drawn by the seed."""
    share = LABELS_HELD_OUT if context.holdout else 0
    return np.random.default_rng(context.seed).random(len(context.catalog)) < share
