"""Model-level fusion: one trunk over history and all modalities, trained for several tasks at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog, History
from fusion.data.projection import modality_masks
from fusion.models.base import FitContext, Predictions, Space
from fusion.models.joint import ITEM_RMS, recent_factors, regression
from fusion.models.trained import FACTOR_RMS, Trained
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.examples import Example, LikesDataset
from fusion.training.layers import NOISE, HideBlocks, SequenceReader
from fusion.training.losses import LIKED_PER_USER
from fusion.training.ranker import LAST, STEPS, ItemTable, Ranker, scores
from schemas.table import MODALITIES

TASKS = ("interaction", "rating", "category")
RATED_PER_USER = 8
"""R: most ratings of a user that an example has."""
MIN_ITEMS_PER_CATEGORY = 2


@keras.saving.register_keras_serializable("nightweave")
class InteractionLoss(keras.losses.Loss):
    """Binary cross-entropy of what a user liked next, a mean over the liked items, and of the other candidates, which
    all together weigh as much as `negatives` items. Labels and scores are those of `fusion.training.losses`."""

    def __init__(self, negatives: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negatives = negatives

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """[B]"""
        liked, others = y_pred[:, :LIKED_PER_USER], y_pred[:, LIKED_PER_USER:]
        kept = ops.cast(y_true[:, LIKED_PER_USER:] == 0, y_pred.dtype)
        return ops.mean(ops.softplus(-liked), axis=1) + self.negatives * ops.mean(ops.softplus(others) * kept, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negatives": self.negatives}


@keras.saving.register_keras_serializable("nightweave")
class RatingLoss(keras.losses.Loss):
    """Mean squared error [] of ratings [B, R], those that are NaN left out; 0 where all are."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        known = ops.logical_not(ops.isnan(y_true))
        error = ops.where(known, y_true, 0.0) - y_pred
        known = ops.cast(known, y_pred.dtype)
        return ops.sum(ops.square(error) * known) / ops.maximum(ops.sum(known), 1.0)


