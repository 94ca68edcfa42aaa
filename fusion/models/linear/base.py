"""What strategies share whose items are closed-form history factors beside linear maps of their modalities."""

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
"""How sharply the untrained model prefers what the closed-form factors prefer."""


class LinearModel(Trained):
    """F_i = [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i].

    q starts from a linear autoencoder's factors, b from popularity and W from a whitening; users start as what prefers
    what those factors prefer, plus the likeness of content.

    Args:
        arguments: a constructor's `locals()`, among them
            rank: history factors;
            dims: columns that a modality's vectors are projected onto before learning;
            width: columns that a modality has in the item's vector, at most;
            content_gain: how much likeness of content counts before training;
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
            **{m: self._weights[f"item/{m}"].shape[1] for m in MODALITIES},
        }

    def _start(
        self, context: FitContext, *, readings: int, content_reading: int, random: np.random.Generator
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """The items' first weights and the users' (`fusion.models.linear.base`); keeps the factors as
        learnt."""
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
        users = reader_weights(
            items,
            readings=readings,
            content_reading=content_reading,
            content_gain=self.content_gain,
            random=random,
        )
        return items, users

    def _described(self, catalog: Catalog) -> dict[str, Any]:
        """What a network is told of the catalog's items, as its constructor names it."""
        place = positions(self._item_ids, catalog.item_ids)
        return {
            "content": self._content(catalog, list(MODALITIES)),
            "masks": self._shown(catalog, list(MODALITIES)),
            "place": place,
            "factors": rows_at(self._learnt["factors"], place),
        }


def item_weights(
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


def reader_weights(
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
