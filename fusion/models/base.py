"""The interface of a fusion strategy: vectors for items and users whose dot product is the score."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from fusion.data.catalog import Catalog, History
from fusion.training.config import FitLog
from schemas.table import PARTS

Space = Mapping[str, BaseDistribution]
"""Argument of a constructor → the values that a search may try for it."""
Population = Literal["with_history", "without_history", "new_items"]
"""Users with a like and users without one, who rank the whole catalog, and anybody who ranks items that nobody has had.
"""


class Strategy(ABC):
    """A way to fuse modalities and history.

    A user's score for an item is the dot product of their vectors. The columns are partitioned into `blocks`: one for
    the history, one for what is popular with everybody, one a modality. The dot product over a block's columns is
    exactly what that block adds to the score, and it is exactly 0 where the item lacks the block. Where `combination`
    is not `sum`, each block's dot products are ranked, and the points that `fusion.ranking.rank_aggregation` gives for
    the ranks are what the block adds.

    Items are identified by their `item_id`, never by their row: a catalog at scoring time may hold other items than the
    one at fitting time. User vectors follow from the history given, not from the identity of the user.

    Attributes:
        name: its key in `fusion.models.registry`.
        space: what a search for better parameters may try, by the constructor's arguments (`fusion.selection.search`).
        validates: whether a fit chooses or stops by validation likes.
        sequences: whether the strategy reads a catalog's `sequences`; they are loaded only for those that do.
        checkpoint: folder in which a fit saves every epoch, and from which a killed fit is resumed; None for none. The
            caller empties it.
    """

    name: ClassVar[str]
    space: ClassVar[Space] = {}
    validates: ClassVar[bool] = True
    sequences: ClassVar[bool] = False
    checkpoint: Path | None = None

    def fit(
        self,
        catalog: Catalog,
        train: History,
        validation: "Validation | None" = None,
        *,
        seed: int,
        tuned: FitLog | None = None,
        progress: bool = False,
    ) -> FitLog:
        """Learns from `train`; chooses and stops by `validation`.

        Args:
            catalog: the items that both histories refer to.
            validation: later likes of the same users; None to choose nothing.
            seed: the same seed, data and machine give the same bits.
            tuned: log of a fit with validation data, whose choices are taken over, so that this fit needs none; None
                for the strategy's defaults.
            progress: shows a bar on standard error, where a fit takes long enough.
        """
        return self._fit(FitContext(catalog, train, validation, seed, tuned, progress))

    @abstractmethod
    def _fit(self, context: "FitContext") -> FitLog:
        """As `fit`, given its arguments as one value."""

    @property
    @abstractmethod
    def blocks(self) -> dict[str, slice]:
        """Every name of `PARTS` → its columns; an empty slice for a block that the model does not have."""

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """The columns by whose cosines items are compared (for `fusion.ranking.nearest_neighbours`)."""
        return self.blocks

    @property
    def combination(self) -> str:
        """How the blocks' scores become one (`fusion.ranking.rank_aggregation.COMBINATIONS`): `sum`, unless the model
        combines rankings."""
        return "sum"

    @property
    def block_weights(self) -> dict[str, float]:
        """Every name of `PARTS` → the weight of its points."""
        return dict.fromkeys(PARTS, 1.0)

    @abstractmethod
    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        """Every name of `PARTS` → bool [N]: whether the item has the block, and the model learnt from it."""

    @abstractmethod
    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        """float32 [N, D], in the catalog's order."""

    @abstractmethod
    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        """float32 [U, D], in the order of `history.user_ids`, from the likes in `history`, whose items are rows of this
        `catalog`. All users without a like have the same vector."""

    def new_item_user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        """float32 [U, D]: as `user_vectors`, for ranking items that nobody has had among themselves."""
        return self.user_vectors(catalog, history)

    @property
    def population_weights(self) -> Mapping[Population, Mapping[str, float]]:
        """Population → scorer → its weight, of a model that weighs scorers by population."""
        return {}

    def without(self, scorer: str) -> "Strategy":
        """The model with one of its scorers left out, straight after a fit: of a stack, its weights are fitted anew on
        the same rankings; the scorers, which are learnt alone, stay as they are.

        Raises:
            NotImplementedError: it has no scorers.
        """
        raise NotImplementedError(f"{self.name} has no scorers that could be left out")

    def with_weights_of(self, other: "Strategy", population: Population) -> "Strategy | None":
        """This model with the weights that another one has for a population; None unless both weigh the same things by
        population."""
        return None

    def predictions(self, catalog: Catalog, history: History) -> "Predictions | None":
        """Predictions beside the scores, over the catalog's items; None where the model learns nothing else."""
        return None

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, as values of JSON."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays without objects."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""

    def save_network(self, folder: Path) -> None:
        """Writes the model's Keras network into the folder, beside its arrays."""
        return  # most models have none

    def load_network(self, folder: Path) -> None:
        """The inverse of `save_network`, after `restore`."""
        return  # most models have none


@dataclass(frozen=True)
class Predictions:
    """What a model that also learns other tasks predicts of N items.

    Attributes:
        rating: float32 [N], mean over the users; NaN where unknown.
        category: str [N], "" where unknown.
    """

    rating: NDArray[np.float32]
    category: NDArray[np.str_]


class Validation(Protocol):
    """Later likes by which a fit chooses and stops (`fusion.training.early_stopping.Holdout`)."""

    @property
    def valid(self) -> History:
        """The later events themselves."""

    @property
    def users(self) -> NDArray[np.int64]:
        """int64 [V]: positions in `user_ids` of the users with a validation like; may be empty."""

    def batches(self, size: int = 256) -> "Iterator[ValidationBatch]":
        """The users, `size` at a time."""

    def ndcg(self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32], *, k: int = 10) -> float:
        """Mean ndcg@k over `users`, given vectors [V, D] and [N, D]."""


class ValidationBatch(Protocol):
    """Some users of a `Validation`."""

    @property
    def rows(self) -> slice:
        """Their positions in `Validation.users`."""

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """bool [B, N]: the items that may be ranked for each of them."""

    def ndcg(self, scores: NDArray[np.float32], *, k: int = 10) -> NDArray[np.float64]:
        """float64 [B], given scores [B, N]."""


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
        """`validation` where it has at least one user, else None."""
        return self.validation if self.validation is not None and len(self.validation.users) else None


def block_slices(widths: Mapping[str, int]) -> dict[str, slice]:
    """Block → its columns, given the number of columns of each, side by side in this order."""
    ends = np.cumsum([0, *widths.values()]).tolist()
    return {name: slice(first, last) for name, first, last in zip(widths, ends[:-1], ends[1:], strict=True)}
