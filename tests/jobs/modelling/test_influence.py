"""Where items would stand without one like of a user's."""

import numpy as np
import pytest

from fusion.ranking.rank_aggregation import SUM
from jobs.modelling.influence import leave_out
from tests.fusion.worlds import catalog_of, history_of

VECTORS = np.array([[1, 0], [0, 1], [2, 0], [0, 3], [1, 1]], np.float32)


class Sum:
    """A model whose users are the sum of what they like."""

    blocks = {"history": slice(0, 2), "popularity": slice(2, 2)}  # noqa: RUF012
    combination, block_weights = SUM, {}

    def item_vectors(self, catalog):
        return VECTORS

    def user_vectors(self, catalog, history):
        likes = history.likes()
        users = np.zeros((len(history.user_ids), 2), np.float32)
        np.add.at(users, likes.user, VECTORS[likes.item])
        return users

    new_item_user_vectors = user_vectors


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
    ids = [catalog.item_ids[n] for n in items]
    likes, found, scores = leave_out(Sum(), catalog, history, history.user_ids[0], ids, shelf=shelf)
    assert likes == [catalog.item_ids[1], catalog.item_ids[0]], "the newest first"
    assert found.tolist() == ranks
    assert scores.tolist() == [float(VECTORS[n].sum()) for n in items]


def test_what_was_only_seen_is_no_like_and_no_candidate() -> None:
    """Item 3, which would be first."""
    catalog = catalog_of(VECTORS)
    history = history_of([(0, 1, 1), (0, 3, 2, 0.0)], users=1)
    likes, found, _ = leave_out(Sum(), catalog, history, history.user_ids[0], [catalog.item_ids[4]], shelf="for_you")
    assert likes == [catalog.item_ids[1]]
    assert found.tolist() == [[3]], "without its like all are 0, and those before it in the catalog are first"
