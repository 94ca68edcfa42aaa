"""The items as the joint embedding sees them, and the vectors that its weights make of them and of users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, Sequences, rows_at
from fusion.data.user_profiles import Profiled
from fusion.models.joint import network
from fusion.training.gru import steps

BLOCK = 2048
"""Items whose tokens are held at once."""


@dataclass(frozen=True)
class Items(Profiled):
    """What is given of every item (`fusion.training.trainer.Network`).

    Attributes:
        content: modality → float32 [N, p_m], 0 where missing; only modalities of which something was learnt.
        sequences: of some of these modalities, standardised.
        masks: bool [N, 1 + M], whether each token is there, history first.
        place: int64 [N], the item's row in the weights' `history`; -1 where there is none.
        factors: float32 [N, r], closed-form factors of history, 0 where there are none.
        decays: the recency decays under which a profile repeats the factors and the content.
        heads: of the attention.
    """

    content: Mapping[str, NDArray[np.float32]]
    sequences: Mapping[str, Sequences]
    masks: NDArray[np.bool_]
    place: NDArray[np.int64]
    factors: NDArray[np.float32]
    decays: tuple[float | None, ...]
    heads: int

    compiled = False

    def __len__(self) -> int:
        return len(self.place)

    def given(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        found = {m: x[rows] for m, x in self.content.items()}
        return found | steps(self.sequences, rows) | {"place": np.maximum(self.place[rows], 0)}

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        given: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        users = network.users(weights, profiles["means"], xp=xp)
        history = xp.take(weights["history"], given["place"], axis=0)
        return (
            network.user_vectors(users, len(self.content), xp=xp),
            self._columns(weights, history, given, shown, xp=xp),
        )

    def item_vectors(self, weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        width = weights["out"].shape[0]
        vectors = np.empty((len(self), width * self.masks.shape[1] + 1), np.float32)
        for start in range(0, len(self), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self)))
            history = rows_at(weights["history"], self.place[rows])
            shown = self.masks[rows].astype(np.float32)
            vectors[rows] = self._columns(weights, history, self.given(rows), shown, xp=np)
        return vectors

    def user_vectors(
        self, weights: Mapping[str, NDArray[np.float32]], likes: History, *, users: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        found = super().user_vectors(weights, likes, users=users)
        return network.user_vectors(found, len(self.content), xp=np)

    def _columns(
        self, weights: Mapping[str, Any], history: Any, given: Mapping[str, Any], shown: Any, *, xp: Any
    ) -> Any:
        tokens = network.tokens(weights, history[:, :-1], given, tuple(self.content), xp=xp)
        found = network.parts(weights, tokens, shown, heads=self.heads, xp=xp)
        return network.item_vectors(found, history[:, -1:] * shown[:, :1], xp=xp)
