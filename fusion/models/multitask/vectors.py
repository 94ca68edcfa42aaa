"""The items as the multi-task network sees them, and the vectors that its weights make of them and of users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, Sequences, rows_at
from fusion.data.user_profiles import mapped_profiles
from fusion.models.multitask import network
from fusion.training.gru import steps
from fusion.training.trainer import Weights

BLOCK = 2048
"""Items whose sequences are read at once."""


@dataclass(frozen=True)
class Items:
    """What is given of every item.

    Attributes:
        content: modality → float32 [N, p_m], 0 where missing; only modalities of which something was learnt.
        sequences: of some of these modalities, standardised.
        masks: bool [N, 1 + M], whether each part speaks for the item, history first.
        place: int64 [N], the item's row in the weights' `history`; -1 where there is none.
        labels: int64 [N], the item's category; -1 where it has none to learn from.
        categories: how many there are.
        decays: the recency decays under which a profile repeats the parts.
    """

    content: Mapping[str, NDArray[np.float32]]
    sequences: Mapping[str, Sequences]
    masks: NDArray[np.bool_]
    place: NDArray[np.int64]
    labels: NDArray[np.int64]
    categories: int
    decays: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.place)

    def one_hot(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(rows), categories], 1 at the label of each row that has one."""
        return (self.labels[rows, None] == np.arange(self.categories)).astype(np.float32)

    def given(self, rows: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        """As `fusion.training.trainer.Network`, for `network.parts`."""
        found = {m: x[rows] for m, x in self.content.items()}
        return found | steps(self.sequences, rows) | {"place": np.maximum(self.place[rows], 0)}

    def parts(self, weights: Weights) -> list[NDArray[np.float32]]:
        """The parts of every item, as `network.parts` gives them, computed in bounded blocks of items."""
        blocks = []
        for start in range(0, max(1, len(self)), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self)))
            history, shown = rows_at(weights["history"], self.place[rows]), self.masks[rows].astype(np.float32)
            blocks.append(network.parts(weights, history, self.given(rows), list(self.content), shown, xp=np))
        return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]

    def users(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), d]."""
        return mapped_profiles(
            likes,
            network.without_bias(self.parts(weights)),
            list(self.masks.T),
            decays=self.decays,
            kernel=weights["user"],
            bias=weights["user_bias"],
            users=users,
        )

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        return np.hstack(self.parts(weights))

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], what meets an item's vector: u for every part, and 1 for the bias."""
        found = self.users(weights, likes, users=users)
        return np.hstack([found, np.ones((len(found), 1), np.float32), *[found] * len(self.content)])
