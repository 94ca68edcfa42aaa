import numpy as np
import pytest
import scipy.sparse as sp

from fusion.ranking import nearest_neighbours as module
from fusion.ranking.nearest_neighbours import nearest, unit_rows

VECTORS = np.array([[1, 0], [2, 2], [0, 3], [0, 0], [-1, 0]], np.float32)
HALF = np.sqrt(0.5)


def among_themselves(vectors, **more):
    return nearest([vectors], [vectors], own=np.arange(vectors.shape[0]), **more)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_unit_rows_by_hand(form):
    found = unit_rows(form(np.array([[3, 4], [0, 0]], np.float32)))
    np.testing.assert_allclose(found.toarray() if sp.issparse(found) else found, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_cosines_of_the_nearest_by_hand():
    """Row 1 is as near to row 0 as to row 2; row 3 is nothing; row 4 points away from all."""
    found = among_themselves(VECTORS, k=1).toarray()
    expected = np.zeros((5, 5))
    expected[0, 1] = expected[1, 0] = expected[2, 1] = HALF
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_blocks_count_where_both_have_them_and_few_are_shrunk():
    """Query 0 shares both blocks with row 1 (cosines 1 and 1/√2) and the first alone with row 2 (1): over 2 + 1 and
    1 + 1. Row 3 shares none with it."""
    first = np.array([[1, 0], [2, 0], [3, 0], [0, 0]], np.float32)
    second = np.array([[1, 1], [0, 1], [0, 0], [0, 0]], np.float32)
    found = nearest([first[:1], second[:1]], [first, second], k=3, own=np.array([0]), shrink=1.0).toarray()
    np.testing.assert_allclose(found, [[0, (1 + HALF) / 3, 1 / 2, 0]], rtol=1e-6)


def test_neighbours_are_among_those_allowed():
    found = among_themselves(VECTORS, k=3, among=np.array([False, False, True, True, True]))
    assert sorted(zip(*found.nonzero(), strict=True)) == [(1, 2)]


def test_sparse_rows_and_small_blocks_give_the_same(monkeypatch):
    random = np.random.default_rng(0)
    vectors = (random.random((30, 12)) * (random.random((30, 12)) < 0.4)).astype(np.float32)
    whole = among_themselves(vectors, k=4).toarray()
    np.testing.assert_allclose(among_themselves(sp.csr_matrix(vectors), k=4).toarray(), whole, rtol=1e-5)
    monkeypatch.setattr(module, "CELLS", 70)
    np.testing.assert_allclose(among_themselves(vectors, k=4).toarray(), whole, rtol=1e-5)


def test_no_rows():
    assert among_themselves(np.zeros((0, 2), np.float32), k=3).shape == (0, 0)
    assert among_themselves(VECTORS[:1], k=3).nnz == 0


def test_queries_that_are_no_rows_keep_all_their_neighbours():
    found = nearest([VECTORS[:2] * 2], [VECTORS[:3]], k=1, own=np.array([-1, 1])).toarray()
    np.testing.assert_allclose(found, [[1, 0, 0], [HALF, 0, 0]], rtol=1e-6)
