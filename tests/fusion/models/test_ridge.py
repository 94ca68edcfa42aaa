"""Ridge regression and unit variance against numbers worked out by hand."""

import numpy as np

from fusion.models.ridge import covariance, ridge_map, with_unit_variance


def test_the_map_gives_the_weights_of_the_ridge_regression():
    """Items with features (1, 0) and (1, 2): G = ((2, 2), (2, 4)), and with ridge 2 K = ((6, -2), (-2, 4)) / 20.
    Who likes the second alone has Φ' x = (1, 2), so weights (2, 6) / 20."""
    features = np.array([[1.0, 0], [1, 2]])
    weights = ridge_map(features.T @ features, ridge=2.0) @ features.T @ [0, 1]
    np.testing.assert_allclose(weights, [0.1, 0.3])


def test_users_are_brought_to_unit_variance():
    items = np.array([[1.0, 0], [3, 0], [1, 4], [3, 4]], np.float32)
    users = np.array([[2.0, 0], [0, 1], [0, 0]], np.float32)
    scaled = with_unit_variance(users, covariance(items))
    np.testing.assert_allclose(scaled, [[1, 0], [0, 0.5], [0, 0]])
    np.testing.assert_allclose((scaled @ items.T).std(axis=1), [1, 1, 0], atol=1e-6)
