"""Visual Bayesian personalised ranking, by the optional package `cornac` (`nightweave[bench]`)."""

import contextlib
import io
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, like_matrix
from fusion.data.projection import fit_projections
from schemas.table import MEDIA


class VBPR:
    """Matrix factorisation with content (He and McAuley 2016): factors of the item's id beside a learnt projection of
    its content, here the projected vectors of all modalities side by side, zeros where missing.

    Users are matched by id, and one without a like in the fit scores 0 everywhere. An item without a like has neither
    factors nor a bias of its own and is scored by its content alone (section 3.2).
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
        self._numbers: dict[str, int] = {}
        self._users, self._items = np.zeros((1, 0), np.float32), np.zeros((n_items, 0), np.float32)
        self._bias = np.zeros(n_items, np.float32)
        if not likes.nnz:
            return self
        # Cornac numbers users and items in order of first occurrence; features must be in the order of its items.
        pairs = [(int(u), int(i), 1.0) for u, i in zip(likes.row, likes.col, strict=True)]
        data = cornac.data.Dataset.from_uir(pairs, seed=self.seed)
        columns = np.fromiter(data.item_ids, np.int64)
        self._numbers = {str(history.user_ids[row]): number for number, row in enumerate(data.user_ids)}
        features = _features(catalog, dims=self.dims)
        if not features.shape[1]:
            raise ValueError("vbpr for a catalog without content: expected vectors of at least one modality")
        data.add_modalities(item_image=cornac.data.ImageModality(features=features[columns]))
        model = cornac.models.VBPR(
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
        # Cornac prints to standard output even without `verbose`, where the caller may be writing a table.
        with contextlib.redirect_stdout(io.StringIO()):
            model.fit(data)
        self._keep(model, features, columns)
        return self

    def _keep(self, model: Any, features: NDArray[np.float32], columns: NDArray[np.int64]) -> None:
        """Sets the vectors of users, in Cornac's order, and of all items, from the fitted parameters.

        Args:
            features: float32 [N, p].
            columns: int64 [n], the items that were fitted, in Cornac's order.
        """
        own = np.zeros((len(features), model.gamma_item.shape[1]), np.float32)
        own[columns] = model.gamma_item[: len(columns)]
        self._items = np.hstack([own, features @ model.emb_matrix]).astype(np.float32)
        self._users = np.hstack([model.gamma_user, model.theta_user]).astype(np.float32)
        self._bias = (features @ model.beta_prime).ravel().astype(np.float32)
        self._bias[columns] += model.beta_item[: len(columns)]

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items]; of `history` only the `user_ids` are used."""
        numbers = np.array([self._numbers.get(user, -1) for user in history.user_ids[users].tolist()], np.int64)
        scores = self._users[numbers] @ self._items.T + self._bias
        scores[numbers < 0] = 0
        return scores


def _features(catalog: Catalog, *, dims: int) -> NDArray[np.float32]:
    """float32 [N, p]: the modalities' projected vectors side by side."""
    projections = fit_projections(catalog, dims=dims, modalities=MEDIA)
    return np.hstack([projection(catalog.vectors[m], catalog.masks[m]) for m, projection in projections.items()])


def _cornac() -> Any:
    # Torch imports triton where it finds it, whose LLVM aborts a process that has TensorFlow's. Only GPUs need it.
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]
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
