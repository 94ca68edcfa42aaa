"""The contract of a fusion strategy: vectors for items and users whose dot product is the score."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from fusion.data.catalog import Catalog, History
from fusion.training.config import FitLog
from schemas.table import MODALITIES

BLOCKS = ("history", *MODALITIES)
Space = Mapping[str, BaseDistribution]
"""Argument of a constructor → what a search may try for it."""


def side_by_side(widths: Mapping[str, int]) -> dict[str, slice]:
    """Block → its columns, where blocks of so many columns stand side by side in this order."""
    ends = np.cumsum([0, *widths.values()]).tolist()
    return {name: slice(first, last) for name, first, last in zip(widths, ends[:-1], ends[1:], strict=True)}


class Held(Protocol):
    """Some users of a `Validation`."""

    @property
    def rows(self) -> slice:
        """Their places in `Validation.users`."""

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """bool [B, N]: the items that may be ranked for each of them."""

    def ndcg(self, scores: NDArray[np.float32], *, k: int = 10) -> NDArray[np.float64]:
        """float64 [B], given scores [B, N]."""


class Validation(Protocol):
    """Later likes by which a fit chooses and stops (`fusion.training.early_stopping.Holdout`)."""

    @property
    def valid(self) -> History:
        """The later events themselves."""

    @property
    def users(self) -> NDArray[np.int64]:
        """int64 [V]: users with a like to be found, by their place in `user_ids`; may be empty."""

    def batches(self, size: int = 256) -> Iterator[Held]:
        """The users, `size` at a time."""

    def ndcg(self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32], *, k: int = 10) -> float:
        """Mean ndcg@k over `users`, given vectors [V, D] and [N, D]."""


@dataclass(frozen=True)
class FitContext:
    """The arguments of `Strategy.fit`."""

    catalog: Catalog
    train: History
    validation: Validation | None
    seed: int
    tuned: FitLog | None
    progress: bool

    @property
    def holdout(self) -> Validation | None:
        """`validation`, where it has a user to ask."""
        return self.validation if self.validation is not None and len(self.validation.users) else None


@dataclass(frozen=True)
class Predictions:
    """What a model that also learns other tasks predicts of N items.

    Attributes:
        rating: float32 [N], mean over the users; NaN where unknown.
        category: str [N], "" where unknown.
    """

    rating: NDArray[np.float32]
    category: NDArray[np.str_]


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
        validation: Validation | None = None,
        *,
        seed: int,
        tuned: FitLog | None = None,
        progress: bool = False,
    ) -> FitLog:
        """Learns from `train`; chooses and stops by `validation`.

        Args:
            catalog: the items that both histories refer to.
            validation: later likes of the same users; None to choose nothing.
            seed: with the same seed, data and machine a fit gives the same bits.
            tuned: log of a fit with validation data, whose choices are kept by this one, which then needs none; None
                for the strategy's own defaults.
            progress: shows a bar on standard error, where a fit takes long enough.
        """
        return self._learn(FitContext(catalog, train, validation, seed, tuned, progress))

    @abstractmethod
    def _learn(self, context: FitContext) -> FitLog:
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
        return "sum"

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

    def predictions(self, catalog: Catalog, history: History) -> Predictions | None:
        """What the model predicts of the catalog's items beside scores; None where it learns nothing else."""
        return None

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays without objects."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""
