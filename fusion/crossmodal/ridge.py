"""Translation in closed form: ridge regression, one for every pattern of modalities that an item may have."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems, training_rows
from fusion.crossmodal.translator import Translator

MIN_ROWS = 8
"""A pattern that fewer items have is predicted by a part of it."""
PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)


class Ridge(Translator):
    """x_m ≈ [x_o for every other modality o that the item has] B + b, where B minimises
    ||Y - X B - b||² + penalty ||B||² (Hoerl and Kennard 1970), a B for each pattern of others.

    The penalty of each pattern is the one with the least leave-one-out error (Allen 1974, PRESS; as scikit-learn's
    `RidgeCV` finds it in closed form). A pattern is fitted on all items that have at least its modalities. One that
    fewer than `MIN_ROWS` items have uses the regression of the part of it that most items have.

    Args:
        penalties: those to choose from, each above 0.

    Raises:
        ValueError: no penalty, or one that is not above 0.
    """

    def __init__(self, *, penalties: Sequence[float] = PENALTIES) -> None:
        if not penalties or min(penalties) <= 0:
            raise ValueError(f"penalties {list(penalties)}: expected at least one, all above 0")
        self.penalties = list(penalties)

    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        """`seed` is not used."""
        self._fits: dict[str, NDArray[np.float32]] = {}
        for target in items.x:
            self._fits[_key(target, ())] = np.zeros((1, items.x[target].shape[1]), np.float32)
            rows = {p: training_rows(_has(items, p) & items.masks[target]) for p in _patterns(items.others(target))}
            for pattern, there in rows.items():
                if len(there) >= MIN_ROWS:
                    self._fits[_key(target, pattern)] = self._regression(items, target, pattern, rows=there)
                else:
                    parts = [p for p in rows if set(p) < set(pattern) and len(rows[p]) >= MIN_ROWS]
                    best = max(parts, key=lambda p: len(rows[p]), default=())
                    self._fits[_key(target, pattern)] = self._padded(items, target, pattern, part=best)

    def predict(self, items: ProjectedItems, modality: str) -> NDArray[np.float32]:
        others = items.others(modality)
        present = items.mask_matrix(others)
        predicted = np.zeros((len(items), self._fits[_key(modality, ())].shape[1]), np.float32)
        for pattern in _patterns(others):
            rows = (present == [o in pattern for o in others]).all(axis=1)  # exactly this pattern
            if rows.any():
                fit = self._fits[_key(modality, pattern)]
                predicted[rows] = np.hstack([items.x[o][rows] for o in pattern]) @ fit[1:] + fit[0]
        return predicted

    def _regression(
        self, items: ProjectedItems, target: str, pattern: Sequence[str], *, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """float32 [1 + P, p]: the intercepts, then the coefficients."""
        from sklearn.linear_model import RidgeCV

        given = np.hstack([items.x[o][rows] for o in pattern]).astype(np.float64)
        wanted = items.x[target][rows].astype(np.float64)
        found = RidgeCV(alphas=self.penalties).fit(given, wanted)
        coefficients = np.asarray(found.coef_).reshape(wanted.shape[1], -1)
        return np.vstack([np.atleast_1d(found.intercept_), coefficients.T]).astype(np.float32)

    def _padded(
        self, items: ProjectedItems, target: str, pattern: Sequence[str], *, part: Sequence[str]
    ) -> NDArray[np.float32]:
        """The regression of a part of the pattern with zero coefficients for the rest of its columns."""
        fit = self._fits[_key(target, part)]
        blocks, start = [fit[:1]], 1
        for modality in pattern:
            width = items.x[modality].shape[1]
            if modality in part:
                blocks.append(fit[start : start + width])
                start += width
            else:
                blocks.append(np.zeros((width, fit.shape[1]), np.float32))
        return np.vstack(blocks)


def _patterns(others: Sequence[str]) -> list[tuple[str, ...]]:
    """All non-empty subsets, smaller ones first."""
    return [pattern for size in range(1, len(others) + 1) for pattern in combinations(others, size)]


def _has(items: ProjectedItems, pattern: Sequence[str]) -> NDArray[np.bool_]:
    return np.all([items.masks[m] for m in pattern], axis=0)


def _key(target: str, pattern: Sequence[str]) -> str:
    return f"{target}/{'+'.join(pattern)}"
