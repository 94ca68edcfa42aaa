"""Policies that predict a missing modality from those that the item has."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems
from fusion.crossmodal.registry import create
from fusion.crossmodal.translator import Translator
from fusion.data.catalog import Catalog, History
from fusion.missing.projected import ProjectedPolicy


class _Translated(ProjectedPolicy):
    """Fills with the predictions of a translator."""

    def __init__(self, translator: Translator, *, dims: int) -> None:
        super().__init__(dims=dims)
        self._translator = translator

    def _learn(self, catalog: Catalog, items: ProjectedItems, likes: History, *, seed: int) -> None:
        self._translator.fit(items, seed=seed)

    def _predict(
        self, catalog: Catalog, items: ProjectedItems, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        return {m: self._translator.predict(items.where(missing), m) for m, missing in rows.items()}


class Regression(_Translated):
    """Ridge regression on the modalities that the item has (`fusion.crossmodal.ridge`).

    Args:
        dims: see `ProjectedPolicy`.
    """

    def __init__(self, *, dims: int = 128) -> None:
        super().__init__(create("ridge"), dims=dims)


class Generator(_Translated):
    """A variational autoencoder conditioned on the modalities that the item has (`fusion.crossmodal.variational`).

    Args:
        dims: see `ProjectedPolicy`.
        settings: the arguments of `fusion.crossmodal.variational.Variational`.

    Raises:
        ValueError: a setting that it does not take.
    """

    def __init__(self, *, dims: int = 128, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(create("vae", dict(settings or {})), dims=dims)
