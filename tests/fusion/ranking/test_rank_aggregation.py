import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusion.ranking import rank_aggregation
from fusion.ranking.rank_aggregation import block_scores, descending_ranks, nonzero_items, points, total

BLOCKS = {"history": slice(0, 1), "text": slice(1, 2)}
USERS = np.array([[1, 1], [-1, 0]], np.float32)
ITEMS = np.array([[4, 0], [3, 1], [2, 3], [0, 2]], np.float32)
"""The first item has no text, the last one no history."""


def given_by(combination, **more):
    return points(USERS, ITEMS, BLOCKS, combination=combination, **more)


def test_a_sum_is_the_dot_product_block_by_block():
    found = given_by("sum", weights={"text": 2})
    assert found["history"].tolist() == [[4, 3, 2, 0], [-4, -3, -2, 0]]
    assert found["text"].tolist() == [[0, 2, 6, 4], [0, 0, 0, 0]]
    assert total(found).tolist() == [[4, 5, 8, 4], [-4, -3, -2, 0]]


def test_borda_by_hand():
    """Three items ranked: (4 - 2 rank) / 3. The second user's text is alike for all: everything in the middle."""
    found = given_by("borda", weights={"text": 0.5})
    np.testing.assert_allclose(found["history"], [[2 / 3, 0, -2 / 3, 0], [-2 / 3, 0, 2 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(found["text"], [[0, -1 / 3, 1 / 3, 0], [0, 0, 0, 0]], rtol=1e-6)


def test_reciprocal_rank_by_hand():
    """1 / (60 + rank); the ranks of three that tie are 2 each."""
    found = given_by("reciprocal_rank", weights={"history": 3})
    np.testing.assert_allclose(found["history"][0], [3 / 61, 3 / 62, 3 / 63, 0], rtol=1e-6)
    np.testing.assert_allclose(found["text"], [[0, 1 / 63, 1 / 61, 1 / 62], [0, 1 / 62, 1 / 62, 1 / 62]], rtol=1e-6)


def test_votes_by_hand(monkeypatch):
    """One vote a block. Weights 1 and 2: sums 0, 1, 2, 3, so that less than 1 / 3 of a vote goes to the average, whose
    largest value for the first user is 2 + 2 * 3 = 8."""
    monkeypatch.setattr(rank_aggregation, "VOTED_ITEMS", 1)
    found = given_by("vote", weights={"text": 2})
    np.testing.assert_allclose(found["history"][0], [1 + 4 / 24, 3 / 24, 2 / 24, 0], rtol=1e-6)
    np.testing.assert_allclose(found["text"][0], [0, 2 / 24, 2 + 6 / 24, 4 / 24], rtol=1e-6)
    np.testing.assert_allclose(found["text"][1], [0, 0, 0, 0])


def test_ranks_are_among_the_candidates():
    candidates = np.array([[False, True, True, True], [True, True, False, True]])
    found = given_by("reciprocal_rank", candidates=candidates)
    np.testing.assert_allclose(found["history"], [[0, 1 / 61, 1 / 62, 0], [1 / 62, 1 / 61, 0, 0]], rtol=1e-6)


def test_ties_share_their_mean_rank():
    scores = np.array([[1, 3, 3, 0, 3]], np.float32)
    assert descending_ranks(scores, np.ones((1, 5), bool)).tolist() == [[4, 2, 2, 5, 2]]
    assert descending_ranks(scores, np.array([[True, True, False, False, True]])).tolist() == [
        [3, 1.5, np.inf, np.inf, 1.5]
    ]


WORLDS = arrays(np.float32, (5, 4), elements=st.floats(-4, 4, width=16))


@given(
    WORLDS,
    arrays(np.float32, (3, 4), elements=st.floats(-4, 4, width=16)),
    st.sampled_from(rank_aggregation.COMBINATIONS),
)
def test_an_item_without_a_block_gets_exactly_0_from_it(items, users, combination):
    blocks = {"history": slice(0, 2), "text": slice(2, 4), "image": slice(4, 4)}
    found = points(users, items, blocks, combination=combination)
    for name, nonzero in nonzero_items(items, blocks).items():
        assert found[name].dtype == np.float32
        assert np.isfinite(found[name]).all()
        assert not found[name][:, ~nonzero].any()


@given(
    arrays(np.float32, (6, 2), elements=st.floats(-4, 4, width=16)),
    st.lists(st.floats(0.0625, 4, width=16), min_size=2, max_size=2),
)
def test_the_average_never_outweighs_a_vote(items, weights):
    """Whoever has more votes stands higher."""
    blocks, weight = {"history": slice(0, 1), "text": slice(1, 2)}, dict(zip(BLOCKS, weights, strict=True))
    user = np.ones((1, 2), np.float32)
    nonzero = nonzero_items(items, blocks)
    scores = block_scores(user, items, blocks)
    voted = sum(weight[n] * (descending_ranks(scores[n], nonzero[n][None]) <= 2) for n in blocks)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_aggregation, "VOTED_ITEMS", 2)
        found = total(points(user, items, blocks, combination="vote", weights=weight))[0]
    more = voted[:, None] > voted[None, :] + 1e-5
    assert (found[:, None] > found[None, :])[more].all()


def test_scores_do_not_depend_on_companions():
    random = np.random.default_rng(0)
    users, items = (random.normal(size=(n, 150)).astype(np.float32) for n in (64, 300))
    blocks = {"history": slice(0, 70), "text": slice(70, 150)}
    together = block_scores(users, items, blocks)
    for rows in ([0], [5, 9], list(range(63, -1, -1))):
        alone = block_scores(users[rows], items, blocks)
        for name in blocks:
            np.testing.assert_array_equal(alone[name], together[name][rows])


def test_an_unknown_combination_is_named():
    with pytest.raises(ValueError, match="'mean': expected one of sum, borda, reciprocal_rank, vote"):
        given_by("mean")
    with pytest.raises(ValueError, match="no block"):
        total({})
