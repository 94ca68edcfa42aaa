"""What strategies share whose weights are learnt by gradients: when to stop, what to keep, and how vectors are made."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, positions
from fusion.data.projection import Projection, fit_projections, modality_masks, projections_from, projections_state
from fusion.models.base import FitContext, Strategy, side_by_side
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.loop import Learner, train
from fusion.training.trainer import Ranking, Vectors, Weights
from schemas.table import MODALITIES

_WEIGHTS, _LEARNT = "weights/", "learnt/"


class Trained(Strategy):
    """Begins at weights that already rank, lets a learner improve them, and keeps those of the epoch that validates
    best. A network makes vectors of items and users from the weights, the same in training and in use.

    Attributes:
        config: how it is trained; a class's `defaults`, changed by the constructor's arguments of the same names.
        idle: settings of a config that mean nothing to the class, and that it therefore refuses.
    """

    defaults: ClassVar[TrainingConfig] = TrainingConfig()
    idle: ClassVar[frozenset[str]] = frozenset()

    dims: int
    """Columns that a modality's vectors are projected onto before learning."""
    _item_ids: NDArray[np.str_]
    """Items that somebody likes, ascending: only their likes can speak for them."""
    _projections: Mapping[str, Projection]
    _learnt: Mapping[str, NDArray[Any]]
    """What was learnt beside the weights, by name."""
    _weights: Weights

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """
        Args:
            arguments: a constructor's `locals()`: its own settings, and under `training` those of the config.

        Raises:
            TypeError: there is no such setting of a config, or it means nothing here.
            ValueError: a setting is out of its range.
        """
        self._own = {k: v for k, v in arguments.items() if k not in ("self", "__class__", "training")}
        training = arguments["training"]
        if refused := sorted(self.idle & set(training)):
            raise TypeError(f"{', '.join(refused)}: means nothing to it")
        self.config = replace(self.defaults, **training)

    def parameters(self) -> dict[str, Any]:
        return self._own | {name: value for name, value in vars(self.config).items() if name not in self.idle}

    def _learn(self, context: FitContext) -> FitLog:
        catalog, likes = context.catalog, context.train.likes()
        self._projections = fit_projections(catalog, dims=self.dims)
        self._item_ids = catalog.item_ids[np.bincount(likes.item, minlength=len(catalog)) > 0]
        network, start = self._begin(context)
        self._keep(context, network, start)
        if not len(likes):
            return FitLog()
        weights, log = self._train(context, network, start)
        self._keep(context, network, weights)
        return self._told(context, network, log)

    @abstractmethod
    def _begin(self, context: FitContext) -> tuple[Any, Weights]:
        """The network that makes vectors of the context's items and users, and the weights to begin with."""

    @abstractmethod
    def _network(self, catalog: Catalog) -> Vectors:
        """What makes vectors of a catalog's items."""

    @property
    @abstractmethod
    def _widths(self) -> dict[str, int]:
        """Every name of `BLOCKS` → its columns."""

    def _learner(self, context: FitContext, network: Any, start: Weights) -> Learner:
        return Ranking(start, network, context.train.likes(), config=self._config(context), seed=context.seed)

    def _keep(self, context: FitContext, network: Any, weights: Weights) -> None:
        """Sets what use needs of the weights."""
        self._weights = weights

    def _told(self, context: FitContext, network: Any, log: FitLog) -> FitLog:
        """The log, with what else is to be told of the fit."""
        return log

    @property
    def blocks(self) -> dict[str, slice]:
        return side_by_side(self._widths)

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` without the popularity bias, the last of history's columns, which says nothing of likeness."""
        blocks = self.blocks
        return {**blocks, "history": slice(0, max(0, blocks["history"].stop - 1))}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        has_history = positions(self._item_ids, catalog.item_ids) >= 0
        return {"history": has_history, **modality_masks(catalog, self._projections)}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._network(catalog).item_vectors(self._weights)

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        everyone = np.arange(len(history.user_ids))
        return self._network(catalog).user_vectors(self._weights, history.likes(), users=everyone)

    def state(self) -> dict[str, NDArray[Any]]:
        learnt = {_LEARNT + name: array for name, array in self._learnt.items()}
        weights = {_WEIGHTS + name: array for name, array in self._weights.items()}
        return projections_state(self._projections) | {"item_ids": self._item_ids} | learnt | weights

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._projections = projections_from(state)
        self._item_ids = state["item_ids"]
        self._learnt = {n.removeprefix(_LEARNT): array for n, array in state.items() if n.startswith(_LEARNT)}
        self._weights = {n.removeprefix(_WEIGHTS): array for n, array in state.items() if n.startswith(_WEIGHTS)}

    @property
    def _modalities(self) -> list[str]:
        """Those of which something was learnt."""
        return [m for m in MODALITIES if self._projections[m].dims]

    def _content(self, catalog: Catalog, modalities: list[str]) -> dict[str, NDArray[np.float32]]:
        """Modality → float32 [N, p_m], projected, 0 where missing."""
        return {m: self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in modalities}

    def _shown(self, catalog: Catalog, modalities: list[str]) -> NDArray[np.bool_]:
        """bool [N, 1 + M]: whether history and each of the modalities speak for an item."""
        masks = self.masks(catalog)
        return np.stack([masks[name] for name in ("history", *modalities)], axis=1)

    def _config(self, context: FitContext) -> TrainingConfig:
        """With as many epochs as there may be."""
        epochs = self.config.epochs if context.holdout else self.config.untuned_epochs
        return replace(self.config, epochs=context.tuned.best_epoch if context.tuned else epochs)

    def _train(self, context: FitContext, network: Any, start: Weights) -> tuple[Weights, FitLog]:
        likes, holdout = context.train.likes(), context.holdout

        def ndcg(weights: Weights) -> float:
            assert holdout is not None
            users = network.user_vectors(weights, likes, users=holdout.users)
            return holdout.ndcg(users, network.item_vectors(weights))

        return train(
            self._learner(context, network, start),
            start,
            config=self._config(context),
            seed=context.seed,
            validate=ndcg if holdout else None,
            progress=context.progress,
            checkpoint=self.checkpoint,
            settings=(self.name, sorted(self.parameters().items())),
        )
