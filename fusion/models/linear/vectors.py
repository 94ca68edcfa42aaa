"""Networks whose items are history beside weighted linear content, and the one whose users are linear in a profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import rows_at
from fusion.data.history_features import UserProfilesMixin
from fusion.models.linear.modality_weights import EVEN, Weighting, repeat_columns
from fusion.training.trainer import Weights


@dataclass(frozen=True)
class LinearItems:
    """The item side of a network over a catalog (`fusion.training.trainer.Network`): [history ; w_m W_m x_m ...].

    With r history columns (the last is the item's bias) and c_m content columns, D = r + sum of c_m. The weights:

    | name | shape | of |
    | --- | --- | --- |
    | `history` | [K, r] | every known item |
    | `item/<modality>` | [p_m, c_m] | projected modality → its columns |

    and those of the weighting of the modalities.

    Attributes:
        content: modality → float32 [N, p_m], 0 where missing.
        masks: bool [N, 1 + M], whether the item has history and each modality.
        place: int64 [N], the item's row in the weights' `history`; -1 where there is none.
        factors: float32 [N, f], closed-form factors of history, 0 where there are none.
        weighting: computes w of the modalities.
    """

    content: Mapping[str, NDArray[np.float32]]
    masks: NDArray[np.bool_]
    place: NDArray[np.int64]
    factors: NDArray[np.float32]
    weighting: Weighting = EVEN

    compiled = True

    def item_inputs(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        return {"place": np.maximum(self.place[rows], 0), **{m: x[rows] for m, x in self.content.items()}}

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        history = rows_at(weights["history"], self.place)
        shown = self.masks.astype(np.float32)
        return self._columns(weights, history, list(self.content.values()), shown, xp=np).astype(np.float32)

    def columns(self, weights: Mapping[str, Any], inputs: Mapping[str, Any], shown: Any, *, xp: Any) -> Any:
        """[n, D]: item vectors, given their `item_inputs` and `shown` [n, 1 + M], 1 for each block to be used."""
        history = xp.take(weights["history"], inputs["place"], axis=0)
        return self._columns(weights, history, [inputs[m] for m in self.content], shown, xp=xp)

    def _columns(self, weights: Mapping[str, Any], history: Any, content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        blocks = [xp.matmul(x, weights[f"item/{m}"]) for m, x in zip(self.content, content, strict=True)]
        factors = self.weighting(weights, content, shown[:, 1:], xp=xp)  # [n, M]
        weighted = xp.concatenate(blocks, axis=1) * repeat_columns(factors, [b.shape[1] for b in blocks], xp=xp)
        return xp.concatenate([history * shown[:, :1], weighted], axis=1)


@dataclass(frozen=True)
class ConcatenatedItems(UserProfilesMixin, LinearItems):
    """Linear items, with users that are linear in their profile."""

    decays: tuple[float | None, ...] = (None,)

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        inputs: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        users = xp.matmul(profiles["means"], weights["user"]) + weights["user_bias"]
        return users, self.columns(weights, inputs, shown, xp=xp)
