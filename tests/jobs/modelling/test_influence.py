"""Where items would stand without one like of a user's."""

import numpy as np
import pytest

from fusion.data.catalog import Catalog, History
from fusion.ranking.rank_aggregation import SUM, nonzero_items
from jobs.modelling.influence import Remade, remake, rows_of
from jobs.modelling.shelf_scores import Shelves
from tests.fusion.worlds import catalog_of, history_of

VECTORS = np.array([[1, 0], [0, 1], [2, 0], [0, 3], [1, 1]], np.float32)
BLOCKS = {"history": slice(0, 2), "popularity": slice(2, 2)}


class Sum:
    """A model whose users are the sum of what they like."""

    def user_vectors(self, catalog, history):
        likes = history.likes()
        users = np.zeros((len(history.user_ids), 2), np.float32)
        np.add.at(users, likes.user, VECTORS[likes.item])
        return users

    new_item_user_vectors = user_vectors


def remade(history: History, catalog: Catalog, shelf: str) -> Remade:
    """The first user's shelf."""
    nonzero, had = nonzero_items(VECTORS, BLOCKS), np.isin(np.arange(len(VECTORS)), history.item)
    nothing = np.zeros(0, np.float32)
    shelves = Shelves(
        catalog.item_ids, VECTORS, {}, ~had, BLOCKS, BLOCKS, SUM, {}, nonzero, np.zeros(5, np.float32), nothing, {}
    )
    return remake(Sum(), catalog, rows_of(history, history.user_ids[0]), shelves, shelf=shelf)


@pytest.mark.parametrize(
    ("shelf", "items", "ranks"),
    [
        # of 2, 3, 4 with both likes: 2, 3, 2; without 1: 2, 0, 1; without 0: 0, 3, 1
        ("for_you", (2, 3, 4), [[1, 3, 2], [3, 1, 2]]),
        ("new_items", (2, 4), [[1, 2], [2, 1]]),
    ],
)
def test_ranks_by_hand(shelf: str, items: tuple[int, ...], ranks: list[list[int]]) -> None:
    """The first of two users likes item 0, then item 1; the other has had item 3."""
    catalog = catalog_of(VECTORS)
    history = history_of([(0, 0, 1), (0, 1, 2), (1, 3, 1)], users=2)
    found = remade(history, catalog, shelf)
    assert found.likes == [catalog.item_ids[1], catalog.item_ids[0]], "the newest first"
    for n, expected in zip(items, zip(*ranks, strict=True), strict=True):
        assert tuple(each.rank for each in found.without(catalog.item_ids[n])) == expected
        assert found.score(catalog.item_ids[n]) == float(VECTORS[n].sum())


def test_what_is_owed_by_hand() -> None:
    """Leads over the mean of 2, 3, 4 with both likes, 7 / 3: -1/3, 2/3, -1/3; without 1, 1: 1, -1, 0; without 0, 4 / 3:
    -4/3, 5/3, -1/3. So 3 owes 5/3 to item 1 and loses 1 by item 0, whose share is none."""
    catalog = catalog_of(VECTORS)
    found = remade(history_of([(0, 0, 1), (0, 1, 2), (1, 3, 1)], users=2), catalog, "for_you")
    owed = {n: [each.owed for each in found.without(catalog.item_ids[n])] for n in (2, 3, 4)}
    assert owed == {n: pytest.approx(values) for n, values in {2: (-4 / 3, 1), 3: (5 / 3, -1), 4: (-1 / 3, 0)}.items()}
    assert [each.share for each in found.without(catalog.item_ids[3])] == [1, None]


def test_shares_of_a_linear_model_are_those_of_its_terms() -> None:
    """Likes 0, 2 and 1, of [1, 0], [2, 0] and [0, 1], add 1, 2 and 1 to item 4, and 0, 0 and 3 to item 3, the other one
    that may stand there: to the lead of item 4 over the mean of both they add 1/2, 1 and -1."""
    catalog = catalog_of(VECTORS)
    found = remade(history_of([(0, 0, 1), (0, 2, 2), (0, 1, 3)], users=1), catalog, "for_you")
    likes = [catalog.item_ids[n] for n in (1, 2, 0)]
    of_4 = {each.like: (each.owed, each.share) for each in found.without(catalog.item_ids[4])}
    assert list(of_4) == likes
    assert [of_4[like][0] for like in likes] == pytest.approx([-1, 1, 0.5])
    assert [of_4[like][1] for like in likes] == [None, pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_what_was_only_seen_is_no_like_and_no_candidate() -> None:
    """Item 3, which would be first."""
    catalog = catalog_of(VECTORS)
    found = remade(history_of([(0, 1, 1), (0, 3, 2, 0.0)], users=1), catalog, "for_you")
    assert found.likes == [catalog.item_ids[1]]
    (without,) = found.without(catalog.item_ids[4])
    assert without.rank == 3, "without its like all are 0, and those before it in the catalog are first"
