"""Where linear items and the users that read them begin: at a ranking by history factors and by likeness of content."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.data.projection import Projection

SOURCE_SCALE = 1 / 64
"""Root mean square of the history factors of known items, so that one learning rate suits any size of catalog."""
NOISE = 0.003
GAIN = 200.0
"""How sharply the untrained model prefers what the closed-form factors prefer."""


def items(
    factors: NDArray[np.float32], counts: NDArray[np.integer], projections: Mapping[str, Projection], *, width: int
) -> dict[str, NDArray[np.float64]]:
    """The items' weights: known ones are their factors and the centred log of their likes; a modality's columns are
    its whitened main directions, `width` at most.

    Args:
        factors: float32 [K, f].
        counts: [K], likes of the known items.
    """
    bias = np.log1p(counts)[:, None]
    history = np.hstack([factors, bias - bias.mean() if len(bias) else bias])
    content = {f"item/{m}": p.whitening(width) / np.sqrt(width) for m, p in projections.items()}
    return {"history": history, **content}


def readers(
    start: Mapping[str, NDArray[np.float64]],
    *,
    readings: int,
    content_reading: int,
    content_gain: float,
    random: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """The users' linear map from readings of their likes: known items are ranked by the factors in the last reading and
    by popularity, and every item by how near its content is to that of one reading.

    Args:
        start: the items' weights.
        readings: how often a user's likes are read, each time by all sources: factors, then modalities.
        content_reading: the reading that content is to be like.
        content_gain: how much that counts.

    Returns:
        `kernel` [readings * P, D] and `bias` [D].
    """
    rank = start["history"].shape[1] - 1
    content = [array for name, array in start.items() if name.startswith("item/")]
    sources = rank + sum(len(part) for part in content)
    columns = rank + 1 + sum(part.shape[1] for part in content)
    kernel = random.normal(0, NOISE, (readings * sources, columns))
    kernel[(readings - 1) * sources + np.arange(rank), np.arange(rank)] += GAIN
    row, column = content_reading * sources + rank, rank + 1
    for part in content:
        kernel[row : row + part.shape[0], column : column + part.shape[1]] += content_gain * part
        row, column = row + part.shape[0], column + part.shape[1]
    bias = np.zeros(columns)
    bias[rank] = 1.0
    return {"kernel": kernel, "bias": bias}