@keras.saving.register_keras_serializable("nightweave")
class CategoryLoss(keras.losses.Loss):
    """Softmax cross-entropy [] of categories [n] by logits [n, K], those that are -1 left out; 0 where all are."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[1])  # all 0 for -1
        crossed = ops.sum(labels * ops.log_softmax(y_pred, axis=1))
        return -crossed / ops.maximum(ops.sum(labels), 1.0)


@keras.saving.register_keras_serializable("nightweave")
class MultitaskRanker(Ranker):
    """Items whose parts stand side by side, [q, b, φ_m(x_m) for each modality m], and whose trunk z is the sum of q and
    all φ. A user's u is repeated for each part, so that a score is u · z + b. Three heads:

    - interaction: sigmoid(u · z + b + offset), the probability of a like;
    - rating: linear in [u * z, u, z];
    - category: linear in the content parts of z.

    The loss is the sum over tasks t of exp(-s_t) L_t + s_t with trained s (Kendall, Gal and Cipolla 2018,
    arXiv:1705.07115), least at s_t = ln L_t, so that a task's weight tends to 1 / L_t. A task without data in a batch
    adds nothing.

    Args:
        width: d, of the trunk.
        inner_units: of a modality's hidden layer.
        units: of the recurrent layers.
        categories: number of categories; 0 for no category head.
        rated: whether there is a rating head.
        negatives: of `InteractionLoss`.
        known, content, steps, profile, hidden: see `Ranker`.
    """

    def __init__(
        self,
        *,
        known: int,
        content: Mapping[str, int],
        steps: Mapping[str, int],
        profile: int,
        hidden: list[float],
        width: int,
        inner_units: int,
        units: int,
        categories: int,
        rated: bool,
        negatives: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
        policy = self.dtype_policy
        self.embedding = layers.Embedding(known + 1, width + 1, dtype=policy)  # q and b; row 0 for all not known
        self.inner = [layers.Dense(inner_units, "relu", name=m, dtype=policy) for m in content]
        self.outer = [layers.Dense(width, name=f"{m}_out", dtype=policy) for m in content]
        self.read = {m: SequenceReader(units, width, dtype=policy) for m in steps}
        self.user = layers.Dense(width, dtype=policy)
        self.hide = HideBlocks(hidden, dtype=policy)
        self.offset = self.add_weight(shape=(), initializer="zeros", name="offset")
        self.uncertainty = self.add_weight(shape=(len(TASKS),), initializer="zeros", name="uncertainty")
        self.rating: Any = layers.Dense(1, kernel_initializer="zeros", dtype=policy) if rated else None
        small = keras.initializers.RandomNormal(stddev=NOISE)
        with_categories = categories and content
        self.category: Any = (
            layers.Dense(categories, kernel_initializer=small, dtype=policy) if with_categories else None
        )
        self.losses_of: dict[str, keras.losses.Loss] = {
            "interaction": InteractionLoss(negatives),
            "rating": RatingLoss(),
            "category": CategoryLoss(),
        }
        self.means = {task: keras.metrics.Mean(name=f"{task}_loss") for task in self.tasks}
        for head, columns in ((self.rating, 3 * width), (self.category, width)):
            if head is not None:
                head.build((None, columns))
        self.make_weights()

    @property
    def tasks(self) -> list[str]:
        """Those that there is anything to learn for."""
        heads = {"interaction": self.user, "rating": self.rating, "category": self.category}
        return [task for task, head in heads.items() if head is not None]

    def users(self, profiles: Any) -> Any:
        user = self.user(profiles)
        return ops.concatenate([user, ops.ones_like(user[:, :1]), ops.tile(user, (1, len(self.inner)))], axis=1)

    def items(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        shown = self.hide(inputs["shown"], training=training)
        parts = [self.embedding(inputs["known"]) * shown[:, :1]]
        for place, (inner, outer) in enumerate(zip(self.inner, self.outer, strict=True), start=1):
            part, modality = outer(inner(inputs[inner.name])), inner.name
            if modality in self.read:
                part = part + self.read[modality](inputs[modality + STEPS], inputs[modality + LAST])
            parts.append(part * shown[:, place : place + 1])
        return ops.concatenate(parts, axis=1)

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Task → its predictions: scores [B, S + C], ratings [B, R], and logits [C, categories] of the candidates.

        Args:
            inputs: as in `Ranker.call`, and `rated` int [B, R], rows of the catalog.
        """
        liked, rated = ops.reshape(inputs["liked"], (-1,)), ops.reshape(inputs["rated"], (-1,))
        candidates = inputs["candidates"][0]
        items = self.items(self.table(ops.concatenate([liked, candidates, rated])), training=training)
        own, others = items[: ops.shape(liked)[0]], items[ops.shape(liked)[0] :]
        ranked, judged = others[: ops.shape(candidates)[0]], others[ops.shape(candidates)[0] :]
        users = self.users(inputs["profile"])
        found = {"interaction": scores(users, own, ranked) + ops.cast(self.offset, users.dtype)}
        if self.rating is not None:
            user = ops.repeat(self.user(inputs["profile"]), RATED_PER_USER, axis=0)  # [B R, d]
            found["rating"] = ops.reshape(self.ratings(user, self.trunk(judged)), (-1, RATED_PER_USER))
        if self.category is not None:
            found["category"] = self.category(self.trunk(ranked, content_only=True))
        return found

    def trunk(self, vectors: Any, *, content_only: bool = False) -> Any:
        """z [n, d], or its content parts alone, given items [n, D]."""
        width = self.settings["width"]
        parts = ops.reshape(vectors[:, width + 1 :], (ops.shape(vectors)[0], len(self.inner), width))
        content = ops.sum(parts, axis=1)
        return content if content_only else content + vectors[:, :width]

    def ratings(self, user: Any, trunk: Any) -> Any:
        """Standardised ratings [n] of users and items in pairs, [n, d] each."""
        return self.rating(ops.concatenate([user * trunk, user, trunk], axis=1))[:, 0]

    def task_losses(self, y: Mapping[str, Any], predicted: Mapping[str, Any]) -> dict[str, Any]:
        """Task → its loss []. Every row of `y["category"]` [B, C] is the same, so that a batch can be divided."""
        labels = {**y, "category": y["category"][0]}
        return {task: self.losses_of[task](labels[task], predicted[task]) for task in self.tasks}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        present = {
            "interaction": ops.ones(()),
            "rating": ops.any(ops.logical_not(ops.isnan(y["rating"]))),
            "category": ops.any(y["category"] >= 0),
        }
        found = self.task_losses(y, y_pred)
        for task, loss in found.items():
            self.means[task].update_state(loss, sample_weight=ops.cast(present[task], "float32"))
        losses = ops.stack([found.get(task, ops.zeros(())) for task in TASKS])
        counts = ops.stack([ops.cast(present[task], "float32") if task in found else ops.zeros(()) for task in TASKS])
        return ops.sum(counts * (ops.exp(-self.uncertainty) * losses + self.uncertainty))


