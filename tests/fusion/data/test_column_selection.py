import numpy as np
import pytest

from fusion.data.column_selection import by_l1, by_l1_share, by_mutual_information, one_hot


def world(n=200):
    """Six columns, of which 1 and 4 tell the category, the latter by its size alone."""
    random = np.random.default_rng(0)
    label = np.arange(n) % 2
    x = random.normal(size=(n, 6))
    x[:, 1] += 4 * label
    x[:, 4] *= 1 + 9 * label
    return x.astype(np.float32), np.array(["a", "b"])[label]


def test_mutual_information_sees_more_than_the_mean():
    x, categories = world()
    kept = by_mutual_information(x, categories, share=2 / 6, seed=0)
    assert np.nonzero(kept)[0].tolist() == [1, 4]
    np.testing.assert_array_equal(kept, by_mutual_information(x, categories, share=2 / 6, seed=0))


def test_items_of_no_known_category_play_no_part():
    x, categories = world()
    x, categories = np.vstack([x, 1e3 * x[:50]]), np.concatenate([categories, np.full(50, "")])
    assert np.nonzero(by_mutual_information(x, categories, share=0.3, seed=0))[0].tolist() == [1, 4]
    assert by_mutual_information(x, np.full(len(x), ""), share=0.3, seed=0).all()


def test_at_least_so_many_columns_are_kept():
    x, categories = world()
    assert by_mutual_information(x, categories, share=0.01, seed=0).sum() == 1
    assert by_mutual_information(x, categories, share=1.0, seed=0).all()


def test_l1_by_hand():
    """Orthogonal columns of variance 1: ||X_jᵀ Y|| / n are 3, 2 and 1, so λ = strength * 3 leaves those above it."""
    x = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    y = x @ np.diag([3.0, 2.0, 1.0])
    assert by_l1(x, y, strength=0.2).tolist() == [True, True, True]
    assert by_l1(x, y, strength=0.5).tolist() == [True, True, False]
    assert by_l1(x, y, strength=0.7).tolist() == [True, False, False]
    assert not by_l1(x, y, strength=1.0).any()


def test_l1_does_not_hang_on_units_and_passes_constant_columns_over():
    x, categories = world()
    x[:, 0] = 5
    kept = by_l1(x, one_hot(categories), strength=0.5)
    assert np.nonzero(kept)[0].tolist() == [1]
    scaled = x * np.array([1, 1e-3, 10, 1, 7, 1], np.float32) + 100
    np.testing.assert_array_equal(by_l1(scaled, one_hot(categories), strength=0.5), kept)
    assert not by_l1(x[:0], one_hot(categories)[:0], strength=0.5).any()


def test_l1_by_share_by_hand():
    """Columns enter at strengths below 1, 2/3 and 1/3: a third of three columns is one, and so on."""
    x = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    y = x @ np.diag([3.0, 2.0, 1.0])
    assert by_l1_share(x, y, share=1 / 3).tolist() == [True, False, False]
    assert by_l1_share(x, y, share=0.5).tolist() == [True, True, False]
    assert by_l1_share(x, y, share=1.0).tolist() == [True, True, True]
    with pytest.raises(ValueError, match="share 0"):
        by_l1_share(x, y, share=0.0)


def test_one_hot_by_hand():
    np.testing.assert_array_equal(one_hot(np.array(["b", "", "a"])), [[0, 1], [0, 0], [1, 0]])


def test_arguments_out_of_range_are_refused():
    x, categories = world()
    with pytest.raises(ValueError, match="share 0"):
        by_mutual_information(x, categories, share=0.0, seed=0)
    with pytest.raises(ValueError, match="strength 0"):
        by_l1(x, one_hot(categories), strength=0.0)
    with pytest.raises(ValueError, match="200 vectors and 3 targets"):
        by_l1(x, one_hot(categories)[:3], strength=0.5)
