"""Choices of the closed-form models made by data: content's gains and ridge by hiding items, the transition ridge and
the mixture's weights by validation likes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.history_features import principal_axes
from fusion.evaluation.promotion import clearly_best
from fusion.evaluation.protocol import ndcg_at_k
from fusion.models.base import Validation
from fusion.models.closed_form.content_ridge import SMOOTHING_RANK, ContentRidge
from schemas.table import MODALITIES

DEFAULTS = {
    "transition_ridge": 400.0,
    "taste_ridge": 10.0,
    "gain_text": 1.0,
    "gain_image": 0.2,
    "gain_audio": 0.2,
    "gain_video": 0.2,
    "content": 1.0,
    "trend": 0.1,
    "own_moment": 1.0,
}
"""Choices by name: the ridges of transitions and of content, the gain of each modality's kernel, the weights of content
and trend (transitions have weight 1), and the moment of a user's trend: the user's last like (1) or the newest event of
all (0)."""
TRANSITION_RIDGES = tuple({"transition_ridge": ridge} for ridge in (400.0, 100.0, 25.0, 1600.0))
CONTENT_RIDGES = (10.0, 5.0, 20.0)
GAINS = (0.2, 0.0, 0.05, 0.5, 1.0)
MIXTURES = tuple(
    {"content": content, "trend": trend, "own_moment": own}
    for content, trend, own in product((1.0, 0.5, 1.5, 2.0), (0.1, 0.0, 0.3, 1.0), (1.0, 0.0))
    if trend or own
)
"""The defaults come first: another trial is taken only if it is clearly better. Content never has weight 0: a block
that adds little for items with history may be all that a new item has."""
FOLDS, HIDDEN_SHARE = 3, 0.1
MIN_USERS, MAX_USERS = 30, 1000
"""With fewer users than the first nothing is chosen; of more than the second a sample is ranked."""


def choose_content_ridge(
    features: NDArray[np.float32],
    likes: sp.csr_matrix,
    *,
    widths: Mapping[str, int],
    smoothing: float,
    seed: int,
) -> dict[str, float]:
    """The gains and the ridge with which content best predicts who likes items whose likes are hidden.

    Each of `FOLDS` folds hides a share of the liked items; users who like any of them rank the hidden items. Coordinate
    search by ndcg@10: each coordinate takes its best value if that is clearly better, and the ridge is searched once
    more at the end.

    Args:
        features: float32 [N, p], modalities side by side.
        likes: CSR float32 [U, N].
        widths: modality → its number of columns.
    """
    chosen = {name: DEFAULTS[name] for name in ("taste_ridge", *(f"gain_{m}" for m in MODALITIES))}
    present = [m for m in MODALITIES if widths[m]]
    folds = list(_folds(features, likes, smoothing=smoothing, seed=seed))
    if not present or sum(len(fold.users) for fold in folds) < MIN_USERS:
        return chosen
    # only ratios of gains and ridge matter: the first modality's gain is fixed
    chosen[f"gain_{present[0]}"] = 1.0
    coordinates = [("taste_ridge", CONTENT_RIDGES), *((f"gain_{m}", GAINS) for m in present[1:])]
    for name, values in [*coordinates, coordinates[0]]:
        # the present value first: `clearly_best` prefers it
        values = (chosen[name], *(value for value in values if value != chosen[name]))
        per_user = []  # for each value the ndcg [users of all folds]
        for value in values:
            trial = chosen | {name: value}
            gains = column_gains(trial, widths)
            per_user.append(np.concatenate([fold.ndcg(gains, ridge=trial["taste_ridge"]) for fold in folds]))
        chosen[name] = values[clearly_best(per_user)]
    return chosen


def choose_best(
    holdout: Validation,
    trials: Sequence[Mapping[str, float]],
    scores: Callable[[slice], Callable[[Mapping[str, float]], NDArray[np.float32]]],
) -> tuple[dict[str, float], float]:
    """The trial with the best ndcg@10 on the validation likes if it is clearly better than the first, else the first;
    and its ndcg, NaN where there are too few users to choose.

    Args:
        scores: rows of `holdout.users` → (a trial → their scores float32 [B, N]).
    """
    if len(holdout.users) < MIN_USERS:
        return dict(trials[0]), float("nan")
    figures: list[list[NDArray[np.float64]]] = [[] for _ in trials]
    for batch in holdout.batches():
        scores_of = scores(batch.rows)
        for found, trial in zip(figures, trials, strict=True):
            found.append(batch.ndcg(scores_of(trial)))
    per_user = [np.concatenate(found) for found in figures]
    best = clearly_best(per_user)
    return dict(trials[best]), float(per_user[best].mean())


def column_gains(gains: Mapping[str, float], widths: Mapping[str, int]) -> NDArray[np.float64]:
    """float64 [p]: every column's gain, given `gain_<modality>` and the modalities' widths."""
    return np.concatenate([np.full(widths[m], gains[f"gain_{m}"], np.float64) for m in MODALITIES])


def _folds(
    features: NDArray[np.float32], likes: sp.csr_matrix, *, smoothing: float, seed: int
) -> "Iterator[_HiddenItems]":
    liked = np.unique(likes.indices)
    drawn = liked[np.random.default_rng(seed).permutation(len(liked))]
    size = int(HIDDEN_SHARE * len(drawn))
    for number in range(FOLDS if size else 0):
        hidden = np.sort(drawn[number * size : (number + 1) * size]).astype(np.int64)
        yield _HiddenItems(features, likes, hidden, smoothing=smoothing, seed=seed)


class _HiddenItems:
    """A fold: a content ridge fitted without the likes of some items, and the users who like both those and others.

    Args:
        hidden: int64 [h], rows of the hidden items, ascending.

    Attributes:
        users: int64 [B], rows of `likes`, at most `MAX_USERS`.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        likes: sp.csr_matrix,
        hidden: NDArray[np.int64],
        *,
        smoothing: float,
        seed: int,
    ) -> None:
        # `rest` has the shape of `likes`, without those of the hidden items; `wanted` is [U, h]
        shown = np.ones(likes.shape[1], np.float32)
        shown[hidden] = 0
        rest = (likes @ sp.diags(shown)).tocsr()
        rest.eliminate_zeros()
        wanted = likes[:, hidden].tocsr()
        users = np.nonzero((np.diff(wanted.indptr) > 0) & (np.diff(rest.indptr) > 0))[0]
        if len(users) > MAX_USERS:
            users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
        self.users = users
        axes, values = principal_axes(rest, rank=SMOOTHING_RANK, seed=seed)
        self._ridge = ContentRidge.fit(features, rest, axes, values, smoothing=smoothing)
        self._profiles = rest[users] @ self._ridge.sources  # [B, p]
        self._hidden, self._wanted = features[hidden], wanted[users].toarray() > 0

    def ndcg(self, gains: NDArray[np.float64], *, ridge: float) -> NDArray[np.float64]:
        """float64 [B]: ndcg@10 of the hidden items for each of `users`."""
        scores = self._profiles @ self._ridge.kernel(gains, ridge=ridge) @ self._hidden.T
        return ndcg_at_k(scores, self._wanted, k=10)
