import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fusion.evaluation import beyond_accuracy

SHOWN = np.array([[0, 1, 2], [1, 3, -1], [-1, -1, -1]])
LIKES = np.array([6, 2, 0, 14])
"""14 users: the shares are 7/16, 3/16, 1/16 and 15/16."""


def test_novelty_by_hand():
    bits = -np.log2(np.array([7, 3, 1, 15]) / 16)
    assert bits[2] == 4
    np.testing.assert_allclose(
        beyond_accuracy.novelty(SHOWN, LIKES, 14, k=3), [bits[:3].mean(), (bits[1] + bits[3]) / 2, np.nan]
    )
    np.testing.assert_allclose(beyond_accuracy.novelty(SHOWN, LIKES, 14, k=1), [bits[0], bits[1], np.nan])


def test_diversity_by_hand():
    """Items 0 and 1 have cosine .6, 0 and 2 have 0, 1 and 2 have .8; item 3 has no content."""
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 0]], np.float32)
    np.testing.assert_allclose(
        beyond_accuracy.diversity(SHOWN, vectors, k=3), [1 - (0.6 + 0 + 0.8) / 3, np.nan, np.nan], rtol=1e-6
    )
    np.testing.assert_allclose(beyond_accuracy.diversity(SHOWN, vectors, k=2), [0.4, np.nan, np.nan], rtol=1e-6)
    with_the_mute = np.array([[0, 3, 1]])
    np.testing.assert_allclose(beyond_accuracy.diversity(with_the_mute, vectors, k=3), [0.4], rtol=1e-6)


@given(st.integers(0, 99), st.integers(2, 6))
def test_diversity_is_the_mean_over_pairs(seed, k):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(9, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    shown = random.permutation(9)[None, :6]
    pairs = [vectors[a] @ vectors[b] for at, a in enumerate(shown[0, :k]) for b in shown[0, :at]]
    np.testing.assert_allclose(beyond_accuracy.diversity(shown, vectors, k=k), [1 - np.mean(pairs)], rtol=1e-4)


def test_popularity_bias_by_hand():
    liked = sp.csr_matrix(np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], np.float32))
    shown = np.array([[0, 1, 2], [1, 3, -1], [3, 0, -1]])
    np.testing.assert_allclose(
        beyond_accuracy.popularity_bias(shown, LIKES, liked, k=3), [(8 / 3) / 8, np.nan, 10 / 6], rtol=1e-12
    )
    np.testing.assert_allclose(beyond_accuracy.popularity_bias(shown, LIKES, liked, k=1), [6 / 8, np.nan, 14 / 6])


def test_coverage_counts_each_item_once_and_no_padding():
    assert beyond_accuracy.exposure_counts(SHOWN, 8, k=2).tolist() == [1, 2, 0, 1, 0, 0, 0, 0]
    assert beyond_accuracy.coverage(beyond_accuracy.exposure_counts(SHOWN, 8, k=2)) == 3 / 8
    assert beyond_accuracy.coverage(beyond_accuracy.exposure_counts(SHOWN, 8, k=3)) == 4 / 8


def test_gini_by_hand():
    """Shares 0, 1/4 and 3/4 of three items: (-2 * 0 + 0 * 1/4 + 2 * 3/4) / 2."""
    assert beyond_accuracy.gini(np.array([3, 0, 1])) == 0.75
    assert beyond_accuracy.gini(np.array([5, 5, 5])) == 0
    assert beyond_accuracy.gini(np.array([0, 7, 0, 0])) == 1
    assert np.isnan(beyond_accuracy.gini(np.array([4]))) and np.isnan(beyond_accuracy.gini(np.zeros(3, int)))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(any))
def test_gini_is_the_mean_difference_over_twice_the_mean(counts):
    """The definition by all pairs, n(n - 1) of them without an item and itself."""
    x = np.array(counts)
    pairs = np.abs(x[:, None] - x[None, :]).sum() / (len(x) * (len(x) - 1))
    assert beyond_accuracy.gini(x) == pytest.approx(pairs / (2 * x.mean()))
