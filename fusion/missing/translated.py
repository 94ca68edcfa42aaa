"""Policies that tell a missing modality from those that the item has."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.registry import create
from fusion.crossmodal.translator import Translator
from fusion.crossmodal.views import Views
from fusion.data import Catalog, History
from fusion.missing.projected import ProjectedPolicy

KINDS = ("vae", "gan", "network")


class _Translated(ProjectedPolicy):
    """Fills with what a translator predicts."""

    def __init__(self, translator: Translator, *, dims: int) -> None:
        super().__init__(dims=dims)
        self._translator = translator

    def _learn(self, catalog: Catalog, views: Views, likes: History, *, seed: int) -> None:
        self._translator.fit(views, seed=seed)

    def _make(
        self, catalog: Catalog, views: Views, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        return {m: self._translator.predict(views.where(missing), m) for m, missing in rows.items()}

    def _learnt(self) -> dict[str, NDArray[Any]]:
        return self._translator.state()

    def _restore(self, learnt: Mapping[str, NDArray[Any]]) -> None:
        self._translator.restore(learnt)


class Regression(_Translated):
    """Ridge regression on the modalities that the item has (`fusion.crossmodal.ridge`).

    Args:
        dims: see `ProjectedPolicy`.
    """

    name = "regression"

    def __init__(self, *, dims: int = 128) -> None:
        super().__init__(create("ridge"), dims=dims)


class Generator(_Translated):
    """A generative network conditioned on the modalities that the item has.

    Args:
        kind: `vae` (`fusion.crossmodal.variational`), `gan` (`fusion.crossmodal.adversarial`), or `network`
            (`fusion.crossmodal.regressor`), which generates nothing and is here to be compared with.
        dims: see `ProjectedPolicy`.
        settings: the translator's own arguments.

    Raises:
        ValueError: another kind, or settings that it does not take.
    """

    name = "generator"

    def __init__(self, *, kind: str = "vae", dims: int = 128, settings: Mapping[str, Any] | None = None) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}: expected one of {list(KINDS)}")
        super().__init__(create(kind, dict(settings or {})), dims=dims)
        self.kind, self.settings = kind, dict(settings or {})

    def parameters(self) -> dict[str, Any]:
        return {"kind": self.kind, "dims": self.dims, "settings": self.settings}
