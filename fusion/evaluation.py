"""Models side by side on one split: whole-catalog rankings, one figure a metric and segment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion import metrics
from fusion.baselines import like_matrix
from fusion.rank import top_k
from fusion.splits import Split

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Users int64 [B] → scores [B, N] of every item of the catalog."""

SEGMENTS = ("all", "warm_users", "cold_users", "warm_items", "cold_items")
CELLS = 8_000_000
"""How many scores may be held at once."""


@dataclass(frozen=True)
class Figure:
    """One number of one model.

    Attributes:
        k: the cut, or None for a metric without one (auc).
        value: the mean of `per_user`; for coverage, of which there is one for all users, the figure itself.
        users: int64 [n], places in the history's `user_ids`, ascending.
        per_user: float64 [n], the metric of each of `users`; empty for coverage.
    """

    model: str
    split: str
    segment: str
    metric: str
    k: int | None
    value: float
    users: NDArray[np.int64] = field(repr=False)
    per_user: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class _Question:
    """What a segment asks: bool CSR [U, N] of relevant items, and which users are asked."""

    segment: str
    relevant: sp.csr_matrix
    users: NDArray[np.int64]


def evaluate(
    scorers: Mapping[str, Scorer],
    *,
    split: Split,
    split_name: str,
    n_items: int,
    ks: Sequence[int] = (10, 20),
    segments: Sequence[str] = SEGMENTS,
) -> list[Figure]:
    """Every model's recall, precision, f1, ndcg, hit_rate and accuracy at each k, auc, and (segment `all`) coverage.

    A user is asked who likes an item of the test. Candidates are the whole catalog without what the user has had,
    liked or only seen, in train or valid; a test like among those had is no longer to be found, and is left out.
    Segments: `all`; `warm_users` and `cold_users`, with and without a like in train or valid; `warm_items` and
    `cold_items`, where only the relevant items with or without a like in train or valid count, still ranked among the
    whole catalog. A segment without users gives no figure.

    Raises:
        ValueError: an unknown segment, no k or one below 1, or a scorer's answer of the wrong shape.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks {list(ks)}: expected at least one, each 1 or more")
    had = _pairs(split, n_items)
    questions = _questions(split, had, n_items=n_items, segments=segments)
    asked = np.unique(np.concatenate([np.zeros(0, np.int64), *(q.users for q in questions)]))
    figures: list[Figure] = []
    for name, scorer in scorers.items():
        answers = _Answers()
        for users in _batches(asked, n_items):
            scores = _scores(name, scorer, users, n_items=n_items)
            _ask(answers, questions, users, scores=scores, had=had[users], ks=ks)
        figures += answers.figures(name, split_name, n_items=n_items, ks=ks)
    return figures


class _Answers:
    """Collects per-user values by (segment, metric, k), batch by batch."""

    def __init__(self) -> None:
        self._users: dict[tuple[str, str, int | None], list[NDArray[np.int64]]] = {}
        self._values: dict[tuple[str, str, int | None], list[NDArray[np.float64]]] = {}
        self.shown: list[NDArray[np.int64]] = []

    def add(self, key: tuple[str, str, int | None], users: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        self._users.setdefault(key, []).append(users)
        self._values.setdefault(key, []).append(values)

    def figures(self, model: str, split: str, *, n_items: int, ks: Sequence[int]) -> list[Figure]:
        figures = []
        for (segment, metric, k), parts in self._values.items():
            users, values = np.concatenate(self._users[segment, metric, k]), np.concatenate(parts)
            defined = ~np.isnan(values)
            if defined.any():
                users, values = users[defined], values[defined]
                figures.append(Figure(model, split, segment, metric, k, float(values.mean()), users, values))
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        for k in ks if self.shown else ():
            value = metrics.coverage(self.shown, n_items, k=k)
            figures.append(Figure(model, split, "all", "coverage", k, value, none, nothing))
        return figures


def _ask(
    answers: _Answers,
    questions: Sequence[_Question],
    users: NDArray[np.int64],
    *,
    scores: NDArray[np.float32],
    had: sp.csr_matrix,
    ks: Sequence[int],
) -> None:
    ranked, _ = top_k(scores, max(ks), exclude=had)
    candidates = had.toarray() == 0
    for question in questions:
        here = np.isin(users, question.users)
        if not here.any():
            continue
        who, first, allowed = users[here], ranked[here], candidates[here]
        relevant = question.relevant[who].toarray()
        hits = np.take_along_axis(relevant, np.maximum(first, 0), axis=1) & (first >= 0)
        n_relevant, n_candidates = relevant.sum(axis=1), allowed.sum(axis=1)
        for k in ks:
            answers.add((question.segment, "recall", k), who, metrics.recall(hits, n_relevant, k=k))
            answers.add((question.segment, "precision", k), who, metrics.precision(hits, k=k))
            answers.add((question.segment, "f1", k), who, metrics.f1(hits, n_relevant, k=k))
            answers.add((question.segment, "ndcg", k), who, metrics.ndcg(hits, n_relevant, k=k))
            answers.add((question.segment, "hit_rate", k), who, metrics.hit_rate(hits, k=k))
            answers.add((question.segment, "accuracy", k), who, metrics.accuracy(hits, n_relevant, n_candidates, k=k))
        answers.add((question.segment, "auc", None), who, metrics.auc(scores[here], relevant, allowed))
        if question.segment == "all":
            answers.shown.append(first)


def _pairs(split: Split, n_items: int) -> sp.csr_matrix:
    """CSR float32 [U, N], an entry for every pair in train or valid, liked or seen."""
    known = split.known()
    ones = np.ones(len(known), np.float32)
    return sp.csr_matrix((ones, (known.user, known.item)), shape=(len(known.user_ids), n_items))


def _questions(split: Split, had: sp.csr_matrix, *, n_items: int, segments: Sequence[str]) -> list[_Question]:
    likes = like_matrix(split.known(), n_items)
    test = split.test.likes()
    known = had.tocoo()
    test = test.where(~np.isin(_codes(test.user, test.item, n_items), _codes(known.row, known.col, n_items)))
    warm_user = (np.diff(likes.indptr) > 0)[test.user]
    warm_item = (np.bincount(likes.indices, minlength=n_items) > 0)[test.item]
    chosen = {
        "all": np.ones(len(test), np.bool_),
        "warm_users": warm_user,
        "cold_users": ~warm_user,
        "warm_items": warm_item,
        "cold_items": ~warm_item,
    }
    questions = []
    for segment in segments:
        if segment not in chosen:
            raise ValueError(f"segment {segment!r}: expected one of {', '.join(chosen)}")
        rows = test.where(chosen[segment])
        if len(rows):
            relevant = like_matrix(rows, n_items).astype(np.bool_)
            questions.append(_Question(segment, relevant, np.unique(rows.user).astype(np.int64)))
    return questions


def _codes(user: NDArray[np.integer], item: NDArray[np.integer], n_items: int) -> NDArray[np.int64]:
    """One number a (user, item) pair."""
    return user.astype(np.int64) * n_items + item


def _batches(users: NDArray[np.int64], n_items: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, CELLS // max(1, n_items))
    for start in range(0, len(users), size):
        yield users[start : start + size]


def _scores(name: str, scorer: Scorer, users: NDArray[np.int64], *, n_items: int) -> NDArray[np.float32]:
    scores = np.asarray(scorer(users), np.float32)
    if scores.shape != (len(users), n_items):
        raise ValueError(f"scores of {name} have shape {scores.shape}, expected {(len(users), n_items)}")
    return scores
