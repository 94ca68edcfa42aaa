import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fusion.ranking.top_k import top_k


def test_ties_go_to_the_lower_column_also_at_the_last_place():
    indices, scores = top_k(np.array([[1, 3, 2, 3, 2, 2]], np.float32), 4)
    assert indices.tolist() == [[1, 3, 2, 4]]
    assert scores.tolist() == [[3, 3, 2, 2]]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_rows_short_of_candidates_are_padded(form):
    exclude = form(np.array([[True, False, True], [True, True, True]]))
    indices, scores = top_k(np.array([[1, 2, 3], [1, 2, 3]], np.float32), 2, exclude=exclude)
    assert indices.tolist() == [[1, -1], [-1, -1]]
    assert scores.tolist() == [[2, -np.inf], [-np.inf, -np.inf]]


def test_k_beyond_the_catalog_nan_and_no_rows():
    assert top_k(np.array([[1, np.nan, 3]], np.float32), 9)[0].tolist() == [[2, 0, -1]]
    assert top_k(np.zeros((0, 3), np.float32), 2)[0].shape == (0, 2)
    assert top_k(np.zeros((2, 0), np.float32), 2)[0].shape == (2, 0)


def test_refuses_wrong_shapes():
    with pytest.raises(ValueError, match="k 0"):
        top_k(np.zeros((1, 3), np.float32), 0)
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        top_k(np.zeros((1, 3), np.float32), 1, exclude=np.zeros((1, 2), bool))


@given(st.lists(st.lists(st.integers(-3, 3), min_size=7, max_size=7), min_size=1, max_size=5), st.integers(1, 8))
def test_equals_a_full_stable_sort(rows, k):
    scores = np.array(rows, np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    indices, values = top_k(scores, k)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, expected, axis=1))


def test_scoring_needs_no_heavy_import():
    code = (
        "import sys; import fusion.ranking.nearest_neighbours, fusion.ranking.rank_aggregation, fusion.ranking.top_k; "
        "from fusion.models.registry import create; create('stack'); create('decision'); create('content'); "
        "print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
