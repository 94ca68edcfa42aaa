"""Kernel features and TF-IDF against numbers worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from fusion.models.stack.kernel_features import KernelFeatures, TfIdf

CORNERS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
"""Standardised already; cosines of the first with all: 1, 0, 0, -1."""


def features_of(vectors, counts=None, *, degree, dims=4, gain=1.0):
    fitted = KernelFeatures.fit(vectors, counts, degree=degree, dims=dims, terms_gain=gain, seed=0)
    return fitted, fitted(vectors, np.ones(len(vectors), bool), counts)


@pytest.mark.parametrize(
    ("degree", "first_row"),
    [(1, [0.5, 0, 0, -0.5]), (3, [2.75, -0.75, -0.75, -1.25])],
)
def test_dot_products_of_features_are_the_centred_kernel(degree, first_row):
    """Of degree 1 the kernel is 1, 1/2, 1/2, 0 with mean 1/2; of degree 3 it is 4, 1/2, 1/2, 0 with mean 5/4."""
    _, features = features_of(CORNERS, degree=degree)
    np.testing.assert_allclose((features @ features.T)[0], first_row, atol=1e-5)


def test_shared_terms_add_to_the_kernel():
    """Items 0 and 3 share their only term: 0.5 more between them and with themselves, that is on average 1/4 more in
    their rows; 1 and 2 share another. Centred, the terms' part is 1/4 among those who share and -1/4 among others."""
    counts = sp.csr_matrix(np.array([[2, 0], [0, 1], [0, 3], [1, 0]]))
    _, with_terms = features_of(CORNERS, counts, degree=1, gain=0.5)
    _, without = features_of(CORNERS, degree=1)
    added = with_terms @ with_terms.T - without @ without.T
    np.testing.assert_allclose(added[0], [0.25, -0.25, -0.25, 0.25], atol=1e-5)


def test_terms_are_weighted_by_tf_idf():
    """df 2 of 2 gives idf 1; df 1 gives 1 + ln(3/2). The first row is [1 + ln 2, idf] over its length."""
    counts = sp.csr_matrix(np.array([[2, 1, 0], [1, 0, 0]]))
    terms = TfIdf.fit(counts)
    np.testing.assert_array_equal(terms.vocabulary, [0, 1])
    row = np.array([1 + np.log(2), 1 + np.log(1.5)])
    np.testing.assert_allclose(terms(counts).toarray(), [row / np.linalg.norm(row), [1, 0]], rtol=1e-6)


def test_hidden_rows_have_no_features_and_an_empty_modality_none():
    fitted, features = features_of(CORNERS, degree=3)
    hidden = fitted(CORNERS, np.array([True, False, True, True]))
    assert not hidden[1].any()
    np.testing.assert_array_equal(hidden[[0, 2, 3]], features[[0, 2, 3]])
    nothing, none = features_of(np.zeros((0, 2), np.float32), degree=3)
    assert nothing.dims == 0 and none.shape == (0, 0)
    with pytest.raises(ValueError, match=r"shape \(4, 3\): expected \[N, 2\]"):
        fitted(np.ones((4, 3), np.float32), np.ones(4, bool))


def test_few_landmarks_approximate_many_rows(monkeypatch):
    monkeypatch.setattr("fusion.models.stack.kernel_features.MAX_LANDMARKS", 40)
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(300, 3)) @ random.normal(size=(3, 8))).astype(np.float32)
    _, few = features_of(vectors, degree=1, dims=8)
    monkeypatch.setattr("fusion.models.stack.kernel_features.MAX_LANDMARKS", 300)
    _, all_ = features_of(vectors, degree=1, dims=8)
    centre = lambda x: x - x.mean(axis=0)  # noqa: E731
    np.testing.assert_allclose(centre(few) @ centre(few).T, centre(all_) @ centre(all_).T, atol=0.02)
