import numpy as np
import pytest
import scipy.sparse as sp

from fusion.models.base import BLOCKS
from fusion.models.graph.learner import LikeGraph, _gradients, _one_each, like_weights
from fusion.models.registry import create
from fusion.training.config import FitLog
from tests.fusion.worlds import catalog_of, history_of, tastes

HALF = np.sqrt(0.5)
LIKES = sp.csr_matrix(np.array([[1, 1, 0], [0, 1, 0]], np.float32))
"""User 0 likes items 0 and 1, user 1 likes item 1; nobody likes item 2."""


def test_edges_by_hand():
    """1 / sqrt(likes of the user * likes of the item): user 0 has two, item 1 has two."""
    edges = LikeGraph.of(LIKES, layers=1).edges.toarray()
    np.testing.assert_allclose(edges, [[HALF, 1 / 2, 0], [0, HALF, 0]], rtol=1e-6)


def test_two_layers_by_hand():
    """e⁰ = (2, 4, 6). u⁰ = A e⁰ = (√2 + 2, 2√2); e¹ = A'u⁰ = (1 + √2, √2/2 + 1 + 2, 0); u¹ = A e⁰ = u⁰, so e² = e¹, and
    u² = A e¹. Means over the three steps."""
    embeddings = np.array([[2], [4], [6]], np.float32)
    graph = LikeGraph.of(LIKES, layers=2)
    first = np.array([1 + np.sqrt(2), 3 + HALF, 0])
    items = (embeddings[:, 0] + 2 * first) / 3
    np.testing.assert_allclose(graph.item_embeddings(embeddings)[:, 0], items, rtol=1e-6)
    np.testing.assert_allclose(items, [2.276142, 3.804738, 2], rtol=1e-6)
    edges = graph.edges.toarray()
    u0 = np.array([np.sqrt(2) + 2, 2 * np.sqrt(2)])
    np.testing.assert_allclose(edges @ embeddings[:, 0], u0, rtol=1e-6)
    np.testing.assert_allclose(edges @ graph.messages(embeddings)[:, 0], (2 * u0 + edges @ first) / 3, rtol=1e-6)


def test_one_layer_and_none_by_hand():
    embeddings = np.array([[2], [4], [6]], np.float32)
    graph = LikeGraph.of(LIKES, layers=1)
    np.testing.assert_allclose(
        graph.item_embeddings(embeddings)[:, 0], [(3 + np.sqrt(2)) / 2, (7 + HALF) / 2, 3], rtol=1e-6
    )
    np.testing.assert_allclose(graph.messages(embeddings), embeddings)
    alone = LikeGraph.of(LIKES, layers=0)
    np.testing.assert_allclose(alone.item_embeddings(embeddings), embeddings)
    np.testing.assert_allclose(alone.messages(embeddings), embeddings)


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_the_graph_carries_gradients_back(layers):
    """Both maps are their own adjoints: x · (P y) = (P x) · y."""
    random = np.random.default_rng(layers)
    graph = LikeGraph.of(sp.csr_matrix((random.random((7, 5)) < 0.5).astype(np.float32)), layers=layers)
    x, y = random.normal(size=(2, 5, 1)).astype(np.float32)
    for through in (graph.item_embeddings, graph.messages):
        np.testing.assert_allclose((x * through(y)).sum(), (through(x) * y).sum(), rtol=1e-4)


def test_like_weights_by_hand():
    """Weights 1 and e⁻¹ for the latest and the like before, times the items' scale, summing to 1."""
    likes = history_of([(0, 0, 1), (0, 1, 2)], users=2)
    found = like_weights(likes, np.array([1, 0.5], np.float32), decay=1.0).toarray()
    older, latest = np.exp(-1), 0.5
    np.testing.assert_allclose(found, [[older / (older + latest), latest / (older + latest)], [0, 0]], rtol=1e-6)


def test_the_ranking_loss_by_hand():
    """One user (1), next like 2, drawn 0 and 2: differences 2 and 0, so the loss is the mean of ln(1 + e⁻²) and ln 2,
    and the gradient of the next like is minus the mean of σ(-2) and 1/2."""
    import tensorflow as tf

    loss, users, items = _gradients(tf.constant([[1.0]]), tf.constant([[2.0], [0.0], [2.0]]))
    sigma = 1 / (1 + np.exp(2))
    np.testing.assert_allclose(float(loss), (np.log1p(np.exp(-2)) + np.log(2)) / 2, rtol=1e-6)
    np.testing.assert_allclose(items.numpy()[:, 0], [-(sigma + 0.5) / 2, sigma / 2, 0.25], rtol=1e-6)
    np.testing.assert_allclose(users.numpy(), [[-2 * sigma / 2]], rtol=1e-6)


def test_next_likes_are_drawn_by_their_shares():
    targets = sp.csr_matrix(np.array([[0, 0.25, 0.75], [1, 0, 0], [0, 0.5, 0.5]], np.float32))
    random = np.random.default_rng(0)
    drawn = np.stack([_one_each(targets, random) for _ in range(2000)])
    assert set(drawn[:, 1]) == {0}
    assert set(drawn[:, 0]) == set(drawn[:, 2]) == {1, 2}
    assert np.mean(drawn[:, 0] == 2) == pytest.approx(0.75, abs=0.03)
    assert np.mean(drawn[:, 2] == 2) == pytest.approx(0.5, abs=0.04)


def test_training_ranks_better_than_the_start():
    catalog, history = tastes(seed=4)
    model = create("graph", {"rank": 2, "epochs": 6, "steps_per_epoch": [10, 10], "negatives": 32})
    losses = []
    for epochs in (0, 6):
        model.fit(catalog, history, seed=1, tuned=FitLog(best_epoch=epochs))
        users, items = model.user_vectors(catalog, history), model.item_vectors(catalog)
        scores = users @ items.T
        liked = scores[history.user, history.item]
        losses.append(np.mean(np.log1p(np.exp(scores[history.user].mean(axis=1) - liked))))
    assert losses[1] < losses[0]


def test_a_new_item_is_the_mean_of_its_neighbours_by_cosine():
    """Items 0 and 1 are known; the third has the text of item 0 twice over, the last no text."""
    catalog = catalog_of([[1.0, 0], [0, 1], [2, 0], [0, 0]], masks={"text": [True, True, True, False]})
    history = history_of([(0, 0, 1), (0, 1, 2), (1, 0, 1)])
    model = create("graph", {"neighbours": 1})
    model.fit(catalog, history, seed=1, tuned=FitLog())
    vectors, blocks = model.item_vectors(catalog), model.blocks
    assert not vectors[2:, blocks["history"]].any() and not vectors[3].any()
    np.testing.assert_allclose(vectors[2, blocks["text"]], vectors[0, blocks["history"]], rtol=1e-6)


def test_weights_chosen_are_kept():
    catalog, history = tastes(users=20, items=24, likes=5)
    model = create("graph", {"rank": 4})
    log = model.fit(catalog, history, seed=1, tuned=FitLog(choices={"text": 0.0, "image": 2.0}))
    assert set(log.choices) == set(BLOCKS) and (log.choices["text"], log.choices["image"]) == (0.0, 2.0)
    users, blocks = model.user_vectors(catalog, history), model.blocks
    assert not users[:, blocks["text"]].any()
    np.testing.assert_allclose(users[:, blocks["image"]], 2 * users[:, blocks["history"]], rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"layers": -1}, "layers -1"), ({"neighbours": 0}, "neighbours 0"), ({"decay": 0.0}, "decay 0.0")],
)
def test_what_cannot_be_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        create("graph", parameters)
