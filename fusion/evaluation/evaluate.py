"""Evaluation of models on one split: whole-catalog rankings, one figure for each metric, k and segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Scorer, Split
from fusion.evaluation import beyond_accuracy, metrics
from fusion.evaluation.protocol import Judgements, batches, hits
from fusion.evaluation.segments import segment_rows
from fusion.ranking.top_k import top_k

METRICS = ("recall", "precision", "f1", "ndcg", "map", "mrr", "hit_rate", "accuracy")
"""The metrics with a value a user at each k and of which higher is better, so that models can be compared by them."""

Values = dict[tuple[str, int | None], NDArray[np.float64]]
"""(metric, k) → one value a user."""


@dataclass(frozen=True)
class Figure:
    """One number of one model.

    Attributes:
        k: the cut, or None for a metric without one (auc).
        value: the mean of `per_user`, or of a metric of all lists together, such as coverage, the metric itself.
        users: int64 [n], indices into the history's `user_ids`, ascending.
        per_user: float64 [n], the metric of each of `users`; empty for a metric of all lists together.
    """

    model: str
    split: str
    segment: str
    metric: str
    k: int | None
    value: float
    users: NDArray[np.int64] = field(repr=False)
    per_user: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of_all(cls, model: str, split: str, metric: str, k: int | None, value: float) -> "Figure":
        """A figure of all lists together, not a mean over users."""
        return cls(model, split, "all", metric, k, float(value), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class _Segment:
    """The relevant items of a segment, bool CSR [U, N], and the users who have any, int64 ascending."""

    name: str
    relevant: sp.csr_matrix
    users: NDArray[np.int64]


@dataclass(frozen=True)
class _Batch:
    """The rankings of some users, int64 [B, K], the `midranks` of their test likes, CSR float64 [B, N], and their
    numbers of candidates, int [B]."""

    users: NDArray[np.int64]
    ranking: NDArray[np.int64]
    midranks: sp.csr_matrix
    n_candidates: NDArray[np.int64]


def evaluate(
    scorers: Mapping[str, Scorer],
    *,
    split: Split,
    split_name: str,
    n_items: int,
    ks: Sequence[int] = (10, 20),
    segments: Sequence[str] | None = None,
    masks: Mapping[str, NDArray[np.bool_]] | None = None,
    content: NDArray[np.float32] | None = None,
) -> list[Figure]:
    """Every model's recall, precision, f1, ndcg, map, mrr, hit_rate and accuracy at each k, and auc, in every segment.

    Users, candidates and relevant items are those of `fusion.evaluation.protocol.Judgements`. Segments: `all`;
    `warm_users` and `cold_users`, with and without a like in train or valid; `warm_items` and `cold_items`, where only
    the relevant items with or without a like in train or valid count, still ranked among all candidates; in the same
    way `head_items`, `middle_items` and `tail_items` (`fusion.evaluation.segments.popularity_thirds`), and with masks
    `with_image`, `without_image` and so on. A segment without users gives no figure.

    The segment `all` also has metrics beyond accuracy at each k: novelty, popularity_bias (of users with a like in
    train or valid) and with `content` diversity, a value a user; coverage and exposure_gini over the items that may be
    ranked.

    Args:
        ks: the cuts, each at least 1.
        segments: the names wanted, None for all.
        masks: modality → bool [N], True where the item has it.
        content: float32 [N, d], the items' content vectors of length 1; zeros for an item without content.

    Raises:
        ValueError: an unknown segment, no k or one below 1, or masks, content or scores of the wrong shape.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks {list(ks)}: expected at least one, each 1 or more")
    if content is not None and (content.ndim != 2 or len(content) != n_items):
        raise ValueError(f"content of shape {content.shape}: expected [{n_items}, d], one row for every item")
    judgements = Judgements.of(split, n_items)
    parts = _segments(judgements, segment_rows(judgements, segments=segments, masks=masks))
    evaluated = np.unique(np.concatenate([np.zeros(0, np.int64), *(part.users for part in parts)]))
    likes = judgements.relevant(np.ones(len(judgements.test), np.bool_))
    width = max(n_items, content.shape[1] if content is not None else 0)
    figures: list[Figure] = []
    for name, scorer in scorers.items():
        collected = _Collected()
        # A user is scored and ranked once for all segments that they belong to.
        for users in batches(evaluated, width):
            batch = _ranked(judgements, name, scorer, users, likes=likes[users], k=max(ks))
            for part in parts:
                rows = np.flatnonzero(np.isin(users, part.users))
                values = _accuracy(part, batch, rows, ks=ks)
                if part.name == "all":
                    values |= _beyond_accuracy(judgements, batch, rows, content=content, ks=ks)
                    shown = batch.ranking[rows]
                    collected.add_exposures({k: beyond_accuracy.exposure_counts(shown, n_items, k=k) for k in ks})
                collected.add(part.name, users[rows], values)
        figures += collected.figures(name, split_name, judgements.ranked)
    return figures


