import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from fusion.evaluation import metrics

HITS = np.array([[True, False, True, False], [False, False, False, True], [False, False, False, False]])
RELEVANT = np.array([3, 1, 2])


def test_by_hand():
    np.testing.assert_allclose(metrics.recall(HITS, RELEVANT, k=3), [2 / 3, 0, 0])
    np.testing.assert_allclose(metrics.precision(HITS, k=3), [2 / 3, 0, 0])
    np.testing.assert_allclose(metrics.f1(HITS, RELEVANT, k=4), [2 * 0.5 * (2 / 3) / (0.5 + 2 / 3), 2 / 5, 0])
    np.testing.assert_allclose(metrics.hit_rate(HITS, k=3), [1, 0, 0])
    np.testing.assert_allclose(metrics.hit_rate(HITS, k=4), [1, 1, 0])


def test_ndcg_by_hand():
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    np.testing.assert_allclose(metrics.ndcg(HITS, RELEVANT, k=4), [1.5 / ideal, 1 / np.log2(5), 0])
    np.testing.assert_allclose(metrics.ndcg(HITS, RELEVANT, k=2)[0], 1 / (1 + 1 / np.log2(3)))


def test_accuracy_by_hand():
    """Ten candidates, k 4: the first user has 2 hits, so 2 wrongly called and 1 wrongly left."""
    np.testing.assert_allclose(metrics.accuracy(HITS, RELEVANT, np.array([10, 10, 3]), k=4), [0.7, 0.7, 1 - 5 / 3])


def test_average_precision_by_hand():
    """Hits at places 1 and 3 of three relevant items: (1/1 + 2/3) over min(k, 3)."""
    np.testing.assert_allclose(metrics.average_precision(HITS, RELEVANT, k=4), [(1 + 2 / 3) / 3, 1 / 4, 0])
    np.testing.assert_allclose(metrics.average_precision(HITS, RELEVANT, k=2), [1 / 2, 0, 0])
    np.testing.assert_allclose(metrics.average_precision(HITS, RELEVANT, k=9), [(1 + 2 / 3) / 3, 1 / 4, 0])


def test_reciprocal_rank_by_hand():
    np.testing.assert_allclose(metrics.reciprocal_rank(HITS, k=4), [1, 1 / 4, 0])
    np.testing.assert_allclose(metrics.reciprocal_rank(HITS, k=3), [1, 0, 0])
    np.testing.assert_allclose(metrics.reciprocal_rank(HITS[:, :0], k=3), [0, 0, 0])


def auc(scores, relevant, candidates):
    relevant = relevant & candidates
    places = metrics.midranks(np.asarray(scores, np.float32), candidates, sp.csr_matrix(relevant))
    sums = np.bincount(np.nonzero(relevant)[0], places, minlength=len(relevant))
    return metrics.auc(sums, relevant.sum(axis=1), candidates.sum(axis=1))


def test_midranks_by_hand_with_ties_and_what_is_no_number():
    scores = np.array([[3.0, 2.0, 2.0, np.nan, 9.0, -np.inf]], np.float32)
    candidates = np.array([[True, True, True, True, False, True]])
    assert metrics.midranks(scores, candidates, sp.csr_matrix(candidates)).tolist() == [5, 3.5, 3.5, 1.5, 1.5]
    asked = sp.csr_matrix(np.array([[False, True, False, True, False, False]]))
    assert metrics.midranks(scores, candidates, asked).tolist() == [3.5, 1.5]


def test_auc_by_hand_with_a_tie_and_an_excluded_column():
    scores = np.array([[3.0, 2.0, 2.0, 1.0, 9.0]])
    relevant = np.array([[False, True, False, False, False]])
    candidates = np.array([[True, True, True, True, False]])
    np.testing.assert_allclose(auc(scores, relevant, candidates), [(0 + 0.5 + 1) / 3])


def test_auc_without_both_kinds_is_nan():
    everything = np.ones((1, 2), bool)
    assert np.isnan(auc(np.zeros((1, 2)), everything, everything)).all()
    assert np.isnan(auc(np.zeros((1, 2)), ~everything, everything)).all()


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(k, seed):
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(30.0), (6, 1)), axis=1).astype(np.float32)
    relevant = random.random((6, 30)) < 0.2
    relevant[:, 0], relevant[:, 1] = True, False
    hits = np.take_along_axis(relevant, np.argsort(-scores, axis=1), axis=1)
    expected = [ndcg_score([r.astype(float)], [s], k=k) for r, s in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(metrics.ndcg(hits[:, :k], relevant.sum(axis=1), k=k), expected)
    areas = [roc_auc_score(r, s) for r, s in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(auc(scores, relevant, np.ones_like(relevant)), areas)


@given(st.lists(st.booleans(), min_size=5, max_size=5), st.integers(0, 4), st.integers(1, 5))
def test_all_lie_between_0_and_1(row, more, k):
    hits = np.array([row])
    relevant = np.array([max(1, hits.sum() + more)])
    values = [
        metrics.recall(hits, relevant, k=k),
        metrics.precision(hits, k=k),
        metrics.f1(hits, relevant, k=k),
        metrics.ndcg(hits, relevant, k=k),
        metrics.average_precision(hits, relevant, k=k),
        metrics.reciprocal_rank(hits, k=k),
        metrics.accuracy(hits, relevant, relevant + 5, k=k),
    ]
    assert all(0 <= value[0] <= 1 + 1e-12 for value in values)
