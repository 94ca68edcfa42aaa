"""Model-level fusion over time: a user is an attentive reading of what they liked last, by history and content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from fusion.baselines import like_matrix
from fusion.data import Catalog, History
from fusion.factors import autoencoder_factors
from fusion.lookup import places, rows_at
from fusion.preprocess import fit_projections, projections_from, projections_state, speaks
from fusion.sequence.items import Items
from fusion.sequence.tower import Weights
from fusion.sequence.training import train as train_tower
from fusion.strategies.base import BLOCKS, FitLog, Space, Strategy
from fusion.training import Recipe
from fusion.validation import Holdout
from schemas.table import MODALITIES

SOURCE_SCALE = 1 / 64
"""Root mean square of the history factors of known items, so that one learning rate suits any size of catalog."""
NOISE = 0.003
GAIN = 200.0
"""How sharply the untrained model prefers what the closed-form factors prefer."""
HEADS = 2
"""One that begins heeding all places alike, and one that begins heeding the latest."""
_PREFIX = "weights/"


class SequenceFusion(Strategy):
    """score(u, i) = u · [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i], where u is read off the
    user's last likes by self-attention, in the manner of SASRec (Kang and McAuley 2018; `fusion.sequence.tower.read`).

    A like is known by its item's closed-form history factors and projected modalities. Attention begins as a plain mean
    and as one that weighs recent likes more, q at the factors and W at a whitening, so that training begins at a good
    model; everything is then trained together by softmax cross-entropy on what users liked next. Hiding q and b of
    random items in training teaches the content columns to speak for items that nobody has liked yet.

    Args:
        length: likes that are read, at most.
        rank: history factors.
        dims: columns that a modality's vectors are projected onto before learning.
        width: columns that a modality has in the item's vector, at most.
        key: columns of a head's queries and keys.
        hidden: units of the layer above the readings.
        content_gain: how much likeness of content counts before training.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the second head, before training.
        epochs, patience, batch_size, learning_rate, item_dropout, items_per_step, steps_per_epoch: see
            `fusion.training.Recipe`.
        untuned_epochs: how many there are when `fit` is given neither validation data nor what it once chose.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "sequence"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 128, log=True),
        "content_gain": FloatDistribution(0.5, 10.0, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
    }

    def __init__(
        self,
        *,
        length: int = 50,
        rank: int = 64,
        dims: int = 64,
        width: int = 32,
        key: int = 16,
        hidden: int = 64,
        content_gain: float = 3.0,
        ridge: float = 800.0,
        decay: float = 10.0,
        epochs: int = 30,
        untuned_epochs: int = 10,
        patience: int = 6,
        batch_size: int = 128,
        learning_rate: float = 5e-4,
        item_dropout: float = 0.1,
        items_per_step: int = 8192,
        steps_per_epoch: Sequence[int] = (20, 200),
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        _check(self._parameters)
        self.length, self.rank, self.dims, self.width, self.key, self.hidden = length, rank, dims, width, key, hidden
        self.content_gain, self.ridge, self.decay, self.untuned_epochs = content_gain, ridge, decay, untuned_epochs
        self.recipe = Recipe(
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            item_dropout=item_dropout,
            items_per_step=items_per_step,
            steps_per_epoch=(steps_per_epoch[0], steps_per_epoch[1]),
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
        matrix = like_matrix(likes, len(catalog))
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        factors = autoencoder_factors(matrix, rank=self.rank, ridge=self.ridge, seed=seed)[counts > 0]
        size = np.sqrt(np.mean(factors**2)) if factors.size else 1.0
        self._item_ids, self._factors = catalog.item_ids[counts > 0], (factors * (SOURCE_SCALE / size)).astype("f4")
        self._projections = fit_projections(catalog, dims=self.dims)
        self._weights = self._start(counts[counts > 0], seed=seed)
        if not len(likes):
            return FitLog()
        items = self._items(catalog)
        validate = None if valid is None else _validator(items, train, valid, seed=seed)
        epochs = tuned.best_epoch if tuned else self.recipe.epochs if validate else self.untuned_epochs
        weights, log = train_tower(
            self._placed(catalog),
            items,
            likes,
            recipe=replace(self.recipe, epochs=epochs),
            seed=seed,
            validate=validate,
            progress=progress,
        )
        self._weights = {**weights, "history": weights["history"][items.known]}
        return log

    @property
    def blocks(self) -> dict[str, slice]:
        blocks, start = {}, 0
        for name in BLOCKS:
            stop = start + self._weights[name].shape[1]
            blocks[name] = slice(start, stop)
            start = stop
        return blocks

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` without the popularity bias, which says nothing of likeness."""
        blocks = self.blocks
        return {**blocks, "history": slice(0, max(0, blocks["history"].stop - 1))}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        return {"history": places(self._item_ids, catalog) >= 0, **speaks(catalog, self._projections)}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._items(catalog).item_vectors(self._placed(catalog))

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        everyone = np.arange(len(history.user_ids))
        return self._items(catalog).user_vectors(history.likes(), self._weights, users=everyone)

    def state(self) -> dict[str, NDArray[Any]]:
        learnt = {"item_ids": self._item_ids, "factors": self._factors}
        return projections_state(self._projections) | learnt | {_PREFIX + n: a for n, a in self._weights.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._projections = projections_from(state)
        self._item_ids, self._factors = state["item_ids"], state["factors"]
        self._weights = {n.removeprefix(_PREFIX): array for n, array in state.items() if n.startswith(_PREFIX)}

    def _start(self, counts: NDArray[np.float32], *, seed: int) -> Weights:
        """Weights that already rank: known items by the recent head's mean factors and by popularity, and every item by
        how near its content is to that mean's.

        Args:
            counts: float32 [K], likes of the known items.
        """
        random = np.random.default_rng(seed)
        rank, log_counts = self._factors.shape[1], np.log1p(counts)[:, None]
        history = np.hstack([self._factors, log_counts - log_counts.mean() if len(counts) else log_counts])
        content: dict[str, NDArray[Any]] = {
            m: self._projections[m].whitening(self.width) / np.sqrt(self.width) for m in MODALITIES
        }
        widths = [rank, *(len(part) for part in content.values())]
        sources, columns = sum(widths), rank + 1 + sum(part.shape[1] for part in content.values())
        kernel = random.normal(0, NOISE, (HEADS * sources, columns))
        kernel[sources + np.arange(rank), np.arange(rank)] += GAIN
        row, column = sources + rank, rank + 1
        for part in content.values():
            kernel[row : row + part.shape[0], column : column + part.shape[1]] += self.content_gain * part
            row, column = row + part.shape[0], column + part.shape[1]
        bias = np.zeros(columns)
        bias[rank] = 1.0
        weights: dict[str, NDArray[Any]] = {
            "query": np.zeros((sources, HEADS * self.key)),
            "key": random.normal(0, 1 / np.sqrt(max(1, sources)), (sources, HEADS * self.key)),
            "place": np.stack([np.zeros(self.length), -np.arange(self.length) / self.decay]),
            "kernel": kernel,
            "bias": bias,
            "hidden": random.normal(0, 1 / np.sqrt(max(1, HEADS * sources)), (HEADS * sources, self.hidden)),
            "hidden_bias": np.zeros(self.hidden),
            "out": np.zeros((self.hidden, columns)),
            "history": history,
        }
        weights |= content
        return {name: array.astype(np.float32) for name, array in weights.items()}

    def _placed(self, catalog: Catalog) -> Weights:
        """The weights with the history rows where the catalog has their items, 0 for unknown ones."""
        return {**self._weights, "history": rows_at(self._weights["history"], places(self._item_ids, catalog))}

    def _items(self, catalog: Catalog) -> Items:
        return Items(
            factors=rows_at(self._factors, places(self._item_ids, catalog)),
            content={m: self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in MODALITIES},
            masks=self.masks(catalog),
        )


def _validator(items: Items, train: History, valid: History, *, seed: int) -> Callable[[Weights], float] | None:
    """Weights → mean validation ndcg; None where nobody has a validation like."""
    holdout = Holdout(train, valid, n_items=len(items.known), seed=seed)
    if not len(holdout.users):
        return None
    likes = train.likes()
    return lambda weights: holdout.ndcg(
        items.user_vectors(likes, weights, users=holdout.users), items.item_vectors(weights)
    )


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises ValueError where an argument is out of its range."""
    for name in ("length", "rank", "dims", "width", "key", "hidden", "batch_size", "items_per_step", "patience"):
        if parameters[name] < 1:
            raise ValueError(f"{name} {parameters[name]}: expected 1 or more")
    for name in ("ridge", "decay", "learning_rate"):
        if not parameters[name] > 0:
            raise ValueError(f"{name} {parameters[name]}: expected more than 0")
    if not 0 <= parameters["item_dropout"] < 1:
        raise ValueError(f"item_dropout {parameters['item_dropout']}: expected a share, at least 0 and below 1")
    for name in ("epochs", "untuned_epochs"):
        if parameters[name] < 0:
            raise ValueError(f"{name} {parameters[name]}: expected 0 or more")
    least, most = parameters["steps_per_epoch"]
    if not 1 <= least <= most:
        raise ValueError(f"steps_per_epoch {[least, most]}: expected the least and the most, each 1 or more")
