"""Feature-level fusion by concatenation: an item is its history factors beside its projected modalities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from fusion.baselines import like_matrix
from fusion.data import Catalog, History
from fusion.factors import scaled_factors
from fusion.lookup import places, rows_at
from fusion.preprocess import fit_projections, projections_from, projections_state, speaks
from fusion.strategies.base import FitLog, Space, Strategy
from fusion.training import Items, Recipe, Towers, train
from fusion.validation import Holdout
from schemas.table import MODALITIES

SOURCE_SCALE = 1 / 64
"""Root mean square of the history factors of known items."""
NOISE = 0.003
GAIN = 200.0
"""How sharply the untrained model prefers what the closed-form factors prefer."""


class Concatenation(Strategy):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i] and u linear
    in the user's profile: the means, over the items they like, of closed-form history factors and projected modalities,
    once over all likes alike and once with recent ones weighing more.

    q starts from a linear autoencoder's factors and W from a whitening, so that training begins at a good collaborative
    model plus the likeness of content; everything is then trained together by softmax cross-entropy on what users liked
    next. Hiding q and b of random items in training teaches the content columns to speak for items that nobody has
    liked yet.

    Args:
        rank: history factors.
        dims: columns that a modality's vectors are projected onto before learning.
        width: columns that a modality has in the item's vector, at most.
        content_gain: how much likeness of content counts before training.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        epochs, patience, batch_size, learning_rate, item_dropout, items_per_step, steps_per_epoch, optimizer, loss,
            precision: see `fusion.training.Recipe`.
        untuned_epochs: how many there are when `fit` is given neither validation data nor what it once chose.
    """

    name = "concatenation"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 128, log=True),
        "width": IntDistribution(16, 64, log=True),
        "content_gain": FloatDistribution(0.5, 10.0, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
        "item_dropout": FloatDistribution(0.0, 0.3),
    }

    def __init__(
        self,
        *,
        rank: int = 64,
        dims: int = 128,
        width: int = 32,
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
        optimizer: str = "adam",
        loss: str = "softmax",
        precision: str = "auto",
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.rank, self.dims, self.ridge, self.decay = rank, dims, ridge, decay
        self.width, self.content_gain = width, content_gain
        self.untuned_epochs = untuned_epochs
        self.recipe = Recipe(
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            item_dropout=item_dropout,
            items_per_step=items_per_step,
            steps_per_epoch=(steps_per_epoch[0], steps_per_epoch[1]),
            optimizer=optimizer,
            loss=loss,
            precision=precision,
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
        self._learn_sources(catalog, likes, seed=seed)
        self._towers = self._start(catalog, likes, seed=seed)
        if not len(likes):
            return FitLog()
        return self._train(catalog, train, valid, seed=seed, tuned=tuned, progress=progress)

    @property
    def blocks(self) -> dict[str, slice]:
        blocks, start = {}, 0
        widths = [self._towers.item_history.shape[1], *(kernel.shape[1] for kernel in self._towers.item_content)]
        for name, width in zip(("history", *MODALITIES), widths, strict=True):
            blocks[name] = slice(start, start + width)
            start += width
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
        return self._items(catalog).user_vectors(history.likes(), self._towers, users=everyone)

    def state(self) -> dict[str, NDArray[Any]]:
        towers = self._towers
        arrays = projections_state(self._projections)
        arrays |= {f"{m}/item": w for m, w in zip(MODALITIES, towers.item_content, strict=True)}
        arrays |= {"user_kernel": towers.user_kernel, "user_bias": towers.user_bias, "history": towers.item_history}
        return arrays | {"item_ids": self._item_ids, "factors": self._factors}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        content = tuple(state[f"{m}/item"] for m in MODALITIES)
        self._towers = Towers(state["user_kernel"], state["user_bias"], state["history"], content)
        self._projections = projections_from(state)
        self._item_ids, self._factors = state["item_ids"], state["factors"]

    def _learn_sources(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """Keeps the ids and factors of the items that somebody likes: only their likes can speak for them."""
        matrix = like_matrix(likes, len(catalog))
        known = np.asarray(matrix.sum(axis=0)).ravel() > 0
        factors = scaled_factors(matrix, rank=self.rank, ridge=self.ridge, seed=seed, size=SOURCE_SCALE)
        self._item_ids, self._factors = catalog.item_ids[known], factors[known]

    def _start(self, catalog: Catalog, likes: History, *, seed: int) -> Towers:
        """Weights that already rank: known items by the recent history factors and popularity, and every item by how
        near its content is to the mean content of the user's likes."""
        rank = self._factors.shape[1]
        counts = np.bincount(likes.item, minlength=len(catalog))
        bias = np.log1p(counts[counts > 0])[:, None]
        history = np.hstack([self._factors, bias - bias.mean() if len(bias) else bias])
        projections = [self._projections[m] for m in MODALITIES]
        content = [p.whitening(self.width) / np.sqrt(self.width) for p in projections]
        source_widths = [rank, *(len(kernel) for kernel in content)]
        columns = rank + 1 + sum(kernel.shape[1] for kernel in content)
        kernel = np.random.default_rng(seed).normal(0, NOISE, (2 * sum(source_widths), columns))
        kernel[sum(source_widths) + np.arange(rank), np.arange(rank)] += GAIN
        row, column = rank, rank + 1
        for part in content:
            kernel[row : row + part.shape[0], column : column + part.shape[1]] += self.content_gain * part
            row, column = row + part.shape[0], column + part.shape[1]
        user_bias = np.zeros(columns)
        user_bias[rank] = 1.0
        return Towers(
            user_kernel=kernel.astype(np.float32),
            user_bias=user_bias.astype(np.float32),
            item_history=history.astype(np.float32),
            item_content=tuple(w.astype(np.float32) for w in content),
        )

    def _train(
        self,
        catalog: Catalog,
        train_on: History,
        valid: History | None,
        *,
        seed: int,
        tuned: FitLog | None,
        progress: bool,
    ) -> FitLog:
        items = self._items(catalog)
        validate = None if valid is None else self._validator(items, train_on, valid, seed=seed)
        epochs = tuned.best_epoch if tuned else self.untuned_epochs if validate is None else self.recipe.epochs
        towers, log = train(
            self._placed(catalog),
            items,
            train_on.likes(),
            recipe=replace(self.recipe, epochs=epochs, checkpoint=self.checkpoint),
            seed=seed,
            validate=validate,
            progress=progress,
        )
        self._towers = replace(towers, item_history=towers.item_history[items.known])
        return log

    @staticmethod
    def _validator(items: Items, train_on: History, valid: History, *, seed: int) -> Callable[[Towers], float] | None:
        """Towers → mean validation ndcg; None where nobody has a validation like."""
        holdout = Holdout(train_on, valid, n_items=len(items.known), seed=seed)
        if not len(holdout.users):
            return None
        likes = train_on.likes()
        return lambda towers: holdout.ndcg(
            items.user_vectors(likes, towers, users=holdout.users), items.item_vectors(towers)
        )

    def _placed(self, catalog: Catalog) -> Towers:
        """The weights with the history rows where the catalog has their items, 0 for unknown ones."""
        return replace(self._towers, item_history=rows_at(self._towers.item_history, places(self._item_ids, catalog)))

    def _items(self, catalog: Catalog) -> Items:
        content = tuple(self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in MODALITIES)
        masks = self.masks(catalog)
        factors = rows_at(self._factors, places(self._item_ids, catalog))
        return Items(
            content=content,
            known=masks["history"],
            sources=(factors, *content),
            source_masks=tuple(masks[name] for name in ("history", *MODALITIES)),
            decays=(None, self.decay),
            content_masks=tuple(masks[m] for m in MODALITIES),
        )
