"""Initial weights of the multi-task network: content predicts the closed-form factors of history, and history holds
the residual."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix
from fusion.data.history_features import scaled_factors
from fusion.models.multitask import network
from fusion.models.multitask.network import MultitaskItems
from fusion.training import layers
from fusion.training.trainer import Weights

FACTOR_RMS = 0.22
"""Root mean square of the factors of known items: the scores of a user who is the mean of what they liked then have
about the spread of those of a trained model."""
NOISE = 0.01
RIDGE = 0.1
"""Of the content towers, as a share of the number of items that they are fitted on."""


def initial_weights(
    items: MultitaskItems,
    likes: History,
    *,
    width: int,
    hidden: int,
    units: int,
    ridge: float,
    negatives: float,
    seed: int,
) -> Weights:
    """The weights before training; the same seed gives the same.

    Towers have random hidden units (He et al. 2015), and output layers that together are the ridge regression of the
    known items' closed-form factors; q is its residual, the bias the centred log of the number of likes, and u the
    recent mean of z. The offset makes the predicted likes of an average user sum to about one over the catalog.
    """
    random = np.random.default_rng(seed)
    known = items.masks[:, 0]
    factors = _factors(likes, known, width=width, ridge=ridge, seed=seed)
    towers, content = _towers(items, factors, hidden=hidden, random=random)
    popularity = np.log1p(np.bincount(likes.item, minlength=len(items))[known])
    bias = popularity - (popularity.mean() if len(popularity) else 0.0)
    # sum over the catalog of negatives / N e^b, where b is 0 for unknown items
    odds = negatives * (np.exp(bias).sum() + len(items) - len(bias)) / max(1, len(items))
    # [decays, 1 + M, d, d]: the recent mean of every part as it is, so that u is the recent mean of z
    user = random.normal(0, NOISE, (len(items.decays), items.masks.shape[1], width, width))
    user[-1] += np.eye(width)
    weights = towers | {
        "history": np.hstack([factors - content, bias[:, None]]),
        "user": user.reshape(-1, width),
        "user_bias": np.zeros(width),
        "offset": np.array(-np.log(max(1.0, odds))),
        "rating": np.zeros(3 * width),
        "rating_bias": np.zeros(()),
        "category": random.normal(0, NOISE, (width, items.categories)),
        "category_bias": np.zeros(items.categories),
        "uncertainty": np.zeros(len(network.TASKS)),
    }
    for modality, sequences in items.sequences.items():
        inputs = sequences.values.shape[2]
        weights |= layers.initial_weights(modality, inputs, units=units, width=width, random=random)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def _factors(likes: History, known: NDArray[np.bool_], *, width: int, ridge: float, seed: int) -> NDArray[np.float64]:
    """float64 [K, d]: the closed-form factors of the known items; the last columns are 0 where there are fewer."""
    found = scaled_factors(like_matrix(likes, len(known)), rank=width, ridge=ridge, seed=seed, size=FACTOR_RMS)[known]
    factors = np.zeros((len(found), width))
    factors[:, : found.shape[1]] = found
    return factors


def _towers(
    items: MultitaskItems, factors: NDArray[np.float64], *, hidden: int, random: np.random.Generator
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """The towers' weights, and their outputs summed for the known items, float64 [K, d]."""
    towers: dict[str, NDArray[Any]] = {}
    width = factors.shape[1]
    units = [np.zeros((len(factors), 0), np.float32)]
    for place, (modality, x) in enumerate(items.content.items(), start=1):
        kernel = random.normal(0, np.sqrt(2 / x.shape[1]), (x.shape[1], hidden)).astype(np.float32)
        towers |= {f"{modality}/hidden": kernel, f"{modality}/hidden_bias": np.zeros(hidden)}
        known = x[items.masks[:, 0]]
        # [K, h + 1]: the hidden units and a 1 for the output's bias; 0 where the item lacks the modality
        active = np.hstack([np.maximum(known @ kernel, 0), np.ones((len(known), 1), np.float32)])
        units.append(active * items.masks[items.masks[:, 0]][:, [place]])
    features = np.hstack(units)  # [K, M (h + 1)]: one regression for all towers
    normal = features.T @ features + RIDGE * max(1, len(factors)) * np.eye(features.shape[1])
    out = np.linalg.solve(normal, features.T @ factors)
    for modality, last in zip(items.content, out.reshape(-1, hidden + 1, width), strict=True):
        noise = random.normal(0, NOISE / np.sqrt(hidden), (hidden, width))
        towers |= {f"{modality}/out": last[:-1] + noise, f"{modality}/out_bias": last[-1]}
    return towers, features @ out
