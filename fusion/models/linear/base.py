"""The base class of strategies whose items are closed-form history factors beside linear maps of their modalities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, like_matrix, positions, rows_at
from fusion.data.history_features import scaled_factors
from fusion.data.projection import Projection
from fusion.models.base import FitContext
from fusion.models.trained import Trained
from schemas.table import MODALITIES

SOURCE_SCALE = 1 / 64
"""Root mean square of the history factors of known items, so that one learning rate suits any size of catalog."""
NOISE = 0.003
GAIN = 200.0
"""Factor from the history factors of a user's profile to the user's initial vector."""


class LinearModel(Trained):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i]. Subclasses
    compute u.

    Before training q are a linear autoencoder's factors, b the log popularity, W a whitening, and u such that items are
    ranked by those factors, by popularity and by similarity of content.

    Args:
        arguments: a constructor's `locals()`, among them
            rank: history factors;
            dims: columns that a modality's vectors are projected onto before learning;
            width: columns that a modality has in the item's vector, at most;
            content_gain: weight of the similarity of content before training;
            ridge: of the closed-form factors;
            decay: likes after which a like weighs 1/e where recent ones weigh more.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self.rank: int = arguments["rank"]
        self.dims = arguments["dims"]
        self.width: int = arguments["width"]
        self.content_gain: float = arguments["content_gain"]
        self.ridge: float = arguments["ridge"]
        self.decay: float = arguments["decay"]

    @property
    def _widths(self) -> dict[str, int]:
        return {
            "history": self._weights["history"].shape[1],
            **{m: self._weights[f"item/{m}"].shape[1] if m in self._projections else 0 for m in MODALITIES},
        }

    def _initial_weights(
        self, context: FitContext, *, means: int, content_mean: int, random: np.random.Generator
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """The initial weights of the items and of the users (see `item_weights`, `user_weights`); sets `_learnt`."""
        likes, n_items = context.train.likes(), len(context.catalog)
        counts = np.bincount(likes.item, minlength=n_items)
        known = counts > 0
        factors = scaled_factors(
            like_matrix(likes, n_items),
            rank=self.rank,
            ridge=self.ridge,
            seed=context.seed,
            size=SOURCE_SCALE,
        )[known]
        self._learnt = {"factors": factors}
        items = item_weights(factors, counts[known], self._projections, width=self.width)
        users = user_weights(
            items,
            means=means,
            content_mean=content_mean,
            content_gain=self.content_gain,
            random=random,
        )
        return items, users

    def _item_arguments(self, catalog: Catalog) -> dict[str, Any]:
        """The arguments of `fusion.models.linear.vectors.LinearItems` that describe the catalog's items."""
        place = positions(self._item_ids, catalog.item_ids)
        return {
            "content": self._content(catalog, list(self._projections)),
            "masks": self._block_masks(catalog, list(self._projections)),
            "place": place,
            "factors": rows_at(self._learnt["factors"], place),
        }


def item_weights(
    factors: NDArray[np.float32], counts: NDArray[np.integer], projections: Mapping[str, Projection], *, width: int
) -> dict[str, NDArray[np.float64]]:
    """The items' initial weights: `history` [K, f + 1], the factors and the centred log of the number of likes, and
    `item/<modality>` [p, c], the whitened main directions, c at most `width`.

    Args:
        factors: float32 [K, f].
        counts: [K], likes of the known items.
    """
    bias = np.log1p(counts)[:, None]
    history = np.hstack([factors, bias - bias.mean() if len(bias) else bias])
    content = {f"item/{m}": p.whitening(width) / np.sqrt(width) for m, p in projections.items()}
    return {"history": history, **content}


def user_weights(
    items: Mapping[str, NDArray[np.float64]],
    *,
    means: int,
    content_mean: int,
    content_gain: float,
    random: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """The initial linear map from weighted means of a user's likes to the user's vector.

    It takes the factors of the last mean and the content of one mean, so that known items are ranked by factors and by
    popularity, and every item by the similarity of its content. All other entries are noise.

    Args:
        items: the items' weights.
        means: number of weighted means, each over all P columns: factors, then modalities.
        content_mean: which of them, counted from 0, gives the content.
        content_gain: weight of the similarity of content.

    Returns:
        `kernel` [means * P, D] and `bias` [D].
    """
    rank = items["history"].shape[1] - 1
    content = [array for name, array in items.items() if name.startswith("item/")]
    inputs = rank + sum(len(part) for part in content)  # P
    columns = rank + 1 + sum(part.shape[1] for part in content)  # D
    kernel = random.normal(0, NOISE, (means * inputs, columns))
    # factors of the last mean → columns of q
    kernel[(means - 1) * inputs + np.arange(rank), np.arange(rank)] += GAIN
    # content [p] of one mean → columns of W x [c], by the items' own W: u · F has the dot product of whitened contents
    row, column = content_mean * inputs + rank, rank + 1
    for part in content:
        kernel[row : row + part.shape[0], column : column + part.shape[1]] += content_gain * part
        row, column = row + part.shape[0], column + part.shape[1]
    # every user has 1 in the column of the items' bias
    bias = np.zeros(columns)
    bias[rank] = 1.0
    return {"kernel": kernel, "bias": bias}