class TasksDataset(LikesDataset):
    """Batches of likes with ratings and categories.

    Args:
        categories: int [N], of the catalog's items; -1 for none.
        others: of `LikesDataset`; the ratings of the history are standardised.
    """

    def __init__(self, *others: Any, categories: NDArray[np.int64], **settings: Any) -> None:
        super().__init__(*others, **settings)
        self.categories = categories

    def batch(self, example: Example, random: np.random.Generator) -> tuple[dict[str, NDArray[Any]], Any]:
        """As in `LikesDataset`, and `rated` int32 [B, R], items that the user rated from the moment on. The labels by
        task: those of likes, `rating` float32 [B, R], NaN for none, and `category` [B, C] of the candidates."""
        inputs, labels = super().batch(example, random)
        later = example.later.where(~np.isnan(example.later.rating))
        later = later.where(random.permutation(len(later)))
        later = later.where(np.argsort(later.user, kind="stable"))
        place = np.arange(len(later)) - np.searchsorted(later.user, later.user)  # among the user's ratings
        kept = later.where(place < RATED_PER_USER)
        rated = np.zeros((len(labels), RATED_PER_USER), np.int32)
        rating = np.full(rated.shape, np.nan, np.float32)
        at = kept.user, place[place < RATED_PER_USER]
        rated[at], rating[at] = kept.item, kept.rating
        category = self.categories[inputs["candidates"]].astype(np.int32)
        return {**inputs, "rated": rated}, {"interaction": labels, "rating": rating, "category": category}


