"""What scorers of a stack share: their users as parts over columns of one item matrix."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


class Part(NamedTuple):
    """One scorer's users: their scores are `users @ items[:, columns].T`, of unit spread over the catalog fitted on.

    Attributes:
        columns: of the item matrix.
        users: float32 [B, the width of columns].
    """

    scorer: str
    columns: slice
    users: NDArray[np.float32]


def with_mean_user(rows: sp.csr_matrix, count: NDArray[np.float32]) -> sp.csr_matrix:
    """CSR float32 [B, K]: the rows, and `count` [K], the likes of everybody, in the place of one that is empty."""
    empty = np.diff(rows.indptr) == 0
    if not empty.any():
        return rows
    return rows + sp.csr_matrix(empty[:, None].astype(np.float32)) @ sp.csr_matrix(count[None])


def under(prefix: str, state: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The arrays of `state` whose names begin with the prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
