import numpy as np
import pytest
import scipy.sparse as sp

from fusion.baselines.content import ContentNeighbours, TermNeighbours
from fusion.baselines.factors import IALS
from fusion.baselines.history import EASE, ItemKNN, Popularity
from fusion.baselines.registry import BASELINES
from tests.fusion.worlds import catalog_of, history_of, tastes

ROWS = [(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (2, 0, 1), (2, 2, 2), (2, 1, 3, 0.0)]
PERSONAL = [name for name in BASELINES if name not in ("popularity", "audio_neighbours", "video_neighbours")]


def test_popularity_counts_likes_alone():
    history = history_of(ROWS)
    scores = Popularity().fit(history, 4).scores(history, np.array([2, 0]))
    assert scores.tolist() == [[3, 2, 1, 0]] * 2


def test_item_knn_by_hand():
    """Co-likes: 0-1 twice, 0-2 once. Lengths: sqrt 3, sqrt 2, 1."""
    history = history_of(ROWS)
    scores = ItemKNN(neighbours=5, shrink=1).fit(history, 4).scores(history, np.array([2]))
    near01, near02 = 2 / (np.sqrt(6) + 1), 1 / (np.sqrt(3) + 1)
    np.testing.assert_allclose(scores, [[near02, near01, near02, 0]], rtol=1e-6)


def test_item_knn_keeps_only_the_nearest():
    """Item 0 keeps only item 1, which user 2 does not like; items 1 and 2 keep item 0, which user 2 does."""
    history = history_of(ROWS)
    scores = ItemKNN(neighbours=1, shrink=0).fit(history, 4).scores(history, np.array([2]))
    np.testing.assert_allclose(scores, [[0, 2 / np.sqrt(6), 1 / np.sqrt(3), 0]], rtol=1e-6)


def test_ease_by_hand():
    """X'X + I = [[4, 2, 1], [2, 3, 0], [1, 0, 2]] has determinant 13 and inverse
    [[6, -4, -3], [-4, 7, 2], [-3, 2, 8]] / 13; each column of B is the inverse's over its diagonal, negative."""
    history = history_of(ROWS)
    scores = EASE(ridge=1).fit(history, 4).scores(history, np.array([0, 1, 2]))
    b = np.array([[0, 4 / 7, 3 / 8], [4 / 6, 0, -2 / 8], [3 / 6, -2 / 7, 0]])
    likes = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]])
    np.testing.assert_allclose(scores[:, :3], likes @ b, rtol=1e-6)
    assert not scores[:, 3].any()


def test_beyond_its_limit_ease_knows_the_most_liked_alone():
    """Items 0 and 1: [[4, 2], [2, 3]] inverted is [[3, -2], [-2, 4]] / 8."""
    history = history_of(ROWS)
    scores = EASE(ridge=1, max_items=2).fit(history, 4).scores(history, np.array([0, 2]))
    np.testing.assert_allclose(scores, [[2 / 3, 2 / 4, 0, 0], [0, 2 / 4, 0, 0]], rtol=1e-6)


