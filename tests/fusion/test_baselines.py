import numpy as np
import pytest

from fusion.baselines import ItemKNN, Popularity
from tests.fusion.worlds import history_of

ROWS = [(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (2, 0, 1), (2, 2, 2), (2, 1, 3, 0.0)]


def test_popularity_counts_likes_alone():
    history = history_of(ROWS)
    scores = Popularity().fit(history, 4).scores(history, np.array([2, 0]))
    assert scores.tolist() == [[3, 2, 1, 0]] * 2


def test_item_knn_by_hand():
    """Co-likes: 0-1 twice, 0-2 once. Lengths: sqrt 3, sqrt 2, 1."""
    history = history_of(ROWS)
    scores = ItemKNN(neighbours=5, shrink=1).fit(history, 4).scores(history, np.array([2]))
    near01, near02 = 2 / (np.sqrt(6) + 1), 1 / (np.sqrt(3) + 1)
    np.testing.assert_allclose(scores, [[near02, near01, near02, 0]], rtol=1e-6)


def test_item_knn_keeps_only_the_nearest():
    """Item 0 keeps only item 1, which user 2 does not like; items 1 and 2 keep item 0, which user 2 does."""
    history = history_of(ROWS)
    scores = ItemKNN(neighbours=1, shrink=0).fit(history, 4).scores(history, np.array([2]))
    np.testing.assert_allclose(scores, [[0, 2 / np.sqrt(6), 1 / np.sqrt(3), 0]], rtol=1e-6)


@pytest.mark.parametrize("baseline", [Popularity(), ItemKNN()])
def test_no_history(baseline):
    history = history_of([], users=2)
    assert not baseline.fit(history, 3).scores(history, np.array([0, 1])).any()
