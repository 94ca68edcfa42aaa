"""Features from the history."""

import numpy as np
import pytest

from fusion.data.catalog import History
from fusion.data.history_features import recency_matrix


def likes(*rows: tuple[int, int, int], users: int = 2) -> History:
    """Rows of user, item and timestamp, each of weight 1."""
    user, item, time = (np.array([row[n] for row in rows], np.int64) for n in range(3))
    ids = np.array([f"u{n}" for n in range(users)])
    nothing = np.full(len(rows), np.nan, np.float32)
    return History(ids, user.astype(np.int32), item.astype(np.int32), time, np.ones(len(rows), np.float32), nothing)


def exponents(history: History) -> list[list[float]]:
    """-p of each like, 0 also where there is none."""
    matrix = recency_matrix(history, 4, decay=1.0).toarray()
    return np.round(np.log(np.where(matrix > 0, matrix, 1)), 5).tolist()


def test_each_later_like_of_the_user_discounts_a_like() -> None:
    assert exponents(likes((0, 2, 10), (0, 0, 20), (1, 3, 5), (0, 1, 30))) == [[-1, 0, -2, 0], [0, 0, 0, 0]]


def test_likes_at_one_time_are_discounted_alike() -> None:
    tied = likes((0, 0, 10), (0, 1, 20), (0, 2, 20), (0, 3, 30), (1, 0, 7), (1, 3, 7))
    assert exponents(tied) == [[-3, -1, -1, 0], [0, 0, 0, 0]]


def test_the_order_of_rows_changes_nothing() -> None:
    tied = likes((0, 0, 10), (0, 1, 20), (0, 2, 20), (0, 3, 30), (1, 0, 7), (1, 3, 7))
    shuffled = tied.where(np.array([4, 2, 0, 5, 3, 1]))
    assert exponents(shuffled) == exponents(tied)


@pytest.mark.parametrize("decay", [None, 2.0])
def test_without_a_like_there_is_nothing(decay: float | None) -> None:
    assert recency_matrix(likes(), 4, decay=decay).nnz == 0


def test_without_a_decay_weights_stay() -> None:
    assert recency_matrix(likes((0, 0, 1), (0, 1, 2)), 4, decay=None).toarray()[0].tolist() == [1, 1, 0, 0]
