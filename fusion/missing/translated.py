"""Policies that tell a missing modality from those that the item has."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.registry import create
from fusion.crossmodal.translator import Translator
from fusion.crossmodal.views import Views
from fusion.data.catalog import Catalog, History
from fusion.missing.projected import ProjectedPolicy


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


class Regression(_Translated):
    """Ridge regression on the modalities that the item has (`fusion.crossmodal.ridge`).

    Args:
        dims: see `ProjectedPolicy`.
    """

    def __init__(self, *, dims: int = 128) -> None:
        super().__init__(create("ridge"), dims=dims)


class _Trained(_Translated):
    """By a translator that is trained by gradients.

    Args:
        dims: see `ProjectedPolicy`.
        settings: the translator's own arguments.

    Raises:
        ValueError: settings that it does not take.
    """

    translator: ClassVar[str]

    def __init__(self, *, dims: int = 128, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(create(self.translator, dict(settings or {})), dims=dims)


class NetworkRegression(_Trained):
    """A small network on the modalities that the item has (`fusion.crossmodal.regressor`)."""

    translator = "network"


class Generator(_Trained):
    """A variational autoencoder conditioned on the modalities that the item has (`fusion.crossmodal.variational`)."""

    translator = "vae"
