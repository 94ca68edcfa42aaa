"""Items like an item, by the modalities that both have. Spark's workers import it: no TensorFlow, no scikit-learn."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.ranking.nearest_neighbours import SHRINK, nearest_rows


def similar(
    queries: NDArray[np.integer],
    matrix: NDArray[np.float32],
    *,
    masks: Mapping[str, NDArray[np.bool_]],
    blocks: Mapping[str, slice],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` nearest other rows of each query row, as `fusion.ranking.nearest_neighbours.nearest_rows` gives them with `SHRINK`.

    Args:
        queries: int [B], rows of the matrix.
        matrix: float32 [N, D].
        masks: block → bool [N], whether the row has that block; an all-zero block counts as missing too.
        blocks: block → its columns.
        k: how many neighbours.
    """
    rows = [np.where(masks[name][:, None], matrix[:, columns], np.float32(0)) for name, columns in blocks.items()]
    return nearest_rows([part[queries] for part in rows], rows, k=k, own=queries, shrink=SHRINK)
