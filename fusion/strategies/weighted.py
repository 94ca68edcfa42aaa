"""Feature-level fusion by weighting: concatenation with a factor for every modality, given, learnt, or each item's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from fusion.data import Catalog, History
from fusion.strategies.base import FitLog, Space
from fusion.strategies.concatenation import Concatenation
from fusion.training import Items, Towers
from fusion.weighting import Fixed, Gated, Learned, Weighting
from schemas.table import MODALITIES, Modality

WEIGHTINGS = ("fixed", "learned", "gated")
_PREFIX = "weighting/"


class Weighted(Concatenation):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; w_text W_text x_i ; w_image W_image x_i ; w_audio W_audio x_i ;
    w_video W_video x_i]; all but the factors w is as in `Concatenation`.

    Args:
        weighting: where w comes from: `fixed`, `learned` (one scalar a modality) or `gated` (a small network of what
            the item has). See `fusion.weighting`.
        weights: modality → w, if fixed; 1 for a modality that is not there.
        gate_units: of the gate's hidden layer.
        loss, untuned_epochs, concatenation: the arguments of `Concatenation`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "weighted"
    space: ClassVar[Space] = {
        **Concatenation.space,
        "weighting": CategoricalDistribution(("learned", "gated")),
    }

    def __init__(
        self,
        *,
        weighting: str = "gated",
        weights: Mapping[Modality, float] | None = None,
        gate_units: int = 16,
        loss: str = "bpr",
        untuned_epochs: int = 16,
        **concatenation: Any,
    ) -> None:
        super().__init__(loss=loss, untuned_epochs=untuned_epochs, **concatenation)
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting {weighting!r}: expected one of {', '.join(WEIGHTINGS)}")
        given = dict(weights or {})
        if given and weighting != "fixed":
            raise ValueError(f"weights {given}: only a fixed weighting takes them, and this one is {weighting}")
        if set(given) - set(MODALITIES) or not all(np.isfinite(w) and w >= 0 for w in given.values()):
            raise ValueError(f"weights {given}: expected some of {', '.join(MODALITIES)}, each 0 or more")
        if gate_units < 1:
            raise ValueError(f"gate_units {gate_units}: expected 1 or more")
        self._parameters |= {"weighting": weighting, "weights": given, "gate_units": gate_units}
        self._weighting: Weighting
        if weighting == "fixed":
            self._weighting = Fixed(tuple(float(given.get(m, 1.0)) for m in MODALITIES))
        else:
            self._weighting = Learned() if weighting == "learned" else Gated(gate_units)

    def fit(
        self,
        catalog: Catalog,
        train: History,
        valid: History | None = None,
        *,
        seed: int,
        tuned: FitLog | None = None,
        progress: bool = False,
    ) -> FitLog:
        log = super().fit(catalog, train, valid, seed=seed, tuned=tuned, progress=progress)
        factors, masks = self.weights(catalog), self.masks(catalog)
        return replace(log, weights={m: float(factors[m][masks[m]].mean()) for m in MODALITIES if masks[m].any()})

    def weights(self, catalog: Catalog) -> dict[str, NDArray[np.float32]]:
        """Modality → float32 [N]: how much it counts in each item; 0 where the item lacks it."""
        items = self._items(catalog)
        shown = np.stack(items.content_masks, axis=1).astype(np.float32)
        factors = items.weighting(self._towers.weighting, items.content, shown, xp=np)
        return {m: factors[:, place].astype(np.float32) for place, m in enumerate(MODALITIES)}

    def state(self) -> dict[str, NDArray[Any]]:
        return super().state() | dict(self._towers.weighting)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        super().restore(state)
        learnt = {name: array for name, array in state.items() if name.startswith(_PREFIX)}
        self._towers = replace(self._towers, weighting=learnt)

    def _start(self, catalog: Catalog, likes: History, *, seed: int) -> Towers:
        towers = super()._start(catalog, likes, seed=seed)
        widths = [len(kernel) for kernel in towers.item_content]
        return replace(towers, weighting=self._weighting.start(widths, seed=seed))

    def _items(self, catalog: Catalog) -> Items:
        return replace(super()._items(catalog), weighting=self._weighting)
