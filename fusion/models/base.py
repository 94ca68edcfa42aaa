"""The contract of a fusion strategy: vectors for items and users whose dot product is the score."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from fusion.data.catalog import Catalog, History
from fusion.ranking.rank_aggregation import SUM
from fusion.training.early_stopping import Holdout
from schemas.table import MODALITIES

BLOCKS = ("history", *MODALITIES)
Space = Mapping[str, BaseDistribution]
"""Argument of a constructor → what a search may try for it."""


def side_by_side(widths: Mapping[str, int]) -> dict[str, slice]:
    """Block → its columns, where blocks of so many columns stand side by side in this order."""
    ends = np.cumsum([0, *widths.values()]).tolist()
    return {name: slice(first, last) for name, first, last in zip(widths, ends[:-1], ends[1:], strict=True)}


@dataclass(frozen=True)
class FitLog:
    """How a fit went.

    Attributes:
        epochs: how many were run.
        best_epoch: the one whose weights were kept, counted from 1; 0 where nothing was trained.
        seconds: wall-clock time.
        valid_ndcg: mean validation ndcg@10 after each epoch; empty without validation data.
        choices: what else validation data chose, by name.
        tasks: of a multi-task model, task → the `weight` it came to have and, where there is something to validate it
            on, its `valid_loss`; a task without data is not there.
        weights: of a model that weighs modalities, modality → how much it counts, a mean over the items that have it.
    """

    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    valid_ndcg: list[float] = field(default_factory=list)
    choices: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Lesson:
    """The arguments of `Strategy.fit`."""

    catalog: Catalog
    train: History
    valid: History | None
    candidates: NDArray[np.bool_] | None
    seed: int
    tuned: FitLog | None
    progress: bool

    @cached_property
    def holdout(self) -> Holdout | None:
        """What the validation likes ask; None where they ask nobody anything."""
        if self.valid is None:
            return None
        n_items = len(self.catalog)
        asked = Holdout(self.train, self.valid, n_items=n_items, candidates=self.candidates, seed=self.seed)
        return asked if len(asked.users) else None


class Strategy(ABC):
    """A way to fuse modalities and history.

    A user's score for an item is the dot product of their vectors. The columns are partitioned into `blocks`, named
    after what they speak of; the dot product over a block's columns is exactly what that block adds to the score, and
    it is exactly 0 where the item lacks it. Where `combination` is not `sum`, each block's dot products are ranked, and
    what `fusion.ranking.rank_aggregation` gives for their places is what the block adds. Items are known by their
    `item_id`, never by their row: a catalog at scoring time may hold other items than the one at fitting time. User
    vectors follow from the history given, not from who the user is.

    Attributes:
        name: under which `fusion.models.registry` has it.
        space: what a search for better parameters may try, by the constructor's arguments (`fusion.selection.search`).
        max_likes: with how many likes a night's training still ends in reasonable time; None where no number is too
            many. Above it a strategy is fitted where it is named, but not chosen.
        sequences: whether the strategy reads a catalog's `sequences`, which are loaded for no other.
        checkpoint: folder in which a fit leaves what it needs to go on after it was killed, and in which it looks for
            what an earlier one left; None, as it is unless set, for none. Whoever sets it empties it.
    """

    name: ClassVar[str]
    space: ClassVar[Space] = {}
    max_likes: ClassVar[int | None] = None
    sequences: ClassVar[bool] = False
    checkpoint: Path | None = None

    def fit(
        self,
        catalog: Catalog,
        train: History,
        valid: History | None = None,
        *,
        candidates: NDArray[np.bool_] | None = None,
        seed: int,
        tuned: FitLog | None = None,
        progress: bool = False,
    ) -> FitLog:
        """Learns from `train`; stops where `valid` says so.

        Args:
            catalog: the items that both histories speak of.
            valid: later likes of the same users; None (or without a like) to choose nothing.
            candidates: bool [N], the items that may be ranked when validating; None for all.
            seed: with the same seed, data and machine a fit gives the same bits.
            tuned: what a fit with validation data chose, to be kept by this one, which then needs no `valid`; None for
                the strategy's own defaults.
            progress: shows a bar on standard error, where a fit takes long enough.
        """
        return self._learn(Lesson(catalog, train, valid, candidates, seed, tuned, progress))

    @abstractmethod
    def _learn(self, lesson: Lesson) -> FitLog:
        """As `fit`, from its arguments together."""

    @property
    @abstractmethod
    def blocks(self) -> dict[str, slice]:
        """Every name of `BLOCKS` → its columns; an empty slice for what plays no part."""

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """The columns whose cosines tell which items are alike (for `fusion.ranking.nearest_neighbours`)."""
        return self.blocks

    @property
    def combination(self) -> str:
        """How the blocks' scores become one (`fusion.ranking.rank_aggregation.COMBINATIONS`): `sum`, unless their
        rankings count."""
        return SUM

    @property
    def block_weights(self) -> dict[str, float]:
        """Every name of `BLOCKS` → what its points count."""
        return dict.fromkeys(BLOCKS, 1.0)

    @abstractmethod
    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        """Every name of `BLOCKS` → bool [N]: whether the block speaks for the item."""

    @abstractmethod
    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        """float32 [N, D], in the catalog's order."""

    @abstractmethod
    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        """float32 [U, D], in the order of `history.user_ids`, from the likes in `history`, whose items are rows of this
        `catalog`. A user without a like gets what is best for anyone."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays without objects."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""
