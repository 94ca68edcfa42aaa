from dataclasses import replace

import numpy as np
import pytest

from fusion.models.linear.self_attention import attend, recent_likes
from fusion.models.registry import create
from fusion.training.config import FitLog
from tests.fusion.worlds import history_of, tastes


def weights_of(**arrays):
    """One head over two sources of one column, with a vector of two columns: the means as they are."""
    weights = {
        "query": np.zeros((2, 1)),
        "key": np.zeros((2, 1)),
        "place": np.zeros((1, 3)),
        "kernel": np.eye(2),
        "bias": np.zeros(2),
        "hidden": np.zeros((2, 1)),
        "hidden_bias": np.zeros(1),
        "out": np.zeros((1, 2)),
    }
    return {name: np.asarray(array, np.float32) for name, array in (weights | arrays).items()}


SOURCES = np.array([[[4, 1], [2, 3], [0, 0]]], np.float32)
ALL = np.array([[[1, 1], [1, 1], [0, 0]]], np.float32)
WEIGHTS = np.array([[1, 1, 0]], np.float32)


def attended(given, masks=ALL, weights=WEIGHTS, xp=np):
    return np.asarray(attend(given, SOURCES, masks, weights, widths=[1, 1], xp=xp))


def test_with_queries_of_0_likes_are_averaged():
    np.testing.assert_allclose(attended(weights_of()), [[3, 2]])
    np.testing.assert_allclose(attended(weights_of(), weights=np.array([[3, 1, 0]], np.float32)), [[3.5, 1.5]])


def test_a_like_without_a_source_is_left_out_of_its_mean():
    masks = np.array([[[1, 0], [1, 1], [0, 0]]], np.float32)
    sources = SOURCES * masks
    found = attend(weights_of(), sources, masks, WEIGHTS, widths=[1, 1], xp=np)
    np.testing.assert_allclose(found, [[3, 3]])


def test_attention_by_hand():
    """Query 4 from the latest like; keys 1 and 3 from the second source; places ln 2 and 0: logits 4 + ln 2 and 12."""
    given = weights_of(query=[[1], [0]], key=[[0], [1]], place=[[np.log(2), 0, 0]])
    first = 2 * np.exp(-8) / (1 + 2 * np.exp(-8))
    np.testing.assert_allclose(attended(given), [[2 + 2 * first, 3 - 2 * first]], rtol=1e-5)


def test_the_hidden_layer_by_hand():
    """Readings 3 and 2: hidden max(0, 3 - 1) = 2 adds (2, -2) to the linear part; with the sign turned, nothing."""
    given = weights_of(hidden=[[1], [0]], hidden_bias=[-1], out=[[1, -1]], bias=[10, 0])
    np.testing.assert_allclose(attended(given), [[15, 0]])
    np.testing.assert_allclose(attended(given | {"hidden": -given["hidden"]}), [[13, 2]])


def test_keras_reads_what_numpy_reads():
    import keras

    random = np.random.default_rng(0)
    given = weights_of(**{name: random.normal(size=array.shape) for name, array in weights_of().items()})
    np.testing.assert_allclose(attended(given, xp=keras.ops), attended(given), rtol=1e-5)


def test_a_user_without_a_like_is_the_bias():
    nothing = np.zeros((1, 3), np.float32)
    given = weights_of(bias=[5, 6])
    found = attend(
        given, np.zeros((1, 3, 2), np.float32), np.zeros((1, 3, 2), np.float32), nothing, widths=[1, 1], xp=np
    )
    np.testing.assert_allclose(found, [[5, 6]])


def test_sequences_hold_the_latest_likes_first():
    likes = history_of([(0, 7, 1), (0, 5, 3, 0.5), (0, 6, 2), (2, 1, 1)], users=3)
    found = recent_likes(likes, 2, users=np.array([2, 0, 1]))
    assert found.items.tolist() == [[1, 0], [5, 6], [0, 0]]
    assert found.weights.tolist() == [[1, 0], [0.5, 1], [0, 0]]


def test_only_the_last_likes_count_and_their_order_does():
    catalog, history = tastes(users=20, items=24, likes=6)
    model = create("sequence", {"length": 2, "rank": 4})
    model.fit(catalog, history, seed=1, tuned=FitLog())
    vectors = [
        model.user_vectors(catalog, history_of([(0, item, time) for time, item in enumerate(items)]))
        for items in ([1, 2, 3], [9, 2, 3], [1, 3, 2])
    ]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert np.abs(vectors[0] - vectors[2]).max() > 1e-3


def test_it_learns_what_follows_what():
    """Who liked item k likes item k + 1 next, whatever they liked before: order is all there is to learn."""
    random = np.random.default_rng(0)
    catalog, _ = tastes(items=12)
    empty = {m: np.zeros(12, bool) for m in catalog.masks}
    catalog = replace(catalog, masks=empty, vectors={m: v * 0 for m, v in catalog.vectors.items()})
    rows = []
    for user in range(150):
        start = int(random.integers(12))
        rows += [(user, (start + step) % 12, step) for step in range(7)]
    history = history_of(rows, users=150)
    parameters = {"learning_rate": 0.02, "steps_per_epoch": [20, 20], "rank": 12, "ridge": 10.0, "length": 4}
    model = create("sequence", parameters)
    model.fit(catalog, history, seed=1, tuned=FitLog(best_epoch=10))
    asked = history_of([(item, (item - back) % 12, 9 - back) for item in range(12) for back in range(3)], users=12)
    scores = model.user_vectors(catalog, asked) @ model.item_vectors(catalog).T
    scores[asked.user, asked.item] = -np.inf
    following = (np.arange(12) + 1) % 12
    assert np.mean(scores.argmax(axis=1) == following) > 0.8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"length": 0}, "length 0"), ({"item_dropout": 1.0}, "item_dropout 1.0"), ({"decay": -1.0}, "decay -1.0")],
)
def test_what_cannot_be_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        create("sequence", parameters)
