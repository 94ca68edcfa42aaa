"""Model-level fusion: a joint embedding of history and all modalities, which attend to each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution

from fusion.baselines import like_matrix
from fusion.data import Catalog, History
from fusion.factors import scaled_factors
from fusion.joint.items import Items, Scale
from fusion.joint.start import SOURCE_SIZE, start
from fusion.lookup import places, rows_at
from fusion.preprocess import fit_projections, projections_from, projections_state, speaks
from fusion.strategies.base import FitLog, Space, Strategy
from fusion.trainer import Weights
from fusion.training import Recipe, train_network
from fusion.validation import Holdout
from schemas.table import MODALITIES

RECURRENT = ("audio", "video")
"""The modalities that a recurrent layer reads where the catalog has sequences of them."""
_WEIGHTS, _SCALES = "weights/", "scales/"


class Joint(Strategy):
    """score(u, i) = u · z_i + b_i, where z_i is the sum over the item's tokens of t_k + s_k: t_k is its history q_i or
    a projected modality, with a learnt embedding that says which, and s_k the token's share of what multi-head
    self-attention among the tokens that the item has puts out (see `fusion.joint.network`). u is linear in the user's
    profile: the means, over the items they like, of closed-form history factors and projected modalities, once over all
    likes alike and once with recent ones weighing more.

    What a token adds depends on the others, by the attention, but the parts t_k + s_k stand side by side in an item's
    vector, and u is repeated for each: the sum over blocks is the score. Sounds and films are read step by step where
    the catalog has their sequences, beside their mean vectors. Hiding the history and the modalities of random items in
    training teaches the tokens that remain to speak for them.

    Args:
        width: of the joint space.
        heads: of the attention; they share the width.
        units: of the recurrent layers.
        dims: columns that a modality's vectors are projected onto before learning.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        epochs, patience, batch_size, learning_rate, item_dropout, modality_dropout, items_per_step, steps_per_epoch,
            optimizer, loss, precision: see `fusion.training.Recipe`.
        untuned_epochs: how many there are when `fit` is given neither validation data nor what it once chose.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "joint"
    space: ClassVar[Space] = {
        "width": CategoricalDistribution((32, 64, 128)),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
        "item_dropout": FloatDistribution(0.0, 0.3),
        "modality_dropout": FloatDistribution(0.0, 0.3),
    }
    sequences = True

    def __init__(
        self,
        *,
        width: int = 64,
        heads: int = 4,
        units: int = 32,
        dims: int = 128,
        ridge: float = 800.0,
        decay: float = 10.0,
        epochs: int = 30,
        untuned_epochs: int = 16,
        patience: int = 6,
        batch_size: int = 128,
        learning_rate: float = 5e-4,
        item_dropout: float = 0.1,
        modality_dropout: float = 0.1,
        items_per_step: int = 2048,
        steps_per_epoch: Sequence[int] = (20, 200),
        optimizer: str = "adam",
        loss: str = "bpr",
        precision: str = "auto",
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        for name in ("width", "heads", "units", "dims", "batch_size", "items_per_step", "patience"):
            if self._parameters[name] < 1:
                raise ValueError(f"{name} {self._parameters[name]}: expected 1 or more")
        if width % heads:
            raise ValueError(f"width {width}: expected a multiple of heads, {heads}")
        self.width, self.heads, self.units, self.dims = width, heads, units, dims
        self.ridge, self.decay, self.untuned_epochs = ridge, decay, untuned_epochs
        self.recipe = Recipe(
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            item_dropout=item_dropout,
            modality_dropout=modality_dropout,
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
        self._scales = {m: Scale.fit(catalog.sequences[m]) for m in self._readable(catalog)}
        matrix = like_matrix(likes, len(catalog))
        known = matrix.getnnz(axis=0) > 0
        factors = scaled_factors(matrix, rank=self.width, ridge=self.ridge, seed=seed, size=SOURCE_SIZE)
        self._item_ids, self._factors = catalog.item_ids[known], factors[known]
        items = self._items(catalog)
        self._weights: Weights = start(items, likes, width=self.width, units=self.units, seed=seed)
        if not len(likes):
            return FitLog()
        validate = None if valid is None else self._validator(items, train, valid, seed=seed)
        epochs = tuned.best_epoch if tuned else self.recipe.epochs if validate else self.untuned_epochs
        self._weights, log = train_network(
            self._weights,
            items,
            likes,
            recipe=replace(self.recipe, epochs=epochs, checkpoint=self.checkpoint),
            seed=seed,
            validate=validate,
            progress=progress,
        )
        return log

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

    def state(self) -> dict[str, NDArray[Any]]:
        scales = {f"{_SCALES}{m}/{name}": array for m, s in self._scales.items() for name, array in vars(s).items()}
        weights = {_WEIGHTS + name: array for name, array in self._weights.items()}
        learnt = {"item_ids": self._item_ids, "factors": self._factors}
        return projections_state(self._projections) | learnt | scales | weights

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._projections = projections_from(state)
        self._item_ids, self._factors = state["item_ids"], state["factors"]
        self._weights = {n.removeprefix(_WEIGHTS): array for n, array in state.items() if n.startswith(_WEIGHTS)}
        self._scales = {
            m: Scale(state[f"{_SCALES}{m}/mean"], state[f"{_SCALES}{m}/deviation"])
            for m in RECURRENT
            if f"{_SCALES}{m}/mean" in state
        }

    @property
    def _modalities(self) -> list[str]:
        """Those of which something was learnt."""
        return [m for m in MODALITIES if self._projections[m].dims]

    def _readable(self, catalog: Catalog) -> list[str]:
        """The modalities with a sequence to learn from."""
        return [
            m
            for m in RECURRENT
            if m in catalog.sequences and len(catalog.sequences[m].lengths) and m in self._modalities
        ]

    def _items(self, catalog: Catalog) -> Items:
        masks, place = self.masks(catalog), places(self._item_ids, catalog)
        return Items(
            content={m: self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in self._modalities},
            sequences={m: scale(catalog.sequences[m]) for m, scale in self._scales.items() if m in catalog.sequences},
            masks=np.stack([masks[name] for name in ("history", *self._modalities)], axis=1),
            place=place,
            factors=rows_at(self._factors, place),
            decays=(None, self.decay),
            heads=self.heads,
        )

    @staticmethod
    def _validator(items: Items, train_on: History, valid: History, *, seed: int) -> Callable[[Weights], float] | None:
        """Weights → mean validation ndcg; None where nobody has a validation like."""
        holdout = Holdout(train_on, valid, n_items=len(items), seed=seed)
        if not len(holdout.users):
            return None
        likes = train_on.likes()
        return lambda weights: holdout.ndcg(
            items.user_vectors(weights, likes, users=holdout.users), items.item_vectors(weights)
        )
