"""The base class of strategies whose weights are learnt by gradients: fitting, stopping, vectors and saved arrays."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, positions
from fusion.data.projection import Projection, fit_projections, modality_masks, projections_from, projections_state
from fusion.models.base import FitContext, Strategy, block_slices
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.loop import Learner, train
from fusion.training.trainer import RankingLearner, Vectors, Weights

_WEIGHTS, _LEARNT = "weights/", "learnt/"


class Trained(Strategy):
    """Starts at closed-form weights that already rank, trains them with a learner, and keeps those of the epoch that
    validates best. One network makes the vectors of items and users from the weights, in training and after it.

    Attributes:
        config: the settings of the training: the class's `defaults`, changed by the constructor's arguments of the same
            names.
        unused_settings: settings of a config that have no effect on the class, and that it therefore refuses.
    """

    defaults: ClassVar[TrainingConfig] = TrainingConfig()
    unused_settings: ClassVar[frozenset[str]] = frozenset()

    dims: int
    """Columns that a modality's vectors are projected onto before learning."""
    _item_ids: NDArray[np.str_]
    """The known items, which somebody likes in training, ascending: the others have no history block."""
    _projections: Mapping[str, Projection]
    _learnt: Mapping[str, NDArray[Any]]
    """What was learnt beside the weights, by name."""
    _weights: Weights

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """
        Args:
            arguments: a constructor's `locals()`: its own settings, and under `training` those of the config.

        Raises:
            TypeError: a config has no such setting, or the class does not use it.
            ValueError: a setting is out of its range.
        """
        self._arguments = {k: v for k, v in arguments.items() if k not in ("self", "__class__", "training")}
        training = arguments["training"]
        if refused := sorted(self.unused_settings & set(training)):
            raise TypeError(f"{', '.join(refused)}: not used by {self.name}")
        self.config = replace(self.defaults, **training)

    def parameters(self) -> dict[str, Any]:
        return self._arguments | {n: value for n, value in vars(self.config).items() if n not in self.unused_settings}

    def _fit(self, context: FitContext) -> FitLog:
        catalog, likes = context.catalog, context.train.likes()
        self._projections = fit_projections(catalog, dims=self.dims)
        self._item_ids = catalog.item_ids[np.bincount(likes.item, minlength=len(catalog)) > 0]
        network, initial = self._initialise(context)
        self._set_weights(context, network, initial)
        if not len(likes):
            return FitLog()
        weights, log = self._train(context, network, initial)
        self._set_weights(context, network, weights)
        return self._extend_log(context, network, log)

    @abstractmethod
    def _initialise(self, context: FitContext) -> tuple[Any, Weights]:
        """The network over the context's catalog, and the initial weights; sets `_learnt`."""

    @abstractmethod
    def _network(self, catalog: Catalog) -> Vectors:
        """The network over a catalog's items, as it is used after training."""

    @property
    @abstractmethod
    def _widths(self) -> dict[str, int]:
        """Every name of `BLOCKS` → its number of columns."""

    def _learner(self, context: FitContext, network: Any, initial: Weights) -> Learner:
        return RankingLearner(
            initial, network, context.train.likes(), config=self._run_config(context), seed=context.seed
        )

    def _set_weights(self, context: FitContext, network: Any, weights: Weights) -> None:
        """Sets the weights that vectors are made from, given those of the learner."""
        self._weights = weights

    def _extend_log(self, context: FitContext, network: Any, log: FitLog) -> FitLog:
        """The log, with the entries of the class beside those of the loop."""
        return log

    @property
    def blocks(self) -> dict[str, slice]:
        return block_slices(self._widths)

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` without the popularity bias, the last of history's columns, which is no sign of likeness."""
        blocks = self.blocks
        return {**blocks, "history": slice(0, max(0, blocks["history"].stop - 1))}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        has_history = positions(self._item_ids, catalog.item_ids) >= 0
        return {"history": has_history, **modality_masks(catalog, self._projections)}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._network(catalog).item_vectors(self._weights)

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        all_users = np.arange(len(history.user_ids))
        return self._network(catalog).user_vectors(self._weights, history.likes(), users=all_users)

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
        """The modalities whose projection has a column, that is, of which the fit saw vectors that vary."""
        return [m for m, projection in self._projections.items() if projection.dims]

    def _content(self, catalog: Catalog, modalities: list[str]) -> dict[str, NDArray[np.float32]]:
        """Modality → float32 [N, p_m], projected, 0 where missing."""
        return {m: self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in modalities}

    def _block_masks(self, catalog: Catalog, modalities: list[str]) -> NDArray[np.bool_]:
        """bool [N, 1 + M]: whether an item has history and each of the modalities."""
        masks = self.masks(catalog)
        return np.stack([masks[name] for name in ("history", *modalities)], axis=1)

    def _run_config(self, context: FitContext) -> TrainingConfig:
        """The config, with the number of epochs of this fit: the best of an earlier fit, else the maximum."""
        epochs = self.config.epochs if context.holdout else self.config.untuned_epochs
        return replace(self.config, epochs=context.tuned.best_epoch if context.tuned else epochs)

    def _train(self, context: FitContext, network: Any, initial: Weights) -> tuple[Weights, FitLog]:
        likes, holdout = context.train.likes(), context.holdout

        def ndcg(weights: Weights) -> float:
            assert holdout is not None
            users = network.user_vectors(weights, likes, users=holdout.users)
            return holdout.ndcg(users, network.item_vectors(weights))

        return train(
            self._learner(context, network, initial),
            initial,
            config=self._run_config(context),
            seed=context.seed,
            validate=ndcg if holdout else None,
            progress=context.progress,
            checkpoint=self.checkpoint,
            settings=(self.name, sorted(self.parameters().items())),
        )
