"""Item transitions against numbers worked out by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fusion.models.stack.item_transitions import ItemTransitions, moments, past_and_future
from tests.fusion.worlds import history_of, tastes

SEQUENCE = history_of([(0, 0, 1), (0, 1, 2), (0, 2, 3)])


def test_the_past_fades_backwards_and_the_future_forwards():
    ordered, after, first = moments(SEQUENCE, seed=0)
    ((past, future),) = past_and_future(ordered, after, first, n_items=3, decay=1.0, horizon=2.0)
    e = np.exp
    np.testing.assert_allclose(past.toarray(), [[1, 0, 0], [e(-1), 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(future.toarray(), [[0, 1, e(-0.5)], [0, 0, 1]], rtol=1e-6)


def test_moments_stay_within_a_user():
    two = history_of([(0, 0, 1), (0, 1, 2), (1, 2, 1), (1, 0, 5), (2, 1, 1)])
    ordered, after, first = moments(two, seed=0)
    assert after.tolist() == [1, 3] and first.tolist() == [0, 2]
    ((past, _),) = past_and_future(ordered, after, first, n_items=3, decay=1.0, horizon=1.0)
    assert past.toarray().tolist() == [[1, 0, 0], [0, 0, 1]]


def test_transitions_are_the_ridge_regression_of_the_future_on_the_past():
    """One moment, item 0 before item 1, axes as they are: W = 1 / (1 + ridge) at (0, 1)."""
    two = history_of([(0, 0, 1), (0, 1, 2)])
    following = ItemTransitions(two, np.eye(2), decay=10.0, horizon=3.0, seed=0).solve(3.0)
    np.testing.assert_allclose(following, [[0, 0], [0.25, 0]], atol=1e-7)


@given(st.permutations(range(6)))
def test_transitions_do_not_depend_on_the_order_of_rows(order):
    _, history = tastes(users=3, items=8, likes=4)
    axes = np.eye(8)
    expected = ItemTransitions(history, axes, decay=5.0, horizon=2.0, seed=0).solve(1.0)
    assert expected.any()
    found = ItemTransitions(history.where(np.array(order)), axes, decay=5.0, horizon=2.0, seed=0).solve(1.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
