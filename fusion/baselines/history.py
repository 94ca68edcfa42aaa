"""Baselines of history alone: popularity, item-based nearest neighbours and EASE."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix


class Popularity:
    """An item's score is the number of users who like it, the same for everyone."""

    def fit(self, history: History, n_items: int, **_: Any) -> "Popularity":
        self._count = np.bincount(history.likes().item, minlength=n_items).astype(np.float32)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items]; `history` is not used."""
        return np.broadcast_to(self._count, (len(users), len(self._count)))


class ItemKNN:
    """Item-based nearest neighbours by cosine (Sarwar et al. 2001; Deshpande and Karypis 2004).

    sim(i, j) = co-likes / (sqrt(likes_i * likes_j) + shrink); every item keeps its `neighbours` most similar ones (ties
    to the lower index), and a candidate's score is the sum of its kept similarities to the user's likes.
    """

    def __init__(self, *, neighbours: int = 100, shrink: float = 20.0) -> None:
        self.neighbours = neighbours
        self.shrink = shrink

    def fit(self, history: History, n_items: int, **_: Any) -> "ItemKNN":
        likes = like_matrix(history, n_items)
        by_item = likes.T.tocsr()
        length = np.sqrt(np.asarray(likes.sum(axis=0)).ravel())  # [N], of an item's column of zeros and ones
        kept = [self._nearest(by_item[i : i + 1024] @ likes, first=i, length=length) for i in range(0, n_items, 1024)]
        self._similarity = sp.vstack(kept, format="csr").T.tocsr() if kept else sp.csr_matrix((0, 0), dtype=np.float32)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], from the users' likes in `history`."""
        return (like_matrix(history, self._similarity.shape[0])[users] @ self._similarity).toarray()

    def _nearest(self, together: sp.csr_matrix, *, first: int, length: NDArray[np.floating]) -> sp.csr_matrix:
        """CSR [b, n]: the kept similarities of the items `first`, `first + 1`, ..., given their co-likes."""
        pairs = together.tocoo()
        value = pairs.data / (length[first + pairs.row] * length[pairs.col] + self.shrink)
        value[pairs.col == first + pairs.row] = 0
        # Pairs by row, then from the most similar down; a pair's rank is its distance from the first one of its row.
        order = np.lexsort((pairs.col, -value, pairs.row))
        row = pairs.row[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        keep = order[(rank < self.neighbours) & (value[order] > 0)]
        data = value[keep].astype(np.float32)
        return sp.csr_matrix((data, (pairs.row[keep], pairs.col[keep])), shape=together.shape)


class EASE:
    """Item-item weights B of the ridge regression of every item's likes on all other items' (Steck 2019, eq. 8):
    B = I - P diag(1 / diag(P)) with P = (X'X + ridge I)⁻¹, so that B has a zero diagonal; scores are X B.

    P is a dense matrix, so only the `max_items` items with the most likes are used (ties to the lower row); the others
    score 0.
    """

    def __init__(self, *, ridge: float = 400.0, max_items: int = 8000) -> None:
        self.ridge = ridge
        self.max_items = max_items

    def fit(self, history: History, n_items: int, **_: Any) -> "EASE":
        likes = like_matrix(history, n_items)
        counts = np.asarray(likes.sum(axis=0)).ravel()
        first = np.lexsort((np.arange(n_items), -counts))[: self.max_items]
        self._n_items, self._rows = n_items, np.sort(first[counts[first] > 0])
        liked = likes[:, self._rows].astype(np.float64)
        inverse = np.linalg.inv((liked.T @ liked).toarray() + self.ridge * np.eye(len(self._rows)))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        self._weights = weights.astype(np.float32)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], from the users' likes in `history`."""
        scores = np.zeros((len(users), self._n_items), np.float32)
        scores[:, self._rows] = like_matrix(history, self._n_items)[users][:, self._rows] @ self._weights
        return scores
