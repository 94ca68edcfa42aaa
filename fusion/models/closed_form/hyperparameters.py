"""What data decides about the closed-form models: gains and ridges by hiding items, the mixture by validation likes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.history_features import principal_axes
from fusion.evaluation.promotion import clearly_best
from fusion.evaluation.protocol import ndcg_at_k
from fusion.models.base import Validation
from fusion.models.closed_form.content_ridge import SMOOTHING_RANK, Taste
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
"""Choices by name: the two ridges, how much each modality's kernel counts, the weights of the content and the trend
beside the transitions, and whether a user's trend is that of their last like (1) or of the newest like of all (0)."""
TRANSITION_RIDGES = tuple({"transition_ridge": ridge} for ridge in (400.0, 100.0, 25.0, 1600.0))
TASTE_RIDGES = (10.0, 5.0, 20.0)
GAINS = (0.2, 0.0, 0.05, 0.5, 1.0)
MIXTURES = tuple(
    {"content": content, "trend": trend, "own_moment": own}
    for content, trend, own in product((1.0, 0.5, 1.5, 2.0), (0.1, 0.0, 0.3, 1.0), (1.0, 0.0))
    if trend or own
)
"""The defaults come first, for others must be clearly better. Content never weighs 0: what adds little for items with
history may be all there is to know of a new one."""
FOLDS, HIDDEN_SHARE = 3, 0.1
MIN_USERS, MAX_USERS = 30, 1000
"""Fewer users than the first choose nothing; more than the second are not asked."""


def columns(gains: Mapping[str, float], widths: Mapping[str, int]) -> NDArray[np.float64]:
    """float64 [p]: every column's gain, from `gain_<modality>` and the modalities' widths."""
    return np.concatenate([np.full(widths[m], gains[f"gain_{m}"], np.float64) for m in MODALITIES])


def choose_taste(
    features: NDArray[np.float32],
    likes: sp.csr_matrix,
    *,
    widths: Mapping[str, int],
    smoothing: float,
    seed: int,
) -> dict[str, float]:
    """The gains and the ridge under which content best tells who likes items whose likes are hidden.

    Three times a share of the liked items is hidden, and users who like any of them rank the hidden ones. One
    coordinate after the other takes its best value by ndcg@10 if it is clearly better, and the ridge once more at the
    end.

    Args:
        features: float32 [N, p], modalities side by side.
        likes: CSR float32 [U, N].
        widths: modality → its columns.
    """
    chosen = {name: DEFAULTS[name] for name in ("taste_ridge", *(f"gain_{m}" for m in MODALITIES))}
    present = [m for m in MODALITIES if widths[m]]
    folds = list(_folds(features, likes, smoothing=smoothing, seed=seed))
    if not present or sum(len(fold.users) for fold in folds) < MIN_USERS:
        return chosen
    chosen[f"gain_{present[0]}"] = 1.0
    coordinates = [("taste_ridge", TASTE_RIDGES), *((f"gain_{m}", GAINS) for m in present[1:])]
    for name, values in [*coordinates, coordinates[0]]:
        values = (chosen[name], *(value for value in values if value != chosen[name]))
        found = []
        for value in values:
            trial = chosen | {name: value}
            gains = columns(trial, widths)
            found.append(np.concatenate([fold.ndcg(gains, ridge=trial["taste_ridge"]) for fold in folds]))
        chosen[name] = values[clearly_best(found)]
    return chosen


class _Fold:
    """Some items hidden, and the users who like them and others besides."""

    def __init__(
        self,
        features: NDArray[np.float32],
        likes: sp.csr_matrix,
        hidden: NDArray[np.int64],
        *,
        smoothing: float,
        seed: int,
    ) -> None:
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
        self._taste = Taste.fit(features, rest, axes, values, smoothing=smoothing)
        self._profiles = rest[users] @ self._taste.sources
        self._hidden, self._wanted = features[hidden], wanted[users].toarray() > 0

    def ndcg(self, gains: NDArray[np.float64], *, ridge: float) -> NDArray[np.float64]:
        """Of each of `users`, ndcg@10 of the hidden items."""
        scores = self._profiles @ self._taste.kernel(gains, ridge=ridge) @ self._hidden.T
        return ndcg_at_k(scores, self._wanted, k=10)


def _folds(features: NDArray[np.float32], likes: sp.csr_matrix, *, smoothing: float, seed: int) -> Iterator[_Fold]:
    liked = np.unique(likes.indices)
    drawn = liked[np.random.default_rng(seed).permutation(len(liked))]
    size = int(HIDDEN_SHARE * len(drawn))
    for number in range(FOLDS if size else 0):
        hidden = np.sort(drawn[number * size : (number + 1) * size]).astype(np.int64)
        yield _Fold(features, likes, hidden, smoothing=smoothing, seed=seed)


def choose_best(
    holdout: Validation,
    trials: Sequence[Mapping[str, float]],
    scores: Callable[[slice], Callable[[Mapping[str, float]], NDArray[np.float32]]],
) -> tuple[dict[str, float], float]:
    """The trial with the best ndcg@10 on the validation likes if it is clearly better than the first, else the first;
    and its ndcg, NaN where too few users are asked to choose.

    Args:
        scores: rows of `holdout.users` → (a trial → their scores float32 [B, N]).
    """
    if len(holdout.users) < MIN_USERS:
        return dict(trials[0]), float("nan")
    figures: list[list[NDArray[np.float64]]] = [[] for _ in trials]
    for held in holdout.batches():
        scores_of = scores(held.rows)
        for found, trial in zip(figures, trials, strict=True):
            found.append(held.ndcg(scores_of(trial)))
    per_user = [np.concatenate(found) for found in figures]
    best = clearly_best(per_user)
    return dict(trials[best]), float(per_user[best].mean())
