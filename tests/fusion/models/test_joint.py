import numpy as np
import pytest

from fusion.models import registry
from fusion.models.joint import SharedAttention, recent_factors, regression


def attention(width, heads, *, seed=0):
    """A layer with random weights of size 1, and those weights."""
    layer, random = SharedAttention(heads, width), np.random.default_rng(seed)
    layer(np.zeros((1, 1, width), np.float32), np.ones((1, 1), np.float32))  # makes the weights
    weights = [random.normal(size=(width, 3 * width)), random.normal(size=(width, width))]
    layer.query_key_value.set_weights(weights[:1])
    layer.out.set_weights(weights[1:])
    return layer, weights


def test_attention_parts_sum_to_the_output_of_textbook_attention():
    """For every item: softmax(Q Kᵀ / sqrt(d_k)) V for each head, side by side, times W_out, averaged over tokens."""
    layer, (kernel, out) = attention(4, 2)
    tokens = np.random.default_rng(1).normal(size=(5, 3, 4))
    shown = np.array([[1.0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    given = (tokens * shown[:, :, None]).astype(np.float32), shown.astype(np.float32)
    found = np.asarray(layer(*given))
    for item, mask in enumerate(shown > 0):
        x = tokens[item][mask]
        x = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
        q, k, v = np.split(x @ kernel, 3, axis=1)
        heads = []
        for columns in (slice(0, 2), slice(2, 4)):
            odds = np.exp(q[:, columns] @ k[:, columns].T / np.sqrt(2))
            heads.append(odds / odds.sum(axis=1, keepdims=True) @ v[:, columns])
        expected = (np.hstack(heads) @ out).sum(axis=0) / max(1, mask.sum())
        np.testing.assert_allclose(found[item].sum(axis=0), expected, rtol=1e-4, atol=1e-5)
        assert not found[item][~mask].any()


def test_attention_with_masks_by_hand():
    """One head of width 1, and tokens 3 and 5, which normalisation makes 1: both attend to both alike, so that each
    token's part is half of its value, W_v x = 4; alone, a token attends to itself."""
    layer, _ = attention(1, 1)
    layer.query_key_value.set_weights([np.array([[2.0, 3.0, 4.0]])])
    layer.out.set_weights([np.array([[10.0]])])
    tokens = np.array([[3.0, 5, 0], [0, 5, 0]], np.float32)[:, :, None]
    shown = np.array([[1.0, 1, 0], [0, 1, 0]], np.float32)
    found = np.asarray(layer(tokens, shown))[:, :, 0]
    np.testing.assert_allclose(found, [[20, 20, 0], [0, 40, 0]], rtol=1e-4)


def test_the_first_projections_are_one_ridge_regression():
    """Two modalities of one column: x = 1 for both of two items and 1, -1; the ridge is 0.1 * 2."""
    content = [np.array([[1.0], [1.0]]), np.array([[1.0], [-1.0]])]
    kernels, residual = regression(content, np.array([[3.0], [1.0]]))
    np.testing.assert_allclose(kernels, [[[4 / 2.2]], [[2 / 2.2]]])
    np.testing.assert_allclose(residual, [[3 - 6 / 2.2], [1 - 2 / 2.2]])
    assert regression([], np.ones((2, 1)))[0] == []


def test_a_user_begins_as_the_recent_mean_of_the_factors():
    """The profile has 2 factors and 3 columns of content under each of two decays."""
    kernel, bias = recent_factors(2, 10, 4, seed=0)
    assert kernel.shape == (10, 4) and not bias.any()
    found = np.array([0, 0, 0, 0, 0, 1, 2, 0, 0, 0]) @ kernel
    np.testing.assert_allclose(found, np.array([1, 2, 0, 0]) * 0.22 * 64, atol=0.2)


@pytest.mark.parametrize(
    ("setting", "words"), [({"heads": 3}, "width 64: expected a multiple of heads, 3"), ({"units": 0}, "units 0")]
)
def test_arguments_out_of_range_are_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        registry.create("joint", setting)