class Multitask(Trained):
    """score(u, i) = u · z_i + b_i, where z_i = q_i + sum over modalities of φ_m(x_mi), φ_m has one hidden layer, and u
    is linear in the user's profile. Where the catalog has sequences of audio or video, a GRU over the sequence adds to
    φ_m (`fusion.training.layers.SequenceReader`).

    Three heads are trained on the trunk z: whether the user will like the item, how they rate it, and the item's
    category, from its content parts alone (`MultitaskRanker`). A task without data is left out. In training, the
    history and the modalities of random items are hidden, so that each part learns to score alone.

    Before training, hidden units are random (He et al. 2015) and the last layers of all φ together are the ridge
    regression of the known items' closed-form factors; q is its residual, b the centred log of the number of likes, and
    u the recent mean of the factors. The offset makes the predicted likes of an average user sum to about one over the
    catalog.

    Args:
        tasks: `interaction`, with any of `rating` and `category`.
        width: of the trunk.
        hidden: units of a modality's hidden layer.
        units: of the recurrent layers.
        dims: columns that a modality's vectors are projected onto before learning.
        ridge: of the closed-form factors that training starts from.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        negatives: total weight of all items that a user did not like, where those that they liked weigh 1 together.
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
    defaults = TrainingConfig(modality_dropout=0.1, items_per_step=2048, devices=1)
    unused_settings = frozenset({"loss", "devices"})

    @validate_call
    def __init__(
        self,
        *,
        tasks: Sequence[str] = TASKS,
        width: PositiveInt = 64,
        hidden: PositiveInt = 128,
        units: PositiveInt = 32,
        dims: PositiveInt = 128,
        ridge: PositiveFloat = 800.0,
        decay: PositiveFloat = 10.0,
        negatives: PositiveFloat = 100.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        if "interaction" not in tasks or set(tasks) - set(TASKS):
            raise ValueError(f"tasks {list(tasks)}: expected 'interaction', with any of {list(TASKS[1:])}")
        self.tasks, self.rank, self.hidden, self.units, self.dims = tuple(tasks), width, hidden, units, dims
        self.ridge, self.decay, self.negatives = ridge, decay, negatives

    def predictions(self, catalog: Catalog, history: History) -> Predictions:
        arrays, users = self._inputs(catalog), self.user_vectors(catalog, history)[:, : self.rank]
        vectors = ops.convert_to_tensor(self._items(ItemTable(arrays), len(catalog)))
        rating, category = np.full(len(catalog), np.nan, np.float32), np.full(len(catalog), "")
        if self._network.rating is not None and len(users):
            # the head is linear in the user: the rating of the mean user is the mean of the users' ratings
            mean, deviation = self._learnt["rating_scale"]
            user = ops.convert_to_tensor(np.broadcast_to(users.mean(axis=0), (len(catalog), self.rank)))
            rating = mean + deviation * ops.convert_to_numpy(self._network.ratings(user, self._network.trunk(vectors)))
        if self._network.category is not None:
            logits = self._network.category(self._network.trunk(vectors, content_only=True))
            likeliest = self._learnt["categories"][ops.convert_to_numpy(logits).argmax(axis=1)]
            category = np.where(arrays["shown"][:, 1:].any(axis=1), likeliest, "")
        return Predictions(rating.astype(np.float32), category)

    @property
    def _widths(self) -> dict[str, int]:
        learnt = self._modalities
        return {"history": self.rank, "popularity": 1, **{m: self.rank if m in learnt else 0 for m in MODALITIES}}

    def _learn(self, context: FitContext) -> dict[str, NDArray[Any]]:
        """Also `categories`, the categories to be predicted, ascending, empty where there are fewer than two; and
        `rating_scale`, mean and standard deviation of the ratings, NaN where all are equal."""
        catalog, ratings = context.catalog, context.train.rating
        described = np.any(list(modality_masks(catalog, self._projections).values()), axis=0)
        names, counts = np.unique(catalog.categories[described & (catalog.categories != "")], return_counts=True)
        names = names[counts >= MIN_ITEMS_PER_CATEGORY]
        categories = names if "category" in self.tasks and len(names) > 1 else names[:0]
        ratings = ratings[~np.isnan(ratings)].astype(np.float64)
        learnt = "rating" in self.tasks and len(ratings) > 0 and ratings.std() > 0
        scale = np.array([ratings.mean(), ratings.std()] if learnt else [np.nan] * 2, np.float32)
        return {**super()._learn(context), "categories": categories, "rating_scale": scale}

    def _made(self, context: FitContext, arrays: Mapping[str, NDArray[Any]], *, dtype: str) -> MultitaskRanker:
        factors, known, width = self._learnt["factors"], arrays["known"] > 0, self.rank
        shape = self._shape(arrays)
        network = MultitaskRanker(
            width=width,
            inner_units=self.hidden,
            units=self.units,
            categories=len(self._learnt["categories"]),
            rated=not np.isnan(self._learnt["rating_scale"]).any(),
            negatives=self.negatives,
            dtype=dtype,
            **shape,
        )
        random = np.random.default_rng(context.seed)
        active = []  # of each modality [K, h + 1]: its hidden units and a 1 for the bias, 0 where an item lacks it
        for place, layer in enumerate(network.inner, start=1):
            columns = shape["content"][layer.name]
            kernel = random.normal(0, np.sqrt(2 / columns), (columns, self.hidden))
            layer.set_weights([kernel, np.zeros(self.hidden)])
            units = np.maximum(arrays[layer.name][known] @ kernel, 0)
            active.append(np.hstack([units, np.ones((len(units), 1))]) * arrays["shown"][known][:, [place]])
        wanted = np.pad(factors * (ITEM_RMS / FACTOR_RMS), ((0, 0), (0, width - factors.shape[1])))
        kernels, residual = regression(active, wanted)
        for layer, kernel in zip(network.outer, kernels, strict=True):
            noise = random.normal(0, NOISE / np.sqrt(self.hidden), (self.hidden, width))
            layer.set_weights([kernel[:-1] + noise, kernel[-1]])
        bias = self._popularity(context)
        network.embedding.set_weights([np.pad(np.hstack([residual, bias]), ((1, 0), (0, 0)))])
        network.user.set_weights(recent_factors(factors.shape[1], shape["profile"], width, seed=context.seed))
        # sum over the catalog of negatives / N e^b, where b is 0 for unknown items
        odds = self.negatives * (np.exp(bias).sum() + len(known) - len(bias)) / max(1, len(known))
        network.offset.assign(-np.log(max(1.0, odds)))
        return network

    def _objective(self) -> dict[str, Any]:
        """Nothing: the network's losses are its own."""
        return {}

    def _dataset(self, context: FitContext) -> TasksDataset:
        mean, deviation = self._learnt["rating_scale"]
        return TasksDataset(
            replace(context.train, rating=(context.train.rating - mean) / deviation),
            len(context.catalog),
            self._profiles(context.catalog),
            categories=self._labels(context.catalog),
            config=self.config,
            seed=context.seed,
        )

    def _labels(self, catalog: Catalog) -> NDArray[np.int64]:
        """int64 [N], each item's category; -1 where it has none to learn from."""
        names = self._learnt["categories"]
        return np.where(np.isin(catalog.categories, names), np.searchsorted(names, catalog.categories), -1)

    def _extended(self, context: FitContext, log: FitLog) -> FitLog:
        """Adds the weight of every task that was learnt."""
        weights = dict(zip(TASKS, np.exp(-self._network.uncertainty.numpy()).tolist(), strict=True))
        return replace(log, tasks={task: weights[task] for task in self._network.tasks})
