"""ConcatenatedItems that are their history beside their weighted linear content, and users that are linear in their
profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import rows_at
from fusion.data.history_features import UserProfilesMixin
from fusion.models.linear.modality_weights import EVEN, Weighting, spread
from fusion.training.trainer import Weights


@dataclass(frozen=True)
class LinearItems:
    """What is given of every item, and the vectors that named weights make of them (`fusion.training.trainer.Network`).
    With r history columns (the last is the item's bias) and c_m content columns, D = r + sum of c_m. The weights:

    | name | shape | of |
    | --- | --- | --- |
    | `history` | [K, r] | every known item |
    | `item/<modality>` | [p_m, c_m] | projected modality → its columns |

    and what the weighting of the modalities has to learn.

    Attributes:
        content: modality → float32 [N, p_m], 0 where missing.
        masks: bool [N, 1 + M], whether history and each modality speak for the item.
        place: int64 [N], the item's row in the weights' `history`; -1 where there is none.
        factors: float32 [N, f], closed-form factors of history, 0 where there are none.
        weighting: how much each modality counts in an item.
    """

    content: Mapping[str, NDArray[np.float32]]
    masks: NDArray[np.bool_]
    place: NDArray[np.int64]
    factors: NDArray[np.float32]
    weighting: Weighting = EVEN

    compiled = True

    def given(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        return {"place": np.maximum(self.place[rows], 0), **{m: x[rows] for m, x in self.content.items()}}

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        history = rows_at(weights["history"], self.place)
        shown = self.masks.astype(np.float32)
        return self._columns(weights, history, list(self.content.values()), shown, xp=np).astype(np.float32)

    def columns(self, weights: Mapping[str, Any], given: Mapping[str, Any], shown: Any, *, xp: Any) -> Any:
        """[n, D]: the vectors of items of which `given` tells, as far as they are shown, [n, 1 + M]."""
        history = xp.take(weights["history"], given["place"], axis=0)
        return self._columns(weights, history, [given[m] for m in self.content], shown, xp=xp)

    def _columns(self, weights: Mapping[str, Any], history: Any, content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        blocks = [xp.matmul(x, weights[f"item/{m}"]) for m, x in zip(self.content, content, strict=True)]
        factors = self.weighting(weights, content, shown[:, 1:], xp=xp)
        joined = xp.concatenate(blocks, axis=1) * spread(factors, [block.shape[1] for block in blocks], xp=xp)
        return xp.concatenate([history * shown[:, :1], joined], axis=1)


@dataclass(frozen=True)
class ConcatenatedItems(UserProfilesMixin, LinearItems):
    """Linear items whose users are linear in their profile."""

    decays: tuple[float | None, ...] = (None,)

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        given: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        users = xp.matmul(profiles["means"], weights["user"]) + weights["user_bias"]
        return users, self.columns(weights, given, shown, xp=xp)
