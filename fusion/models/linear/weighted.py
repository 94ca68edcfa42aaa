"""Feature-level fusion by weighting: concatenation with a factor a modality, given, learnt, or learnt for each item."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from pydantic import PositiveInt, validate_call

from fusion.data.catalog import Catalog
from fusion.models.base import FitContext, Space
from fusion.models.linear.concatenation import Concatenation
from fusion.models.linear.modality_weights import Fixed, Gated, Learned, Weighting
from fusion.models.linear.vectors import ConcatenatedItems
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.trainer import Weights
from schemas.table import MODALITIES, Modality


class Weighted(Concatenation):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; w_text W_text x_i ; w_image W_image x_i ; w_audio W_audio x_i ;
    w_video W_video x_i]; all but the factors w is as in `Concatenation`.

    Args:
        weighting: the source of w: `fixed`, `learned` (one scalar a modality) or `gated` (a small network over the
            item's modalities). See `fusion.models.linear.modality_weights`.
        weights: modality → w, if fixed; 1 for a modality that is left out.
        gate_units: of the gate's hidden layer.
        concatenation: the arguments of `Concatenation`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "weighted"
    space: ClassVar[Space] = {
        **Concatenation.space,
        "weighting": CategoricalDistribution(("learned", "gated")),
    }
    defaults = TrainingConfig(loss="bpr", untuned_epochs=16)

    @validate_call
    def __init__(
        self,
        *,
        weighting: Literal["fixed", "learned", "gated"] = "gated",
        weights: Mapping[Modality, float] | None = None,
        gate_units: PositiveInt = 16,
        **concatenation: Any,
    ) -> None:
        super().__init__(**concatenation)
        given = dict(weights or {})
        if given and weighting != "fixed":
            raise ValueError(f"weights {given}: only a fixed weighting takes them, and this one is {weighting}")
        if set(given) - set(MODALITIES) or not all(np.isfinite(w) and w >= 0 for w in given.values()):
            raise ValueError(f"weights {given}: expected some of {', '.join(MODALITIES)}, each 0 or more")
        self._arguments |= {"weighting": weighting, "weights": given, "gate_units": gate_units}
        self._weighting: Weighting
        if weighting == "fixed":
            self._weighting = Fixed(tuple(float(given.get(m, 1.0)) for m in MODALITIES))
        else:
            self._weighting = Learned() if weighting == "learned" else Gated(gate_units)

    def weights(self, catalog: Catalog) -> dict[str, NDArray[np.float32]]:
        """Modality → float32 [N]: its weight in each item; 0 where the item lacks it."""
        items = self._network(catalog)
        shown = items.masks[:, 1:].astype(np.float32)
        factors = items.weighting(self._weights, list(items.content.values()), shown, xp=np)
        return {m: factors[:, place].astype(np.float32) for place, m in enumerate(items.content)}

    def _initialise(self, context: FitContext) -> tuple[ConcatenatedItems, Weights]:
        items, weights = super()._initialise(context)
        widths = [len(weights[f"item/{m}"]) for m in self._projections]
        return items, {**weights, **self._weighting.initial_weights(widths, seed=context.seed)}

    def _network(self, catalog: Catalog) -> ConcatenatedItems:
        items = super()._network(catalog)
        if isinstance(self._weighting, Fixed):  # a model of a version that did not read attributes has fewer
            return replace(items, weighting=Fixed(self._weighting.factors[: len(items.content)]))
        return replace(items, weighting=self._weighting)

    def _extend_log(self, context: FitContext, network: Any, log: FitLog) -> FitLog:
        """Adds the mean weight of each modality."""
        factors, masks = self.weights(context.catalog), self.masks(context.catalog)
        return replace(log, weights={m: float(factors[m][masks[m]].mean()) for m in factors if masks[m].any()})
