import numpy as np
import pytest

from fusion.data.catalog import like_matrix
from fusion.data.history_features import autoencoder_factors, recency_matrix, user_profiles
from fusion.training.config import TrainingConfig
from fusion.training.examples import Candidates, Examples
from tests.fusion.worlds import history_of, tastes

CONFIG = TrainingConfig(
    epochs=1, patience=1, batch_size=4, learning_rate=0.1, item_dropout=0.0, items_per_step=6, steps_per_epoch=(1, 1)
)


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


def test_sampled_partition_is_unbiased():
    """The mean over draws of sum z_i / p_i is the sum over the catalog, targets included by their own chance."""
    likes = history_of([(u, u % 10, 1) for u in range(40)])
    candidates = Candidates(likes, 30, config=CONFIG)
    random = np.random.default_rng(0)
    values = np.arange(30.0)
    none = like_matrix(history_of([], users=1), 30)
    rows, log_p = candidates.draw(none, random)
    assert len(rows) == 6
    totals = []
    for _ in range(4000):
        count = np.zeros(30)
        count[:10] = random.poisson(0.25 * 4 / 40 * 4, 10)
        rows, log_p = candidates.draw(
            like_matrix(history_of([(0, int(i), 1) for i in np.nonzero(count)[0]], users=1), 30), random
        )
        totals.append((values[rows] / np.exp(log_p)).sum())
    assert np.mean(totals) == pytest.approx(values.sum(), rel=0.03)


def test_a_small_catalog_is_ranked_whole():
    rows, log_p = Candidates(history_of([(0, 0, 1)]), 5, config=CONFIG).draw(
        like_matrix(history_of([(0, 0, 1)]), 5), np.random.default_rng(0)
    )
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert not log_p.any()
