"""What a place on a shelf owes to each of the user's likes: the shelf made anew as if the user had not liked it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, positions
from fusion.missing.fill import model_input
from fusion.models.base import Strategy
from fusion.ranking.rank_aggregation import points, total
from jobs.modelling import artifacts
from jobs.modelling.dataset import load
from jobs.runtime.night import Night, UserError
from schemas.tables import ItemEmbeddings, Models

LIKES = 20
"""A user's newest likes that are left out, one at a time."""
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Without:
    """Where an item would stand on its shelf, from 1, had the user not liked another."""

    like: str
    rank: int


def influences(
    night: Night, user_id: str, places: Mapping[str, Mapping[str, float]]
) -> dict[tuple[str, str], list[Without]]:
    """Return (shelf, item) → where the item would stand without each of the user's newest likes, the newest first.

    Args:
        places: shelf → item → score, as `recommendations` has them for the user.

    Raises:
        UserError: the scores are not what the night's model gives now, since the tables have changed after it.
    """
    where = pc.field("date") == night.date
    (version,) = pc.unique(night.lake.read(ItemEmbeddings, where=where, columns=["model_version"])["model_version"])
    of_model = (pc.field("model_version") == version) & (pc.field("date") <= night.date)
    path = night.lake.read(Models, where=of_model, columns=["path"])["path"][0].as_py()
    (dataset,) = load(night, artifacts.encoders_of(night, path))
    model = artifacts.load(night, path, artifacts.SERVED)
    catalog = model_input(dataset.catalog, dataset.reviews, dataset.history, night.config.fusion)
    found: dict[tuple[str, str], list[Without]] = {}
    for shelf, scores in places.items():
        likes, ranks, now = leave_out(model, catalog, dataset.history, user_id, list(scores), shelf=shelf)
        if not np.allclose(now, list(scores.values()), rtol=TOLERANCE, atol=TOLERANCE):
            raise UserError(
                f"the shelf {shelf} of {user_id!r} cannot be made anew as it was on {night.ds}: the tables, or the "
                f"configuration, have changed since; run the night again: nightweave night --date {night.ds}"
            )
        for item, column in zip(scores, ranks.T.tolist(), strict=True):
            found[shelf, item] = [Without(like, rank) for like, rank in zip(likes, column, strict=True)]
    return found


def leave_out(
    model: Strategy, catalog: Catalog, history: History, user_id: str, item_ids: Sequence[str], *, shelf: str
) -> tuple[list[str], NDArray[np.int64], NDArray[np.float32]]:
    """Rank items for a user as if they had not liked one item or another.

    Args:
        item_ids: n items that may be on the shelf.
        shelf: `for_you`, of all that the user has not seen, or `new_items`, of what nobody has.

    Returns:
        the ids of the user's L newest likes, the newest first; int64 [L, n], the rank of each item without each like;
        float32 [n], the items' scores with all of them.
    """
    own = history.where(history.user_ids[history.user] == user_id)
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
    candidates = np.ones(len(catalog), np.bool_)
    if shelf == "new_items":
        users = model.new_item_user_vectors(catalog, alternatives)
        candidates[history.item] = False
    else:
        users = model.user_vectors(catalog, alternatives)
        candidates[own.item] = False
    given = points(
        users,
        model.item_vectors(catalog),
        {name: columns for name, columns in model.blocks.items() if columns.stop > columns.start},
        combination=model.combination,
        weights=model.block_weights,
        candidates=np.tile(candidates, (len(left), 1)),
    )
    scores = total(given)
    place = positions(catalog.item_ids, np.asarray(item_ids, np.str_))
    ranked = np.where(candidates, scores, -np.inf)
    # [L, n]: candidates above the item, and those that stand before it in the catalog with the same score
    theirs = scores[:, place]
    ranks = np.stack(
        [
            1 + (ranked > theirs[:, [n]]).sum(axis=1) + (ranked[:, : place[n]] == theirs[:, [n]]).sum(axis=1)
            for n in range(len(place))
        ],
        axis=1,
    )
    return catalog.item_ids[own.item[liked]].tolist(), ranks[1:], theirs[0]
