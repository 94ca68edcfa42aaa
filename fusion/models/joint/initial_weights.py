"""Where the joint embedding begins: at the closed-form factors of history, told by content as far as it can."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.models.joint.vectors import Items
from fusion.training import gru

SIZE = 0.22
"""Root mean square of q of known items that have no content: the scores of a user who is the mean of what they liked
then spread about as widely as those of a trained model."""
SOURCE_SIZE = 1 / 64
"""Root mean square of the factors in a user's profile."""
NOISE = 0.01
RIDGE = 0.1
"""Of the projections, as a share of the number of items that they are fitted on."""


def start(items: Items, likes: History, *, width: int, units: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """The weights before training; the same seed gives the same.

    Projections are together the ridge regression of the known items' factors; q is what content leaves unexplained of
    them, the bias the centred log of the number of likes, and u the recent mean of the factors. The attention and the
    recurrent units start random (Glorot and Bengio 2010; recurrent kernels orthogonal, Saxe et al. 2014), and their
    last layers so small that they change next to nothing yet.
    """
    random = np.random.default_rng(seed)
    known = items.masks[:, 0]
    factors = np.zeros((int(known.sum()), width))
    factors[:, : items.factors.shape[1]] = items.factors[known] * (SIZE / SOURCE_SIZE)
    weights: dict[str, NDArray[Any]] = {}
    content = np.hstack([np.zeros((len(factors), 0)), *(x[known] for x in items.content.values())])
    normal = content.T @ content + RIDGE * max(1, len(factors)) * np.eye(content.shape[1])
    solved = np.linalg.solve(normal, content.T @ factors)
    ends = np.cumsum([x.shape[1] for x in items.content.values()])
    for (modality, x), end in zip(items.content.items(), ends, strict=True):
        weights[f"{modality}/project"] = solved[end - x.shape[1] : end]
        if modality in items.sequences:
            inputs = items.sequences[modality].values.shape[2]
            weights |= gru.start(modality, inputs, units=units, width=width, random=random)
    popularity = np.log1p(np.bincount(likes.item, minlength=len(items))[known])
    bias = popularity - (popularity.mean() if len(popularity) else 0.0)
    weights |= {
        "history": np.hstack([factors - content @ solved, bias[:, None]]),
        "embedding": random.normal(0, NOISE, (items.masks.shape[1], width)),
        "query": gru.glorot(random, width, width),
        "key": gru.glorot(random, width, width),
        "value": gru.glorot(random, width, width),
        "out": random.normal(0, NOISE / np.sqrt(width), (width, width)),
        "user": _user(items, width=width, random=random),
        "user_bias": np.zeros(width),
    }
    # an item that nobody knows is never shown, but a gather needs a row to look at
    weights["history"] = weights["history"] if len(factors) else np.zeros((1, width + 1))
    return {name: array.astype(np.float32) for name, array in weights.items()}


def _user(items: Items, *, width: int, random: np.random.Generator) -> NDArray[np.float64]:
    """[P, d]: the recent factors as they are, in the scale of q, and next to nothing of all else."""
    columns = sum(source.shape[1] for source in items.sources)
    kernel = random.normal(0, NOISE, (len(items.decays), columns, width))
    rank = items.factors.shape[1]
    kernel[-1, :rank, :rank] += np.eye(rank) * (SIZE / SOURCE_SIZE)
    return kernel.reshape(-1, width)
