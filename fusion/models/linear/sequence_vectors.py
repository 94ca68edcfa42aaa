"""What the sequence tower is given of every item."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.models.linear.self_attention import Sequences, read, sequences
from fusion.models.linear.vectors import LinearItems
from fusion.training.trainer import Weights

BATCH = 512
"""Users whose last likes are held at once."""


@dataclass(frozen=True)
class Items(LinearItems):
    """Linear items, whose users are read off their last likes by `fusion.models.linear.self_attention.read`.

    Attributes:
        length: likes that are read, at most.
    """

    length: int = 50

    @property
    def widths(self) -> list[int]:
        """Columns of each source: history, then the modalities."""
        return [self.factors.shape[1], *(x.shape[1] for x in self.content.values())]

    @cached_property
    def _sources(self) -> NDArray[np.float32]:
        return np.hstack([self.factors, *self.content.values()])

    @cached_property
    def _source_masks(self) -> NDArray[np.float32]:
        return self.masks.astype(np.float32)

    def profiles(self, likes: History) -> dict[str, NDArray[np.float32]]:
        """As `fusion.models.linear.self_attention.read` asks for them, of everyone in the history."""
        return self._read(sequences(likes, self.length, users=np.arange(len(likes.user_ids))))

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        given: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        return self._users(weights, profiles, xp=xp), self.columns(weights, given, shown, xp=xp)

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        vectors = np.empty((len(users), len(weights["bias"])), np.float32)
        for start in range(0, len(users), BATCH):
            profiles = self._read(sequences(likes, self.length, users=users[start : start + BATCH]))
            vectors[start : start + BATCH] = self._users(weights, profiles, xp=np)
        return vectors

    def _users(self, weights: Mapping[str, Any], profiles: Mapping[str, Any], *, xp: Any) -> Any:
        given = (profiles[name] for name in ("sources", "source_masks", "weights"))
        return read(weights, *given, widths=self.widths, xp=xp)

    def _read(self, past: Sequences) -> dict[str, NDArray[np.float32]]:
        """The sources [B, n, P] and their masks [B, n, S] of likes, 0 where there is none; and the likes' weights."""
        if not len(self._sources):
            shape = past.items.shape
            sources = np.zeros((*shape, sum(self.widths)), np.float32)
            masks = np.zeros((*shape, len(self.widths)), np.float32)
        else:
            here = (past.weights > 0)[:, :, None]
            sources, masks = self._sources[past.items] * here, self._source_masks[past.items] * here
        return {"sources": sources, "source_masks": masks, "weights": past.weights}