def test_content_neighbours_by_hand():
    """Around their mean the items point to 45, 0, 180 and 225 degrees; the last is liked by nobody, so it is nobody's
    neighbour, and its own nearest liked one is the third."""
    angles = np.radians([45, 0, 180, 225])
    text = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 5
    text -= text.mean(axis=0) - 5
    catalog = catalog_of(text, masks={"text": [True] * 4})
    history = history_of([(0, 0, 1), (0, 2, 2), (1, 1, 1)], users=2)
    scores = ContentNeighbours("text", neighbours=2, sharpness=1).fit(history, 4, catalog=catalog)
    found = scores.scores(history, np.array([0, 1]))
    centred = text - text.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = np.maximum(unit @ unit.T, 0) * (np.arange(4) != 3)
    np.fill_diagonal(cosines, 0)
    shares = cosines / np.maximum(cosines.sum(axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(found, [shares[:, 0] + shares[:, 2], shares[:, 1]], atol=1e-6)
    assert found[0, 3] == pytest.approx(1)


def test_an_item_without_the_modality_has_no_content_neighbours():
    catalog = catalog_of([[1, 0], [1, 1], [0, 1]], masks={"text": [True, True, False]})
    history = history_of([(0, 0, 1), (0, 1, 1), (0, 2, 1)])
    assert not ContentNeighbours("text").fit(history, 3, catalog=catalog).scores(history, np.array([0]))[0, 2]


def test_term_neighbours_by_hand():
    """Texts "a a b", "b", "c": with sublinear tf and smoothed idf, a of the first weighs (1 + ln 2)(1 + ln 2), b
    (1 + ln 4/3), so their cosine is b / sqrt(a² + b²); the third shares nothing."""
    terms = sp.csr_matrix(np.array([[2, 1, 0], [0, 1, 0], [0, 0, 1]]))
    history = history_of([(0, 0, 1), (1, 1, 1), (1, 2, 1)])
    baseline = TermNeighbours(neighbours=1).fit(history, 3, terms=terms)
    np.testing.assert_allclose(baseline.scores(history, np.array([0, 1])), [[0, 1, 0], [1, 0, 0]], rtol=1e-6)
    a, b = (1 + np.log(2)) * (1 + np.log(4 / 2)), 1 + np.log(4 / 3)
    sharp = TermNeighbours(neighbours=2, sharpness=1)
    terms = sp.csr_matrix(np.array([[2, 1, 0], [0, 1, 0], [1, 0, 0]]))
    a = (1 + np.log(2)) * (1 + np.log(4 / 3))
    sharp.fit(history, 3, terms=terms)
    near1, near2 = b / np.hypot(a, b), a / np.hypot(a, b)
    expected = near1 / (near1 + near2), near2 / (near1 + near2)
    shares = [sharp.scores(history_of([(0, item, 1)]), np.array([0]))[0, 0] for item in (1, 2)]
    np.testing.assert_allclose(shares, expected, rtol=1e-6)


def test_ials_solves_users_anew():
    """A user not fitted with, who likes what another likes, gets the same scores."""
    catalog, history = tastes(users=24, items=20, likes=4)
    baseline = IALS(factors=4, ridge=1).fit(history, len(catalog))
    first = history.where(history.user == 0)
    stranger = history_of([(0, int(item), n) for n, item in enumerate(first.item)])
    known = baseline.scores(history, np.array([0]))
    np.testing.assert_allclose(baseline.scores(stranger, np.array([0])), known, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_two_fits_give_the_same_bits(name):
    catalog, history = tastes(users=24, items=20, likes=4)
    terms = sp.csr_matrix(np.abs(catalog.vectors["text"]).round())
    one, two = (
        BASELINES[name]().fit(history, 20, catalog=catalog, terms=terms).scores(history, np.arange(24))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    assert one.shape == (24, 20) and one.dtype == np.float32


@pytest.mark.parametrize("name", PERSONAL)
def test_planted_tastes_are_found(name):
    """Users like items of one group of four only."""
    catalog, history = tastes(users=60, items=40, likes=6)
    terms = sp.csr_matrix(np.maximum(catalog.vectors["text"], 0).round())
    baseline = BASELINES[name]()
    scores = baseline.fit(history, 40, catalog=catalog, terms=terms).scores(history, np.arange(60))
    scores[history.user, history.item] = -np.inf
    best = scores.argmax(axis=1)
    assert np.mean(best % 4 == np.arange(60) % 4) > 0.8


@pytest.mark.parametrize("name", BASELINES)
def test_no_history(name):
    history, catalog = history_of([], users=2), catalog_of([[1.0, 0], [0, 1], [1, 1]])
    terms = sp.csr_matrix((3, 2), dtype=np.float32)
    baseline = BASELINES[name]().fit(history, 3, catalog=catalog, terms=terms)
    assert not baseline.scores(history, np.array([0, 1])).any()


@pytest.mark.parametrize(("name", "says"), [("text_neighbours", "without a catalog"), ("tfidf_neighbours", "none")])
def test_content_must_be_given(name, says):
    with pytest.raises(ValueError, match=says):
        BASELINES[name]().fit(history_of(ROWS), 4)
