import numpy as np
import pytest

from fusion.models import joint, registry

QUICK = {"width": 8, "heads": 2, "units": 4, "epochs": 4, "steps_per_epoch": [4, 4]}


def test_attention_with_masks_by_hand():
    """One head, keys 0, ln 2 and 5, queries 1, 2 and 1 (d_k is 1). Where the third token is absent, the first attends
    by odds 1 : 2, the second by 1 : 4, and the third is ignored; alone, a token attends to itself."""
    query = np.array([1.0, 2, 1]).reshape(1, 1, 3, 1).repeat(3, axis=0)
    key = np.array([0, np.log(2), 5]).reshape(1, 1, 3, 1).repeat(3, axis=0)
    shown = np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 0]])
    found = joint.pooled_attention(query, key, shown, xp=np)
    expected = [[(1 / 3 + 1 / 5) / 2, (2 / 3 + 4 / 5) / 2, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(found[:, 0], expected)


def random_weights(width, count, rng):
    names = ("query", "key", "value", "out")
    return {name: rng.normal(size=(width, width)) for name in names}, rng.normal(size=(5, count, width))


def test_attention_parts_sum_to_the_output_of_textbook_attention():
    """For every item: softmax(Q Kᵀ / sqrt(d_k)) V for each head, side by side, times W_out, averaged over tokens."""
    rng = np.random.default_rng(0)
    weights, tokens = random_weights(4, 3, rng)
    shown = np.array([[1.0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    found = joint.attention_parts(weights, tokens, shown, heads=2, xp=np)
    for item, mask in enumerate(shown > 0):
        x = tokens[item][mask]
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-6)
        heads = []
        for columns in (slice(0, 2), slice(2, 4)):
            q, k, v = (x @ weights[name][:, columns] for name in ("query", "key", "value"))
            odds = np.exp(q @ k.T / np.sqrt(2))
            heads.append(odds / odds.sum(axis=1, keepdims=True) @ v)
        expected = (np.hstack(heads) @ weights["out"]).sum(axis=0) / max(1, mask.sum())
        np.testing.assert_allclose(found[item].sum(axis=0), expected, rtol=1e-6, atol=1e-9)
        assert not found[item][~mask].any()


def test_the_numbers_of_an_absent_token_are_ignored():
    rng = np.random.default_rng(1)
    weights, tokens = random_weights(4, 3, rng)
    shown = np.array([[1.0, 0, 1]] * 5)
    other = tokens.copy()
    other[:, 1] = 1000 * rng.normal(size=(5, 4))
    one, two = (joint.token_parts(weights, t, shown, heads=2, xp=np) for t in (tokens, other))
    np.testing.assert_array_equal(one, two)
    assert not one[:, 1].any()


def test_numpy_and_keras_compute_the_same():
    from keras import ops

    rng = np.random.default_rng(2)
    weights, tokens = random_weights(4, 3, rng)
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    weights |= {
        "text/project": rng.normal(size=(2, 4)).astype(np.float32),
        "video/project": rng.normal(size=(2, 4)).astype(np.float32),
        "video/input": rng.normal(size=(3, 15)).astype(np.float32),
        "video/input_bias": rng.normal(size=15).astype(np.float32),
        "video/gates": rng.normal(size=(5, 10)).astype(np.float32),
        "video/candidate": rng.normal(size=(5, 5)).astype(np.float32),
        "video/course": rng.normal(size=(5, 4)).astype(np.float32),
        "embedding": rng.normal(size=(3, 4)).astype(np.float32),
    }
    given = {
        "text": rng.normal(size=(5, 2)).astype(np.float32),
        "video": rng.normal(size=(5, 2)).astype(np.float32),
        "video/values": rng.normal(size=(2, 6, 3)).astype(np.float32),
        "video/lengths": np.array([6, 2], np.int32),
        "video/at": np.array([0, 2, 0, 1, 1], np.int32),
    }
    shown = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    history = tokens[:, 0].astype(np.float32)
    found = []
    for xp in (np, ops):
        made = joint.item_tokens(weights, history, given, ("text", "video"), xp=xp)
        found.append(np.array(joint.token_parts(weights, made, shown, heads=2, xp=xp)))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_a_token_without_a_sequence_is_its_mean_vector_alone():
    rng = np.random.default_rng(3)
    weights = {"video/project": np.eye(2), "embedding": np.array([[0.0, 0], [1, -1]]), "video/course": np.ones((1, 2))}
    weights |= {"video/input": np.ones((1, 3)), "video/input_bias": np.zeros(3)}
    weights |= {"video/gates": np.zeros((1, 2)), "video/candidate": np.zeros((1, 1))}
    means = rng.normal(size=(2, 2))
    given = {"video": means, "video/values": np.array([[[2.0]]]), "video/lengths": np.array([1])}
    given["video/at"] = np.array([0, 1])
    found = joint.item_tokens(weights, np.zeros((2, 2)), given, ("video",), xp=np)
    added = (1 - 1 / (1 + np.exp(-2))) * np.tanh(2)
    np.testing.assert_allclose(found[:, 1] - means, [[1, -1], [1 + added, -1 + added]])


@pytest.mark.parametrize(
    ("setting", "words"), [({"heads": 3}, "width 64: expected a multiple of heads, 3"), ({"units": 0}, "units 0")]
)
def test_arguments_out_of_range_are_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        registry.create("joint", setting)
