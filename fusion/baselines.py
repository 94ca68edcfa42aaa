"""What a model must beat: recommenders of history alone, with nothing to tune at night."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data import History


def like_matrix(history: History, n_items: int) -> sp.csr_matrix:
    """CSR float32 [U, n_items], 1 where the user likes the item."""
    likes = history.likes()
    ones = np.ones(len(likes), np.float32)
    return sp.csr_matrix((ones, (likes.user, likes.item)), shape=(len(history.user_ids), n_items))


class Baseline(Protocol):
    def fit(self, history: History, n_items: int) -> "Baseline": ...

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]: ...


class Popularity:
    """An item's score is the number of users who like it, the same for everyone."""

    def fit(self, history: History, n_items: int) -> "Popularity":
        self._count = np.bincount(history.likes().item, minlength=n_items).astype(np.float32)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items]; `history` plays no part."""
        return np.broadcast_to(self._count, (len(users), len(self._count)))


class ItemKNN:
    """Item-based nearest neighbours by cosine (Sarwar et al. 2001; Deshpande and Karypis 2004).

    sim(i, j) = co-likes / (sqrt(likes_i * likes_j) + shrink); every item keeps its `neighbours` most similar ones (ties
    to the lower index), and a candidate's score is the sum of its kept similarities to the user's likes.
    """

    def __init__(self, *, neighbours: int = 100, shrink: float = 20.0) -> None:
        self.neighbours = neighbours
        self.shrink = shrink

    def fit(self, history: History, n_items: int) -> "ItemKNN":
        likes = like_matrix(history, n_items)
        by_item = likes.T.tocsr()
        length = np.sqrt(np.asarray(likes.sum(axis=0)).ravel())
        kept = [self._nearest(by_item[i : i + 1024] @ likes, first=i, length=length) for i in range(0, n_items, 1024)]
        self._similarity = sp.vstack(kept, format="csr").T.tocsr() if kept else sp.csr_matrix((0, 0), dtype=np.float32)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items] from what `history` says they like."""
        return (like_matrix(history, self._similarity.shape[0])[users] @ self._similarity).toarray()

    def _nearest(self, together: sp.csr_matrix, *, first: int, length: NDArray[np.floating]) -> sp.csr_matrix:
        """CSR [b, n]: the kept similarities of the items `first`, `first + 1`, ..., given their co-likes."""
        pairs = together.tocoo()
        value = pairs.data / (length[first + pairs.row] * length[pairs.col] + self.shrink)
        value[pairs.col == first + pairs.row] = 0
        order = np.lexsort((pairs.col, -value, pairs.row))
        row = pairs.row[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        keep = order[(place < self.neighbours) & (value[order] > 0)]
        data = value[keep].astype(np.float32)
        return sp.csr_matrix((data, (pairs.row[keep], pairs.col[keep])), shape=together.shape)
