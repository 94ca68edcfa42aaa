"""Why this item: a score taken apart into what each block of the vectors adds to it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def contributions(
    user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32], blocks: Mapping[str, slice]
) -> dict[str, NDArray[np.float32]]:
    """Block → float32 [n]: the dot product of row i of both, over the block's columns alone.

    The blocks partition the columns, so the values of a row add up to its score. A block in which either side is zero
    (a modality that the item lacks) adds exactly 0.

    Args:
        user_vectors, item_vectors: float32 [n, D], one row a (user, item) pair.

    Raises:
        ValueError: the two differ in shape.
    """
    if user_vectors.shape != item_vectors.shape:
        raise ValueError(
            f"user vectors {user_vectors.shape}, item vectors {item_vectors.shape}: expected the same shape"
        )
    product = user_vectors * item_vectors
    return {name: product[:, columns].sum(axis=1, dtype=np.float32) for name, columns in blocks.items()}
