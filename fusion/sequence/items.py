"""What the sequence tower is given of every item."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fusion.data import History
from fusion.sequence.tower import READERS, Sequences, Weights, read, sequences
from schemas.table import MODALITIES

BATCH = 512
"""Users whose last likes are held at once."""


@dataclass(frozen=True)
class Items:
    """The catalog as the tower sees it.

    Attributes:
        factors: float32 [N, r], closed-form history factors, 0 where unknown.
        content: modality → float32 [N, p_m], 0 where missing.
        masks: block → bool [N], whether it speaks for the item.
    """

    factors: NDArray[np.float32]
    content: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.bool_]]

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool [N]: somebody liked the item when the model was fitted."""
        return self.masks["history"]

    @property
    def widths(self) -> list[int]:
        """Columns of each source: history, then the modalities."""
        return [self.factors.shape[1], *(self.content[m].shape[1] for m in MODALITIES)]

    @cached_property
    def _sources(self) -> NDArray[np.float32]:
        return np.hstack([self.factors, *(self.content[m] for m in MODALITIES)])

    @cached_property
    def _source_masks(self) -> NDArray[np.float32]:
        return np.stack([self.masks[name] for name in ("history", *MODALITIES)], axis=1).astype(np.float32)

    def read(self, past: Sequences) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The sources float32 [B, n, P] and their masks float32 [B, n, S] of likes; 0 where there is none."""
        if not len(self._sources):
            shape = past.items.shape
            return np.zeros((*shape, sum(self.widths)), np.float32), np.zeros((*shape, len(self.widths)), np.float32)
        here = (past.weights > 0)[:, :, None]
        return self._sources[past.items] * here, self._source_masks[past.items] * here

    def user_vectors(self, likes: History, weights: Weights, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], computed in bounded batches of users."""
        readers = {name: weights[name] for name in READERS}
        vectors = np.empty((len(users), len(weights["bias"])), np.float32)
        for start in range(0, len(users), BATCH):
            past = sequences(likes, weights["place"].shape[1], users=users[start : start + BATCH])
            sources, masks = self.read(past)
            vectors[start : start + BATCH] = read(readers, sources, masks, past.weights, widths=self.widths, xp=np)
        return vectors

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, D], the history columns 0 where the item is not known."""
        history = np.where(self.known[:, None], weights["history"], 0)
        return np.hstack([history, *(self.content[m] @ weights[m] for m in MODALITIES)]).astype(np.float32)
