"""A stack: history and content scorers, each learnt alone and brought to unit spread, weighed for three populations."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, like_matrix, nobody, positions, rows_at
from fusion.models.base import FitContext, Population, Strategy, block_slices
from fusion.models.stack.content import SCORERS as OF_CONTENT
from fusion.models.stack.content import ContentFeatures, ContentScorers
from fusion.models.stack.history import OF_EVERYBODY, HistoryScorers
from fusion.models.stack.history import SCORERS as OF_HISTORY
from fusion.models.stack.questions import FOLDS, Rankings, item_folds, joined, newcomers, newest_likes, rankings
from fusion.models.stack.scores import Part, under
from fusion.models.stack.weights import PRIOR, fit_weights
from fusion.training.config import FitLog
from schemas.errors import did_you_mean
from schemas.table import OF_EVENTS

SCORERS = (*OF_HISTORY, *OF_CONTENT)
BLOCK = 4096
"""Users whose parts are held at once."""


class Stack(Strategy):
    """score(u, i) = sum over scorers s of w_s score_s(u, i), each of unit spread over the catalog for every user
    (stacked generalisation, Wolpert 1992).

    The weights are fitted on scores of scorers that have not seen the likes in question, for each population on its own
    question (`fusion.models.stack.questions`):

    - `with_history`: users rank the whole catalog; their own newest likes are held out.
    - `without_history`: newcomers rank it by what was known when they came; their first likes are held out.
    - `new_items`: items that nobody has had are ranked among themselves; every item is new in one of five folds.

    The scorers are those of `fusion.models.stack.history` and `fusion.models.stack.content`. A fit uses no validation
    likes and no log of another fit: it holds some likes out itself, weighs, and then fits the scorers again on all.

    Vectors have the columns of the scorers that have a weight for some population, and those by which items are
    compared.

    Args:
        leave_out: names of `SCORERS` that are not used.

    Raises:
        ValueError: there is no such scorer.
    """

    name = "stack"
    validates = False

    def __init__(self, *, leave_out: Sequence[str] = ()) -> None:
        for scorer in leave_out:
            if scorer not in SCORERS:
                near = did_you_mean(scorer, SCORERS)
                raise ValueError(f"leave_out {scorer!r}: no scorer; {near}there are {', '.join(SCORERS)}")
        self.leave_out = tuple(leave_out)

    def parameters(self) -> dict[str, Any]:
        return {"leave_out": list(self.leave_out)}

    def _fit(self, context: FitContext) -> FitLog:
        started = time.monotonic()
        catalog, seed = context.catalog, context.seed
        self._content = ContentFeatures.fit(catalog, seed=seed)
        features = self._content(catalog)

        def fitted(known: History, *, history: bool = True) -> FittedScorers:
            scorers = FittedScorers.fit(catalog, known.likes(), self._content, features, history=history, seed=seed)
            return replace(scorers, left_out=self.leave_out)

        def asked(known: History, later: History, *, new: NDArray[np.bool_] | None = None) -> Rankings | None:
            scorers = fitted(known, history=new is None)
            items = scorers.item_vectors(catalog, features)
            return rankings(scorers, items, catalog, known, later, candidates=new, seed=seed)

        self._rankings = dict(_questions(catalog, context.train, asked, seed=seed))
        self._weights = {population: fit_weights(found) for population, found in self._rankings.items()}
        self._scorers = fitted(context.train)
        weights = {f"{p}/{scorer}": w for p, weights in self._weights.items() for scorer, w in weights.items()}
        return FitLog(seconds=time.monotonic() - started, choices=weights)

    @property
    def blocks(self) -> dict[str, slice]:
        """The columns of history and popularity are those of `HistoryScorers` that are used."""
        content, history = self._content.widths, self._scorers.history
        popular = sum(history.width(scorer) for scorer in OF_EVERYBODY if scorer in self._used) if history else 0
        own = len(self._columns) - sum(content.values()) - popular
        return block_slices({"history": own, "popularity": popular, **content})

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` with the autoencoder's columns alone for history: likeness is not what follows, nor popularity."""
        axes = slice(0, self._scorers.history.rank if self._scorers.history else 0)
        return {**self.blocks, "history": axes, "popularity": slice(0, 0)}

    @property
    def _used(self) -> list[str]:
        """The scorers that have a weight for some population."""
        return [s for s in self._scorers.names if any(weights[s] for weights in self.population_weights.values())]

    @property
    def _columns(self) -> NDArray[np.int64]:
        """int64 [D], ascending: the columns of the scorers' item matrix that are the vectors'."""
        return self._scorers.columns(self._used, n_content=sum(self._content.widths.values()))

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        has_history = positions(self._scorers.item_ids, catalog.item_ids) >= 0
        return dict.fromkeys(OF_EVENTS, has_history) | self._content.masks(catalog)

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._scorers.item_vectors(catalog, self._content(catalog))[:, self._columns]

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        likes = history.likes()
        without = np.bincount(likes.user, minlength=len(history.user_ids)) == 0
        return self._users(catalog, likes, np.where(without, "without_history", "with_history"))

    def new_item_user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        likes = history.likes()
        return self._users(catalog, likes, np.full(len(history.user_ids), "new_items"))

    def _users(self, catalog: Catalog, likes: History, population: NDArray[np.str_]) -> NDArray[np.float32]:
        """float32 [U, D]: each scorer's users times its weight for their population, str [U], added up where scorers
        share columns."""
        width = self._scorers.first + sum(self._content.widths.values())
        used, columns = self._used, self._columns
        vectors = np.zeros((len(likes.user_ids), len(columns)), np.float32)
        for start in range(0, len(vectors), BLOCK):
            users = np.arange(start, min(start + BLOCK, len(vectors)))
            block = np.zeros((len(users), width), np.float32)
            for part in self._scorers.parts(catalog, likes, users, scorers=used):
                weight = np.zeros(len(users), np.float32)
                for name, weights in self.population_weights.items():
                    weight[population[users] == name] = weights[part.scorer]
                block[:, part.columns] += weight[:, None] * part.users
            vectors[users] = block[:, columns]
        return vectors

    @property
    def population_weights(self) -> dict[Population, dict[str, float]]:
        return {p: {s: w.get(s, PRIOR) for s in self._scorers.names} for p, w in self._weights.items()}

    def with_weights_of(self, other: Strategy, population: Population) -> Strategy | None:
        if not isinstance(other, Stack) or other._scorers.names != self._scorers.names:
            return None
        mixed = copy(self)
        mixed._weights = {**self._weights, population: other._weights[population]}
        return mixed

    def without(self, scorer: str) -> "Stack":
        fewer = Stack(leave_out=[*self.leave_out, scorer])
        fewer._content, fewer._scorers = self._content, replace(self._scorers, left_out=fewer.leave_out)
        fewer._rankings = {p: found and found.without(scorer) for p, found in self._rankings.items()}
        fewer._weights = {population: fit_weights(found) for population, found in fewer._rankings.items()}
        return fewer

    def state(self) -> dict[str, NDArray[Any]]:
        arrays = {f"content/{name}": array for name, array in self._content.state().items()}
        arrays |= {f"scorers/{name}": array for name, array in self._scorers.state().items()}
        for population, weights in self._weights.items():
            arrays[f"weights/{population}/names"] = np.array(list(weights), np.str_)
            arrays[f"weights/{population}/values"] = np.array(list(weights.values()), np.float64)
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._content = ContentFeatures.from_state(under("content/", state))
        self._scorers = replace(FittedScorers.from_state(under("scorers/", state)), left_out=self.leave_out)
        self._weights = {}
        for population in get_args(Population):
            names, values = (state[f"weights/{population}/{part}"].tolist() for part in ("names", "values"))
            self._weights[population] = dict(zip(names, values, strict=True))