class _Collected:
    """Per-user values and exposures, collected batch by batch."""

    def __init__(self) -> None:
        self._users: dict[str, list[NDArray[np.int64]]] = {}
        self._values: dict[tuple[str, str, int | None], list[NDArray[np.float64]]] = {}
        self._exposures: dict[int, NDArray[np.int64]] = {}

    def add(self, segment: str, users: NDArray[np.int64], values: Values) -> None:
        self._users.setdefault(segment, []).append(users)
        for (metric, k), per_user in values.items():
            self._values.setdefault((segment, metric, k), []).append(per_user)

    def add_exposures(self, exposures: Mapping[int, NDArray[np.int64]]) -> None:
        for k, counts in exposures.items():
            self._exposures[k] = self._exposures.get(k, 0) + counts

    def figures(self, model: str, split: str, ranked: NDArray[np.bool_]) -> list[Figure]:
        users = {segment: np.concatenate(parts) for segment, parts in self._users.items()}
        figures = []
        for (segment, metric, k), parts in self._values.items():
            own, values = users[segment], np.concatenate(parts)
            defined = ~np.isnan(values)
            if not defined.all():
                own, values = own[defined], values[defined]
            if len(values):
                figures.append(Figure(model, split, segment, metric, k, float(values.mean()), own, values))
        for k, exposures in self._exposures.items():
            figures.append(Figure.of_all(model, split, "coverage", k, beyond_accuracy.coverage(exposures[ranked])))
            inequality = beyond_accuracy.gini(exposures[ranked])
            if not np.isnan(inequality):
                figures.append(Figure.of_all(model, split, "exposure_gini", k, inequality))
        return figures


def _segments(judgements: Judgements, rows: Mapping[str, NDArray[np.bool_]]) -> list[_Segment]:
    return [
        _Segment(name, judgements.relevant(chosen), np.unique(judgements.test.user[chosen]).astype(np.int64))
        for name, chosen in rows.items()
        if chosen.any()
    ]


def _ranked(
    judgements: Judgements, name: str, scorer: Scorer, users: NDArray[np.int64], *, likes: sp.csr_matrix, k: int
) -> _Batch:
    scores = judgements.scores(name, scorer, users)
    candidates = judgements.candidates(users)
    ranking, _ = top_k(scores, k, exclude=~candidates)
    # The midranks take the places of the likes in a matrix of the same sparsity.
    ranks = metrics.midranks(scores, candidates, likes)
    midranks = sp.csr_matrix((ranks, likes.indices, likes.indptr), shape=likes.shape)
    return _Batch(users, ranking, midranks, candidates.sum(axis=1))


def _accuracy(segment: _Segment, batch: _Batch, rows: NDArray[np.int64], *, ks: Sequence[int]) -> Values:
    """The accuracy metrics of a segment for some rows of the batch."""
    first, n_candidates = batch.ranking[rows], batch.n_candidates[rows]
    relevant = segment.relevant[batch.users[rows]]
    n_relevant = np.diff(relevant.indptr).astype(np.int64)
    found = hits(first, relevant.toarray())
    # Midranks are among all candidates; multiplying by bool keeps those of the segment's relevant items.
    rank_sums = np.asarray(batch.midranks[rows].multiply(relevant).sum(axis=1)).ravel()
    values: Values = {("auc", None): metrics.auc(rank_sums, n_relevant, n_candidates)}
    for k in ks:
        values |= {
            ("recall", k): metrics.recall(found, n_relevant, k=k),
            ("precision", k): metrics.precision(found, k=k),
            ("f1", k): metrics.f1(found, n_relevant, k=k),
            ("ndcg", k): metrics.ndcg(found, n_relevant, k=k),
            ("map", k): metrics.average_precision(found, n_relevant, k=k),
            ("mrr", k): metrics.reciprocal_rank(found, k=k),
            ("hit_rate", k): metrics.hit_rate(found, k=k),
            ("accuracy", k): metrics.accuracy(found, n_relevant, n_candidates, k=k),
        }
    return values


def _beyond_accuracy(
    judgements: Judgements,
    batch: _Batch,
    rows: NDArray[np.int64],
    *,
    content: NDArray[np.float32] | None,
    ks: Sequence[int],
) -> Values:
    """The metrics beyond accuracy for some rows of the batch."""
    shown, liked, likes = batch.ranking[rows], judgements.likes[batch.users[rows]], judgements.popularity
    values: Values = {}
    for k in ks:
        values["novelty", k] = beyond_accuracy.novelty(shown, likes, int(judgements.warm.sum()), k=k)
        values["popularity_bias", k] = beyond_accuracy.popularity_bias(shown, likes, liked, k=k)
        if content is not None:
            values["diversity", k] = beyond_accuracy.diversity(shown, content, k=k)
    return values
