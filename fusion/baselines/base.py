"""The interface of a baseline."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History


class Baseline(Protocol):
    """A recommender with fixed parameters."""

    def fit(
        self,
        history: History,
        n_items: int,
        *,
        catalog: Catalog | None = None,
        terms: sp.csr_matrix | None = None,
    ) -> "Baseline":
        """Fits on the likes in `history`, and a baseline of content on the catalog or the terms.

        Args:
            catalog: the items' vectors.
            terms: CSR [n_items, T], how often each term occurs in an item's text.

        Raises:
            ValueError: the catalog or the terms are required and missing.
        """

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], for `users`, indices into the `user_ids` of `history`."""
