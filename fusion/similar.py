"""Items like an item, by the modalities that both have. NumPy only: Spark's workers import it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.rank import top_k

SHRINK = 1.0
CELLS = 4_000_000
"""How many scores may be held at once."""


def similar(
    queries: NDArray[np.integer],
    matrix: NDArray[np.float32],
    *,
    masks: Mapping[str, NDArray[np.bool_]],
    blocks: Mapping[str, slice],
    k: int,
    shrink: float = SHRINK,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` nearest other rows of each query row.

    The score of a pair is the sum of the cosines of the blocks that both have, over their number plus `shrink`: a mean
    drawn towards 0 as if `shrink` more blocks had agreed on nothing (the support shrinkage of Bell and Koren 2007, eq.
    7). One shared block with cosine .9 so gives .45, less than three with .7 each (.525).

    Args:
        queries: int [B], rows of the matrix.
        matrix: float32 [N, D].
        masks: block → bool [N], whether the row has that block; an all-zero block counts as missing too.
        blocks: block → its columns.
        k: how many neighbours; fewer are padded as in `fusion.rank.top_k`.

    Returns:
        indices: int64 [B, min(k, N)], -1 where nothing shares a block with the query; never the query itself.
        scores: float32 of the same shape, -inf at the paddings. Ties go to the lower row.
    """
    units, present = _units(matrix, masks=masks, blocks=blocks)
    size = max(1, CELLS // max(1, len(matrix)))
    parts = [
        _block(queries[start : start + size], units=units, present=present, k=k, shrink=shrink)
        for start in range(0, len(queries), size)
    ]
    if not parts:
        width = min(k, len(matrix))
        return np.zeros((0, width), np.int64), np.zeros((0, width), np.float32)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _units(
    matrix: NDArray[np.float32], *, masks: Mapping[str, NDArray[np.bool_]], blocks: Mapping[str, slice]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Per block: rows of length 1 (0 where missing), and 1.0 or 0.0 for present or missing.

    In float64: the last bits of a product depend on which rows are multiplied together, so they must be rounded away.
    """
    units, present = [], []
    for name, columns in blocks.items():
        part = matrix[:, columns].astype(np.float64)
        length = np.linalg.norm(part, axis=1)
        here = masks[name] & (length > 0)
        units.append(np.where(here[:, None], part / np.where(here, length, 1)[:, None], 0))
        present.append(here.astype(np.float64))
    return units, present


def _block(
    queries: NDArray[np.integer],
    *,
    units: list[NDArray[np.float64]],
    present: list[NDArray[np.float64]],
    k: int,
    shrink: float,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    shared = sum(np.outer(here[queries], here) for here in present)
    total = sum(unit[queries] @ unit.T for unit in units)
    scores = np.where(shared > 0, total / np.maximum(shared + shrink, 1e-9), -np.inf).astype(np.float32)
    scores[np.arange(len(queries)), queries] = -np.inf
    return top_k(scores, k)
