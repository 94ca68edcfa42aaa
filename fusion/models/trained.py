"""The base class of strategies that are Keras models: what such a model is given, how it is fitted, kept and asked."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, Sequences, like_matrix, positions, rows_at
from fusion.data.history_features import Profiles, scaled_factors
from fusion.data.projection import (
    Projection,
    column_scale,
    fit_projections,
    modality_masks,
    projections_from,
    projections_state,
)
from fusion.models.base import FitContext, Strategy, block_slices
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.examples import LikesDataset
from fusion.training.fitting import BestEpoch, callbacks, dtype_policy, identity, optimizer, prepare
from fusion.training.losses import LOSSES
from fusion.training.ranker import LAST, PLACE, STEPS, ItemTable, Ranker
from schemas.table import OF_EVENTS

NETWORK = "network.keras"
FACTOR_RMS = 1 / 64
"""Root mean square of the history factors in a profile, so that one learning rate suits any size of catalog."""
ITEMS_AT_ONCE = 2048


class Trained(Strategy):
    """Starts from a Keras model whose weights are set in closed form so that it ranks well already, fits it to what
    users liked next, and keeps the weights of the epoch that validates best.

    A user is known by a profile: the means, over the items that they like, of closed-form history factors and of
    projected modalities, once with equal weights and once with recent likes weighing more.

    Attributes:
        config: the settings of the training: the class's `defaults`, changed by the constructor's arguments of the same
            names.
        unused_settings: settings of a config that have no effect on the class, and that it therefore refuses.
    """

    defaults: ClassVar[TrainingConfig] = TrainingConfig()
    unused_settings: ClassVar[frozenset[str]] = frozenset()

    rank: int
    """Columns of the history factors."""
    dims: int
    """Columns that a modality's vectors are projected onto before learning."""
    ridge: float
    """Of the history factors."""
    decay: float
    """Likes after which a like weighs 1/e in the recent part of a profile."""
    _item_ids: NDArray[np.str_]
    """The known items, which somebody likes in training, ascending: the others have no history block."""
    _projections: Mapping[str, Projection]
    _learnt: Mapping[str, NDArray[Any]]
    """What was learnt beside the network's weights, by name."""
    _network: Ranker

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

    @classmethod
    def training_arguments(cls) -> list[str]:
        """The settings of `TrainingConfig` that the class takes beside its own arguments."""
        return [name for name in vars(cls.defaults) if name not in cls.unused_settings]

    def parameters(self) -> dict[str, Any]:
        return self._arguments | {name: getattr(self.config, name) for name in self.training_arguments()}

    @abstractmethod
    def _made(self, context: FitContext, arrays: Mapping[str, NDArray[Any]], *, dtype: str) -> Ranker:
        """The network with its initial weights, given the inputs of the catalog's items, `_inputs`."""

    @property
    @abstractmethod
    def _widths(self) -> dict[str, int]:
        """Every name of `PARTS` → its number of columns; popularity's one is the item's bias."""

    def _shape(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The settings that every network has (`fusion.training.ranker.Ranker`)."""
        content = {m: self._projections[m].dims for m in self._modalities}
        return {
            "known": len(self._item_ids),
            "content": content,
            "steps": {m: arrays[m + STEPS].shape[2] for m in content if m + STEPS in arrays},
            "profile": 2 * (self._learnt["factors"].shape[1] + sum(content.values())),
            "hidden": [self.config.item_dropout] + [self.config.modality_dropout] * len(content),
        }

    def _popularity(self, context: FitContext) -> NDArray[np.float64]:
        """float64 [K, 1]: the centred log of the likes of each known item."""
        count = np.bincount(context.train.likes().item, minlength=len(context.catalog))
        logs = np.log1p(count[count > 0])
        return (logs - logs.mean() if len(logs) else logs)[:, None]

    def _fit(self, context: FitContext) -> FitLog:
        started = monotonic()
        catalog, likes = context.catalog, context.train.likes()
        self._projections = fit_projections(catalog, dims=self.dims)
        known = np.bincount(likes.item, minlength=len(catalog)) > 0
        self._item_ids = catalog.item_ids[known]
        matrix = like_matrix(likes, len(catalog))
        factors = scaled_factors(matrix, rank=self.rank, ridge=self.ridge, seed=context.seed, size=FACTOR_RMS)
        self._learnt = {"factors": factors[known], **self._learn(context)}
        arrays = self._inputs(catalog)
        with prepare(self.config, seed=context.seed):
            self._network = self._made(context, arrays, dtype=dtype_policy(self.config))
            self._network.compile(optimizer(self.config), **self._objective())
        log = FitLog()
        if len(likes):
            self._network.table = ItemTable(arrays)
            log = self._extended(context, self._fit_network(context, arrays))
        # as it is kept: in single precision, without optimizer and table
        network = type(self._network).from_config({**self._network.get_config(), "dtype": "float32"})
        network.set_weights(self._network.get_weights())
        self._network = network
        return replace(log, seconds=monotonic() - started)

    def _learn(self, context: FitContext) -> dict[str, NDArray[Any]]:
        """What the class learns beside factors and weights: the scale of the steps of each modality with sequences."""
        scales = {}
        for modality in self._modalities if self.sequences else ():
            if len(found := context.catalog.sequences.get(modality, _NONE).lengths):
                sequences = context.catalog.sequences[modality]
                steps = np.arange(sequences.values.shape[1]) < found[:, None]  # [K, T], False for padding
                mean, deviation = column_scale(sequences.values[steps].astype(np.float64))
                scales[f"scale/{modality}"] = np.stack([mean, deviation]).astype(np.float32)
        return scales

    def _objective(self) -> dict[str, Any]:
        """The arguments of `keras.Model.compile` that say what is minimised."""
        return {"loss": LOSSES[self.config.loss]()}

    def _dataset(self, context: FitContext) -> LikesDataset:
        likes, n_items = context.train.likes(), len(context.catalog)
        return LikesDataset(likes, n_items, self._profiles(context.catalog), config=self.config, seed=context.seed)

    def _fit_network(self, context: FitContext, arrays: Mapping[str, NDArray[Any]]) -> FitLog:
        """Fits the network, with early stopping where there are validation likes, else for as many epochs as an earlier
        fit found best."""
        holdout, likes = context.holdout, context.train.likes()
        epochs = self.config.epochs if holdout else self.config.untuned_epochs
        epochs = context.tuned.best_epoch if context.tuned else epochs
        if not epochs:
            return FitLog()
        stop = None
        if holdout:
            profiles = self._profiles(context.catalog)

            def ndcg() -> float:
                users = self._users(profiles, likes, holdout.users)
                return holdout.ndcg(users, self._items(self._network.table, len(context.catalog)))

            stop = BestEpoch(ndcg, patience=self.config.patience)
        backup = None
        if self.checkpoint:
            settings = (self.name, sorted(self.parameters().items()), epochs, context.seed, bool(holdout))
            backup = self.checkpoint / identity(*settings, arrays={**arrays, **vars(likes)})
        dataset = self._dataset(context)
        history = self._network.fit(
            dataset,
            epochs=epochs,
            steps_per_epoch=dataset.steps,
            shuffle=False,  # the batches are drawn in random order
            verbose=0,
            callbacks=callbacks(backup, stop, progress=context.progress),
        )
        ran = history.epoch[-1] + 1 if history.epoch else 0
        return FitLog(ran, stop.best_epoch if stop else ran, 0.0, stop.figures if stop else [])

    def _extended(self, context: FitContext, log: FitLog) -> FitLog:
        """The log, with the entries of the class."""
        return log

    @property
    def blocks(self) -> dict[str, slice]:
        return block_slices(self._widths)

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` without popularity, which is no sign of likeness."""
        return {**self.blocks, "popularity": slice(0, 0)}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        has_history = positions(self._item_ids, catalog.item_ids) >= 0
        return dict.fromkeys(OF_EVENTS, has_history) | modality_masks(catalog, self._projections)

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._items(ItemTable(self._inputs(catalog)), len(catalog))

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        return self._users(self._profiles(catalog), history.likes(), np.arange(len(history.user_ids)))

    def state(self) -> dict[str, NDArray[Any]]:
        learnt = {f"learnt/{name}": array for name, array in self._learnt.items()}
        return projections_state(self._projections) | {"item_ids": self._item_ids} | learnt

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._projections = projections_from(state)
        self._item_ids = state["item_ids"]
        self._learnt = {n.removeprefix("learnt/"): array for n, array in state.items() if n.startswith("learnt/")}

    def save_network(self, folder: Path) -> None:
        self._network.save(folder / NETWORK)

    def load_network(self, folder: Path) -> None:
        self._network = keras.saving.load_model(folder / NETWORK, compile=False, safe_mode=True)

    def _items(self, table: ItemTable, n_items: int) -> NDArray[np.float32]:
        """float32 [N, D]"""
        vectors = np.zeros((n_items, sum(self._widths.values())), np.float32)
        for start in range(0, n_items, ITEMS_AT_ONCE):
            rows = np.arange(start, min(start + ITEMS_AT_ONCE, n_items))
            vectors[rows] = self._network.item_vectors(table, rows)
        return vectors

    def _users(self, profiles: Profiles, likes: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D]"""
        vectors = np.zeros((len(users), sum(self._widths.values())), np.float32)
        for rows, block in profiles.blocks(likes, users):
            vectors[rows] = self._network.user_vectors(block)
        return vectors

    @property
    def _modalities(self) -> list[str]:
        """The modalities whose projection has a column, that is, of which the fit saw vectors that vary."""
        return [m for m, projection in self._projections.items() if projection.dims]

    def _inputs(self, catalog: Catalog) -> dict[str, NDArray[Any]]:
        """The inputs of the network's items, as `fusion.training.ranker.ItemTable` takes them:

        - `known` int32 [N]: 1 + the item's place among the known items, 0 for another;
        - `shown` float32 [N, 1 + M]: 1 where the item has history, and where it has each modality;
        - `MODALITY` float32 [N, p]: projected, 0 where missing;
        - `MODALITY/steps` float32 [K, T, w] and `MODALITY/last` float32 [N, T], standardised sequences as
          `fusion.training.layers.SequenceReader` takes them, of the modalities that the fit saw sequences of.
        """
        masks = self.masks(catalog)
        found: dict[str, NDArray[Any]] = {
            "known": (1 + positions(self._item_ids, catalog.item_ids)).astype(np.int32),
            "shown": np.stack([masks[name] for name in ("history", *self._modalities)], axis=1).astype(np.float32),
        }
        for modality in self._modalities:
            found[modality] = self._projections[modality](catalog.vectors[modality], catalog.masks[modality])
            if (scale := self._learnt.get(f"scale/{modality}")) is not None:
                found |= _sequence_inputs(modality, catalog.sequences.get(modality, _NONE), len(catalog), scale)
        return found

    def _profiles(self, catalog: Catalog) -> Profiles:
        factors = rows_at(self._learnt["factors"], positions(self._item_ids, catalog.item_ids))
        masks = self.masks(catalog)
        content = [self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in self._modalities]
        return Profiles(
            [factors, *content], [masks[name] for name in ("history", *self._modalities)], (None, self.decay)
        )


_NONE = Sequences(np.zeros((0, 1, 0), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int64))


def _sequence_inputs(
    modality: str, sequences: Sequences, n_items: int, scale: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """`MODALITY/steps`, `MODALITY/place` and `MODALITY/last` of N items.

    Args:
        scale: float32 [2, w], mean and deviation of the steps.

    Raises:
        ValueError: the steps are of another width.
    """
    if not len(sequences.lengths):
        sequences = Sequences(np.zeros((0, 1, scale.shape[1]), np.float32), sequences.lengths, np.full(n_items, -1))
    if sequences.values.shape[2] != scale.shape[1]:
        shape = sequences.values.shape
        raise ValueError(f"{modality} sequences of shape {shape}: expected [K, T, {scale.shape[1]}], as fitted")
    ends = np.eye(sequences.values.shape[1], dtype=np.float32)[sequences.lengths - 1]  # [K, T]
    return {
        modality + STEPS: np.pad((sequences.values - scale[0]) / scale[1], ((1, 0), (0, 0), (0, 0))).astype(np.float32),
        modality + PLACE: (1 + sequences.place).astype(np.int32),
        modality + LAST: rows_at(ends, sequences.place),
    }
