"""What a place on a shelf owes to each of the user's likes: the shelf made anew as if the user had not liked it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, positions
from fusion.missing.fill import model_input
from fusion.models.base import Strategy
from fusion.ranking.rank_aggregation import total
from jobs.modelling import artifacts
from jobs.modelling.dataset import load
from jobs.modelling.shelf_scores import Shelves
from jobs.runtime.night import Night, UserError
from schemas.tables import ItemEmbeddings, Models

LIKES = 20
"""A user's newest likes that are left out, one at a time."""
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Without:
    """Where an item would stand on its shelf, had the user not liked another.

    Attributes:
        like: that other item.
        rank: from 1.
        owed: what the like adds to the item's lead over the mean of all that may stand on the shelf; below 0 where it
            takes away.
        share: of what all of the likes that add to it do; None where this one does not.
    """

    like: str
    rank: int
    owed: float
    share: float | None


@dataclass(frozen=True)
class Remade:
    """A user's shelf as it is, the first row, and without each of their L newest likes.

    Attributes:
        likes: the L items, the newest first.
        item_ids: str [n], what the model ranks for the shelf.
        scores: float32 [1 + L, n].
        candidates: bool [n], what may stand on the shelf.
    """

    likes: Sequence[str]
    item_ids: NDArray[np.str_]
    scores: NDArray[np.float32]
    candidates: NDArray[np.bool_]

    def score(self, item_id: str) -> float:
        """An item's score on the shelf as it is."""
        return float(self.scores[0, self._place(item_id)])

    def without(self, item_id: str) -> list[Without]:
        """Where an item would stand without each of the likes, in their order."""
        place = self._place(item_id)
        theirs = self.scores[:, [place]]
        before = np.arange(len(self.item_ids)) < place
        above = self.candidates & ((self.scores > theirs) | ((self.scores == theirs) & before))
        ranks = 1 + above.sum(axis=1)
        lead = theirs[:, 0] - self.scores.mean(axis=1, where=self.candidates, dtype=np.float64)
        owed = lead[0] - lead[1:]
        all_owed = owed[owed > 0].sum()
        return [
            Without(like, rank, each, each / all_owed if each > 0 else None)
            for like, rank, each in zip(self.likes, ranks[1:].tolist(), owed.tolist(), strict=True)
        ]

    def _place(self, item_id: str) -> int:
        return int(np.searchsorted(self.item_ids, item_id))


def influences(
    night: Night, users: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[tuple[str, str, str], list[Without]]:
    """Return (user, shelf, item) → where it would stand without each of the user's newest likes, the newest first.

    Args:
        users: user → shelf → item → score, as `recommendations` has them.

    Raises:
        UserError: the scores are not what the night's model gives now, since the tables have changed after it.
    """
    where = pc.field("date") == night.date
    (version,) = pc.unique(night.lake.read(ItemEmbeddings, where=where, columns=["model_version"])["model_version"])
    of_model = (pc.field("model_version") == version) & (pc.field("date") <= night.date)
    path = night.lake.read(Models, where=of_model, columns=["path"])["path"][0].as_py()
    (dataset,) = load(night, artifacts.encoders_of(night, path))
    model, shelves = artifacts.load(night, path, artifacts.SERVED), Shelves.of(night)
    catalog = model_input(dataset.catalog, dataset.reviews, dataset.history, night.config.fusion)
    found: dict[tuple[str, str, str], list[Without]] = {}
    for user_id, places in users.items():
        own = rows_of(dataset.history, user_id)
        for shelf, scores in places.items():
            remade = remake(model, catalog, own, shelves, shelf=shelf)
            now = [remade.score(item_id) for item_id in scores if item_id in remade.item_ids]
            same = len(now) == len(scores) and np.allclose(now, [*scores.values()], rtol=TOLERANCE, atol=TOLERANCE)
            if not same:
                raise UserError(
                    f"the shelf {shelf} of {user_id!r} cannot be made anew as it was on {night.ds}: the tables, or the "
                    f"configuration, have changed since; run the night again: nightweave night --date {night.ds}"
                )
            found |= {(user_id, shelf, item_id): remade.without(item_id) for item_id in scores}
    return found


def rows_of(history: History, user_id: str) -> History:
    """A user's rows of a history; none of a user whom it does not know."""
    return history.where(history.user == positions(history.user_ids, np.array([user_id]))[0])


def remake(model: Strategy, catalog: Catalog, own: History, shelves: Shelves, *, shelf: str) -> Remade:
    """A user's shelf, and what it would be without each of their newest likes.

    Args:
        catalog: as `model` takes it, the items of `shelves`.
        own: the rows of one user.
        shelves: the model's vectors of the items.
    """
    liked = np.flatnonzero(own.weight > 0)[::-1][:LIKES]  # rows ascend by time
    left = [own, *(own.where(np.arange(len(own)) != row) for row in liked)]
    width = len(str(len(left)))
    alternatives = replace(
        own,
        user_ids=np.array([f"{number:0{width}d}" for number in range(len(left))]),
        user=np.repeat(np.arange(len(left), dtype=np.int32), [len(each) for each in left]),
        **{
            name: np.concatenate([getattr(each, name) for each in left])
            for name in ("item", "timestamp", "weight", "rating")
        },
    )
    placed = model.new_item_user_vectors if shelf == "new_items" else model.user_vectors
    seen = np.zeros((len(left), len(shelves.item_ids)), np.bool_)
    seen[:, shelves.places(catalog.item_ids[own.item].tolist())] = True
    items, given, candidates = shelves.scored(shelf, placed(catalog, alternatives), seen=seen)
    scores = total(given)
    allowed = np.ones(len(items.item_ids), np.bool_) if candidates is None else candidates[0]
    return Remade(catalog.item_ids[own.item[liked]].tolist(), items.item_ids, scores, allowed)
