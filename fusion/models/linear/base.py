"""What strategies share whose items are closed-form history factors beside linear maps of their modalities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.arguments import above_0, at_least
from fusion.data.catalog import Catalog, like_matrix, places, rows_at
from fusion.data.history_factors import scaled_factors
from fusion.models.base import Lesson
from fusion.models.linear import initial_weights
from fusion.models.trained import Trained
from schemas.table import MODALITIES


class LinearItems(Trained):
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
        at_least(1, **{name: arguments[name] for name in ("rank", "dims", "width")})
        above_0(**{name: arguments[name] for name in ("ridge", "decay")})
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
        self, lesson: Lesson, *, readings: int, content_reading: int, random: np.random.Generator
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """The items' first weights and the users' (`fusion.models.linear.initial_weights`); keeps the factors as
        learnt."""
        likes, n_items = lesson.train.likes(), len(lesson.catalog)
        counts = np.bincount(likes.item, minlength=n_items)
        known = counts > 0
        factors = scaled_factors(
            like_matrix(likes, n_items),
            rank=self.rank,
            ridge=self.ridge,
            seed=lesson.seed,
            size=initial_weights.SOURCE_SCALE,
        )[known]
        self._learnt = {"factors": factors}
        items = initial_weights.items(factors, counts[known], self._projections, width=self.width)
        users = initial_weights.readers(
            items,
            readings=readings,
            content_reading=content_reading,
            content_gain=self.content_gain,
            random=random,
        )
        return items, users

    def _described(self, catalog: Catalog) -> dict[str, Any]:
        """What a network is told of the catalog's items, as its constructor names it."""
        place = places(self._item_ids, catalog)
        return {
            "content": self._content(catalog, list(MODALITIES)),
            "masks": self._shown(catalog, list(MODALITIES)),
            "place": place,
            "factors": rows_at(self._learnt["factors"], place),
        }