@dataclass(frozen=True)
class FittedScorers:
    """All scorers fitted on one history, over one item matrix: the columns of history, then those of content.

    Attributes:
        item_ids: str [K], ascending, of the items with a like.
        history: None where only new items are ranked, of which history knows nothing.
        left_out: scorers that are not used.
    """

    item_ids: NDArray[np.str_]
    history: HistoryScorers | None
    content: ContentScorers
    left_out: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        catalog: Catalog,
        likes: History,
        content: ContentFeatures,
        features: NDArray[np.float32],
        *,
        history: bool,
        seed: int,
    ) -> Self:
        """
        Args:
            likes: with the items' positions in the catalog.
            features: float32 [N, p], what `content` makes of the catalog.
            history: whether history's scorers are fitted too.
            seed: of both kinds of scorers.
        """
        matrix = like_matrix(likes, len(catalog))
        known = np.asarray(matrix.sum(axis=0)).ravel() > 0
        return cls(
            catalog.item_ids[known],
            HistoryScorers.fit(likes, matrix, seed=seed) if history else None,
            ContentScorers.fit(features, matrix, widths=content.widths, seed=seed),
        )

    @property
    def first(self) -> int:
        """The column at which content begins."""
        return self.history.items.shape[1] if self.history else 0

    def item_vectors(self, catalog: Catalog, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [N, D], 0 for what an item lacks, given the catalog's features float32 [N, p]."""
        if self.history is None:
            return features
        return np.hstack([rows_at(self.history.items, positions(self.item_ids, catalog.item_ids)), features])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The scorers, in the order of their parts."""
        return tuple(part.scorer for part in self._parts(nobody("").likes(), np.arange(1)))

    def columns(self, scorers: Collection[str], *, n_content: int) -> NDArray[np.int64]:
        """int64 [d], ascending: the columns of history that some scorers use (`HistoryScorers.columns`), then the
        `n_content` of content."""
        own = self.history.columns(scorers) if self.history else np.zeros(0, np.int64)
        return np.concatenate([own, self.first + np.arange(n_content)])

    def parts(
        self, catalog: Catalog, likes: History, users: NDArray[np.integer], *, scorers: Collection[str] | None = None
    ) -> Iterator[Part]:
        """Every scorer's part, or those of some, for some users, int [B], given likes of items of the catalog."""
        asked = np.zeros(len(likes.user_ids), np.bool_)
        asked[users] = True
        theirs = likes.where(asked[likes.user])
        place = positions(self.item_ids, catalog.item_ids)[theirs.item]
        known = replace(theirs.where(place >= 0), item=place[place >= 0].astype(np.int32))
        return self._parts(known, users, scorers)

    def _parts(
        self, known: History, users: NDArray[np.integer], scorers: Collection[str] | None = None
    ) -> Iterator[Part]:
        """As `parts`, given likes of known items, by their place among them."""

        def wanted(scorer: str) -> bool:
            return scorer not in self.left_out and (scorers is None or scorer in scorers)

        if self.history is not None:
            yield from self.history.parts(known, users, scorers=[scorer for scorer in OF_HISTORY if wanted(scorer)])
        yield from (part for part in self.content.parts(known, users, first=self.first) if wanted(part.scorer))

    def state(self) -> dict[str, NDArray[Any]]:
        history = self.history.state() if self.history else {}
        return (
            {"item_ids": self.item_ids}
            | {f"history/{name}": array for name, array in history.items()}
            | {f"content/{name}": array for name, array in self.content.state().items()}
        )

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`."""
        history = HistoryScorers.from_state(under("history/", state))
        return cls(state["item_ids"], history, ContentScorers.from_state(under("content/", state)))


def _questions(
    catalog: Catalog, train: History, asked: Callable[..., Rankings | None], *, seed: int
) -> Iterator[tuple[Population, Rankings | None]]:
    """Each population with its question's rankings, given what ranks by a known history for later likes, of the items
    bool [N] that are new where only those are candidates."""
    likes = train.likes()
    held = np.zeros(len(train), np.bool_)
    held[train.weight > 0] = newest_likes(likes)
    yield "with_history", asked(train.where(~held), train.where(held))
    before, first = newcomers(likes)
    yield "without_history", asked(likes.where(before), likes.where(first))
    fold = item_folds(catalog.item_ids, seed=seed)
    folds = (fold == number for number in range(FOLDS))
    yield (
        "new_items",
        joined([asked(train.where(~new[train.item]), likes.where(new[likes.item]), new=new) for new in folds]),
    )
