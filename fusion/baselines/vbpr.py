"""Visual Bayesian personalised ranking, by the package `cornac`, which is not part of a plain installation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.baselines.base import like_matrix
from fusion.data import Catalog, History
from fusion.preprocess import Projection
from schemas.table import MODALITIES


class VBPR:
    """Matrix factorisation with content (He and McAuley 2016): factors of the item's id beside a learnt projection of
    its content, here the projected vectors of all modalities side by side, 0 where missing.

    Users are known by id. One who was not fitted with a like scores 0 everywhere, an item that nobody liked 0 for
    everyone.
    """

    def __init__(
        self,
        *,
        factors: int = 32,
        dims: int = 128,
        epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 0.001,
        ridge: float = 0.01,
        seed: int = 1,
    ) -> None:
        self.factors, self.dims, self.epochs, self.batch_size = factors, dims, epochs, batch_size
        self.learning_rate, self.ridge, self.seed = learning_rate, ridge, seed

    def fit(self, history: History, n_items: int, *, catalog: Catalog | None = None, **_: Any) -> "VBPR":
        """Raises ValueError without a catalog or content, ModuleNotFoundError without the package."""
        if catalog is None:
            raise ValueError(f"vbpr without a catalog: expected one of {n_items} items")
        cornac = _cornac()
        likes = like_matrix(history, n_items).tocoo()
        self._n_items, self._columns = n_items, np.zeros(0, np.int64)
        self._numbers: dict[str, int] = {}
        if not likes.nnz:
            return self
        # Cornac numbers items in the order that it meets them, and features must follow its numbers.
        pairs = [(int(u), int(i), 1.0) for u, i in zip(likes.row, likes.col, strict=True)]
        data = cornac.data.Dataset.from_uir(pairs, seed=self.seed)
        self._columns = np.fromiter(data.item_ids, np.int64)
        self._numbers = {str(history.user_ids[row]): number for number, row in enumerate(data.user_ids)}
        features = _features(catalog, dims=self.dims)[self._columns]
        if not features.shape[1]:
            raise ValueError("vbpr for a catalog without content: expected vectors of at least one modality")
        data.add_modalities(item_image=cornac.data.ImageModality(features=features))
        self._model = cornac.models.VBPR(
            k=self.factors,
            k2=self.factors,
            n_epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            lambda_w=self.ridge,
            use_gpu=False,
            verbose=False,
            seed=self.seed,
        )
        self._model.fit(data)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items]; of `history` only the `user_ids` play a part."""
        scores = np.zeros((len(users), self._n_items), np.float32)
        for row, user in enumerate(history.user_ids[users].tolist()):
            if user in self._numbers:
                scores[row, self._columns] = np.asarray(self._model.score(self._numbers[user]))[: len(self._columns)]
        return scores


def _features(catalog: Catalog, *, dims: int) -> NDArray[np.float32]:
    """float32 [N, p]: the modalities' projected vectors side by side."""
    parts = []
    for modality in MODALITIES:
        vectors, mask = catalog.vectors[modality], catalog.masks[modality]
        parts.append(Projection.fit(vectors, mask, dims=dims)(vectors, mask))
    return np.hstack(parts)


def _cornac() -> Any:
    try:
        import cornac
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"vbpr needs the package {error.name!r}, which is not installed: pip install 'nightweave[bench]'"
        ) from error
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    return cornac
