"""Profiles and factors by hand, and the examples and batches that models are fitted on."""

import numpy as np
import pytest
import scipy.sparse as sp

from fusion.data.catalog import like_matrix
from fusion.data.history_features import Profiles, autoencoder_factors, recency_matrix, user_profiles
from fusion.training.config import TrainingConfig
from fusion.training.examples import Examples, LikesDataset, draw_by_share
from fusion.training.losses import LIKED_PER_USER
from tests.fusion.worlds import history_of, tastes


def test_recency_by_hand():
    likes = history_of([(0, 2, 30), (0, 1, 10), (0, 0, 20, 0.5), (1, 1, 5)])
    weights = recency_matrix(likes, 3, decay=2.0).toarray()
    np.testing.assert_allclose(weights, [[0.5 * np.exp(-0.5), np.exp(-1), 1], [0, 1, 0]], rtol=1e-6)


def test_profiles_average_over_the_items_that_have_the_source():
    source = np.array([[2.0], [0.0], [4.0]], np.float32)
    likes = history_of([(0, 0, 1), (0, 1, 2), (0, 2, 3, 3.0), (1, 1, 1)], users=3)
    found = user_profiles(recency_matrix(likes, 3, decay=None), [source], [np.array([True, False, True])])
    np.testing.assert_allclose(found, [[(2 + 3 * 4) / 4], [0], [0]])


def test_factors_rebuild_a_block_of_likes():
    """Two groups of users with two items each: s² = 4, so an item rebuilds itself and its twin as 4 / (4 + 2) / 2."""
    likes = like_matrix(history_of([(u, i + 2 * (u // 2), i) for u in range(4) for i in range(2)]), 5)
    factors = autoencoder_factors(likes, rank=3, ridge=2.0, seed=0)
    assert factors.shape == (5, 2)
    expected = np.zeros((5, 5))
    expected[:2, :2] = expected[2:4, 2:4] = 1 / 3
    np.testing.assert_allclose(factors @ factors.T, expected, atol=1e-6)


def test_factors_are_the_same_by_lanczos_and_in_full():
    likes = like_matrix(tastes(users=150, items=90, seed=3)[1], 90)
    few = autoencoder_factors(likes, rank=4, ridge=5.0, seed=1)
    full = autoencoder_factors(likes, rank=90, ridge=5.0, seed=1)[:, :4]
    np.testing.assert_allclose(few @ few.T, full @ full.T, atol=1e-4)


def test_targets_are_what_came_next():
    examples = Examples(history_of([(0, k, k) for k in range(8)] + [(2, 5, 1)], users=4), 9)
    assert examples.users.tolist() == [0, 2]
    random = np.random.default_rng(0)
    for _ in range(30):
        example = examples.draw(np.array([2, 0]), random)
        past, targets, later = example.past, example.targets, example.later
        assert targets[0].indices.tolist() == [5]
        wanted, given = targets[1].indices, past.item[past.user == 1]
        cut = wanted.min()
        assert given.tolist() == list(range(cut))
        assert wanted.tolist() == list(range(cut, min(8, cut + 2)))
        np.testing.assert_allclose(targets.sum(axis=1), 1)
        assert later.item[later.user == 1].tolist() == list(range(cut, 8))
        assert later.user_ids.tolist() == ["2", "0"]


def test_later_events_include_those_without_a_like():
    """Seen, liked, seen, liked: the moment is one of the likes, and what was seen before it is past."""
    examples = Examples(history_of([(0, k, k, k % 2) for k in range(4)]), 4)
    random = np.random.default_rng(0)
    drawn = {tuple(examples.draw(np.array([0]), random).later.item) for _ in range(20)}
    assert drawn == {(1, 2, 3), (3,)}


def test_profiles_are_the_means_under_each_decay_in_blocks_of_users(monkeypatch):
    source, masks = np.array([[2.0], [0.0], [4.0]], np.float32), np.array([True, False, True])
    likes = history_of([(0, 0, 1), (0, 2, 2), (2, 2, 1)], users=3)
    profiles = Profiles([source], [masks], (None, 1.0))
    older = np.exp(-1)
    expected = [[3, (2 * older + 4) / (older + 1)], [0, 0], [4, 4]]
    np.testing.assert_allclose(profiles(likes), expected, rtol=1e-6)
    monkeypatch.setattr("fusion.data.history_features.BLOCK", 1)
    found = list(profiles.blocks(likes, np.array([2, 0])))
    np.testing.assert_allclose(np.vstack([block for _, block in found]), np.array(expected)[[2, 0]], rtol=1e-6)
    assert [rows for rows, _ in found] == [slice(0, 1), slice(1, 2)]


def test_liked_items_are_drawn_by_their_shares():
    shares = sp.csr_matrix(np.array([[0, 0.25, 0.75], [1, 0, 0], [0, 0.5, 0.5]], np.float32))
    drawn = draw_by_share(shares, 4000, np.random.default_rng(0))
    assert set(drawn[1]) == {0}
    assert set(drawn[0]) == set(drawn[2]) == {1, 2}
    assert np.mean(drawn[0] == 2) == pytest.approx(0.75, abs=0.03)
    assert np.mean(drawn[2] == 2) == pytest.approx(0.5, abs=0.04)


def dataset(*, items_per_step=100, seed=1, **more):
    history = history_of([(u, (u + k) % 12, k) for u in range(6) for k in range(4)])
    config = TrainingConfig(batch_size=4, items_per_step=items_per_step, **more)
    return LikesDataset(
        history, 12, lambda past: np.zeros((len(past.user_ids), 1), np.float32), config=config, seed=seed
    )


def test_candidates_that_the_user_has_had_are_left_out():
    inputs, labels = dataset()[0]
    assert inputs["candidates"].tolist() == [list(range(12))] * 4
    assert (labels[:, :LIKED_PER_USER] == 1).all()
    left_out = labels[:, LIKED_PER_USER:] == -1
    assert (left_out.sum(axis=1) <= 4).all()
    assert all(left_out[user, inputs["liked"][user]].all() for user in range(4))
    assert set(labels[:, LIKED_PER_USER:].ravel()) == {0, -1}


def test_of_a_larger_catalog_candidates_are_drawn_and_are_the_same_for_all_users():
    inputs, labels = dataset(items_per_step=5)[0]
    assert inputs["candidates"].shape == (4, 5) and labels.shape == (4, LIKED_PER_USER + 5)
    assert len(set(inputs["candidates"][0])) == 5
    assert (inputs["candidates"] == inputs["candidates"][0]).all()


def test_an_epoch_has_every_user_before_any_twice_and_the_next_another_order(monkeypatch):
    asked, draw = [], Examples.draw

    def drawn(self, users, random):
        asked.append(users.tolist())
        return draw(self, users, random)

    monkeypatch.setattr(Examples, "draw", drawn)
    batches, again = dataset(steps_per_epoch=(3, 3)), dataset(steps_per_epoch=(3, 3))
    labels = [batches[index][1] for index in range(6)]
    for epoch in (asked[0] + asked[1] + asked[2], asked[3] + asked[4] + asked[5]):
        assert sorted(epoch[:6]) == sorted(epoch[6:]) == list(range(6))
    assert asked[:3] != asked[3:]
    np.testing.assert_array_equal(again[4][1], labels[4])
    assert dataset().steps == 20 and dataset(steps_per_epoch=(1, 9)).steps == 2
