"""Evaluation of models on one split: whole-catalog rankings, one figure for each metric, k and segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Scorer, Split
from fusion.evaluation import beyond_accuracy, metrics
from fusion.evaluation.protocol import Judgements, Pool, at_ranks, batches
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
    """Which of the n test likes belong to a segment, bool [n], and the users who have any, int64 ascending."""

    name: str
    likes: NDArray[np.bool_]
    users: NDArray[np.int64]


@dataclass(frozen=True)
class _Asked:
    """What some users are asked.

    Attributes:
        users: int64 [B].
        candidates: bool [B, N].
        likes: CSR int32 [B, N], 1 + the place of a test like among all n.
        like_at: int32 [B, N], the same in full, 0 where there is none.
    """

    users: NDArray[np.int64]
    candidates: NDArray[np.bool_]
    likes: sp.csr_matrix
    like_at: NDArray[np.int32]

    @classmethod
    def of(cls, judgements: Judgements, users: NDArray[np.int64], *, likes: sp.csr_matrix) -> "_Asked":
        own = likes[users]
        return cls(users, judgements.candidates(users), own, own.toarray())


@dataclass(frozen=True)
class _Ranked:
    """What a model answers.

    Attributes:
        ranking: int64 [B, K].
        found: int32 [B, K], 1 + the place of the test like at each rank, 0 where there is none.
        midranks: float64, one for each entry of `_Asked.likes`.
    """

    ranking: NDArray[np.int64]
    found: NDArray[np.int32]
    midranks: NDArray[np.float64]

    @classmethod
    def by(cls, scores: NDArray[np.float32], asked: _Asked, *, k: int) -> "_Ranked":
        ranking, _ = top_k(scores, k, exclude=~asked.candidates)
        return cls(ranking, at_ranks(ranking, asked.like_at), metrics.midranks(scores, asked.candidates, asked.likes))


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
    pools: Mapping[str, Pool] | None = None,
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
        pools: model → what its scores are added to.

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
    test = judgements.test
    numbered = (np.arange(1, len(test) + 1, dtype=np.int32), (test.user, test.item))
    likes = sp.csr_matrix(numbered, shape=judgements.likes.shape)
    width = max(n_items, content.shape[1] if content is not None else 0)
    collected = {name: _Collected() for name in scorers}
    # Users are scored and ranked by a model once for all segments that they belong to, and by all models in turn.
    for users in batches(evaluated, width):
        asked = _Asked.of(judgements, users, likes=likes)
        for name, scorer in scorers.items():
            scores = judgements.scores(name, scorer, users)
            if pools and name in pools:
                pools[name].add(users, scores, asked.candidates)
            ranked = _Ranked.by(scores, asked, k=max(ks))
            for part in parts:
                rows = np.flatnonzero(np.isin(users, part.users))
                values = _accuracy(part, asked, ranked, rows, ks=ks)
                if part.name == "all":
                    shown = ranked.ranking[rows]
                    values |= _beyond_accuracy(judgements, users[rows], shown, content=content, ks=ks)
                    counts = {k: beyond_accuracy.exposure_counts(shown, n_items, k=k) for k in ks}
                    collected[name].add_exposures(counts)
                collected[name].add(part.name, users[rows], values)
    return [f for name in scorers for f in collected[name].figures(name, split_name, judgements.ranked)]


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
        _Segment(name, chosen, np.unique(judgements.test.user[chosen]).astype(np.int64))
        for name, chosen in rows.items()
        if chosen.any()
    ]


def _accuracy(
    segment: _Segment, asked: _Asked, ranked: _Ranked, rows: NDArray[np.int64], *, ks: Sequence[int]
) -> Values:
    """The accuracy metrics of a segment for some of the users, by their rows."""
    n_candidates = asked.candidates.sum(axis=1)[rows]
    found = (ranked.found > 0) & segment.likes[ranked.found - 1]
    found = found[rows]
    # Of all likes of a user those of the segment count; their midranks are among all candidates.
    counts = segment.likes[asked.likes.data - 1]
    user = np.repeat(np.arange(len(asked.users)), np.diff(asked.likes.indptr))[counts]
    n_relevant = np.bincount(user, minlength=len(asked.users))[rows]
    rank_sums = np.bincount(user, ranked.midranks[counts], minlength=len(asked.users))[rows].astype(np.float64)
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
    users: NDArray[np.int64],
    shown: NDArray[np.int64],
    *,
    content: NDArray[np.float32] | None,
    ks: Sequence[int],
) -> Values:
    """The metrics beyond accuracy of the lists that some users, int64 [B], are shown, int64 [B, K]."""
    liked, likes = judgements.likes[users], judgements.popularity
    values: Values = {}
    for k in ks:
        values["novelty", k] = beyond_accuracy.novelty(shown, likes, int(judgements.warm.sum()), k=k)
        values["popularity_bias", k] = beyond_accuracy.popularity_bias(shown, likes, liked, k=k)
        if content is not None:
            values["diversity", k] = beyond_accuracy.diversity(shown, content, k=k)
    return values
