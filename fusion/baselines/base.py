"""What every baseline does."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History


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
