"""What every baseline does."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History


def like_matrix(history: History, n_items: int) -> sp.csr_matrix:
    """CSR float32 [U, n_items], 1 where the user likes the item."""
    likes = history.likes()
    ones = np.ones(len(likes), np.float32)
    return sp.csr_matrix((ones, (likes.user, likes.item)), shape=(len(history.user_ids), n_items))


class Baseline(Protocol):
    def fit(
        self,
        history: History,
        n_items: int,
        *,
        catalog: Catalog | None = None,
        terms: sp.csr_matrix | None = None,
    ) -> "Baseline":
        """Learns from the likes in `history` and, where it is one of content, from what it is told of the items.

        Args:
            catalog: the items' vectors.
            terms: CSR [n_items, T], how often each term stands in an item's text.

        Raises:
            ValueError: it needs what it was not given.
        """

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], for `users`, places in the `user_ids` of `history`."""
