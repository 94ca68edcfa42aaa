"""The closed-form scorers against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fusion.data.catalog import like_matrix
from fusion.data.history_features import principal_axes
from fusion.models import registry
from fusion.models.closed_form import hyperparameters
from fusion.models.closed_form.content_ridge import ContentRidge
from fusion.models.closed_form.scorers import BINS, RecentPopularity
from fusion.models.ridge import covariance, with_unit_variance
from fusion.models.stack.item_transitions import ItemTransitions, moments, past_and_future
from fusion.models.stack.kernel_features import KernelFeatures, TfIdf
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from tests.fusion.worlds import catalog_of, history_of, tastes

CORNERS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
"""Standardised already; cosines of the first with all: 1, 0, 0, -1."""
SEQUENCE = history_of([(0, 0, 1), (0, 1, 2), (0, 2, 3)])


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


def test_the_past_fades_backwards_and_the_future_forwards():
    ordered, after, first = moments(SEQUENCE, seed=0)
    ((past, future),) = past_and_future(ordered, after, first, n_items=3, decay=1.0, horizon=2.0)
    e = np.exp
    np.testing.assert_allclose(past.toarray(), [[1, 0, 0], [e(-1), 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(future.toarray(), [[0, 1, e(-0.5)], [0, 0, 1]], rtol=1e-6)


def test_moments_stay_within_a_user():
    two = history_of([(0, 0, 1), (0, 1, 2), (1, 2, 1), (1, 0, 5), (2, 1, 1)])
    ordered, after, first = moments(two, seed=0)
    assert after.tolist() == [1, 3] and first.tolist() == [0, 2]
    ((past, _),) = past_and_future(ordered, after, first, n_items=3, decay=1.0, horizon=1.0)
    assert past.toarray().tolist() == [[1, 0, 0], [0, 0, 1]]


def test_transitions_are_the_ridge_regression_of_the_future_on_the_past():
    """One moment, item 0 before item 1, axes as they are: W = 1 / (1 + ridge) at (0, 1)."""
    two = history_of([(0, 0, 1), (0, 1, 2)])
    following = ItemTransitions(two, np.eye(2), decay=10.0, horizon=3.0, seed=0).solve(3.0)
    np.testing.assert_allclose(following, [[0, 0], [0.25, 0]], atol=1e-7)


@given(st.permutations(range(6)))
def test_transitions_do_not_depend_on_the_order_of_rows(order):
    _, history = tastes(users=3, items=8, likes=4)
    axes = np.eye(8)
    expected = ItemTransitions(history, axes, decay=5.0, horizon=2.0, seed=0).solve(1.0)
    assert expected.any()
    found = ItemTransitions(history.where(np.array(order)), axes, decay=5.0, horizon=2.0, seed=0).solve(1.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_recent_popularity_counts_likes_by_time_and_fades_with_distance():
    """Likes at 0 and 6399 over bins of 100: a moment in the first bin's middle sees the last one 63 bins away."""
    rows = history_of([(0, 0, 0), (1, 0, 10), (0, 1, 6399)])
    popularity = RecentPopularity.fit(rows, n_items=3)
    assert (popularity.start, popularity.width) == (0, 100)
    assert popularity.counts.shape == (3, BINS)
    assert popularity.counts[0, 0] == 2 and popularity.counts[1, 63] == 1 and popularity.counts.sum() == 3
    found = popularity.at(np.array([50, 6350])) @ popularity.counts.T
    far = np.exp(-63 / 8)
    np.testing.assert_allclose(found, [[2, far, 0], [2 * far, 1, 0]], rtol=1e-5)


def test_later_than_the_last_bin_is_as_its_end():
    popularity = RecentPopularity.fit(history_of([(0, 0, 0), (0, 1, 6399)]), n_items=2)
    np.testing.assert_array_equal(popularity.at(np.array([6400, 10**9]))[0], popularity.at(np.array([10**9]))[0])


def test_content_ridge_is_the_regression_of_likes_on_features():
    """One feature, items 1 and 2, both liked by someone: Φ'Φ = 5; gain 2 and ridge 10 give K = 2 / (2 * 5 + 10)."""
    features, likes = np.array([[1.0], [2.0]], np.float32), sp.csr_matrix(np.eye(2, dtype=np.float32))
    content = ContentRidge.fit(features, likes, *principal_axes(likes, rank=2, seed=0), smoothing=0.0)
    np.testing.assert_allclose(content.sources, [[1], [2]])
    np.testing.assert_allclose(content.kernel(np.array([2.0]), ridge=10.0), [[0.1]], rtol=1e-6)


def test_smoothing_adds_what_the_autoencoder_expects():
    """Two users like both items: V = (1, 1)/√2, s² = 4, so each source gains 4/104 of the mean of both."""
    features, likes = np.array([[1.0], [3.0]], np.float32), sp.csr_matrix(np.ones((2, 2), np.float32))
    content = ContentRidge.fit(features, likes, *principal_axes(likes, rank=2, seed=0), smoothing=1.0)
    np.testing.assert_allclose(content.sources, [[1 + 2 * 4 / 104], [3 + 2 * 4 / 104]], rtol=1e-5)


def test_items_that_nobody_likes_teach_nothing():
    features, likes = np.array([[1.0], [5.0]], np.float32), sp.csr_matrix(np.array([[1, 0]], np.float32))
    content = ContentRidge.fit(features, likes, *principal_axes(likes, rank=1, seed=0), smoothing=0.0)
    assert content.sources.tolist() == [[1], [0]] and content.gram.tolist() == [[1]]


def test_users_are_brought_to_unit_variance():
    items = np.array([[1.0, 0], [3, 0], [1, 4], [3, 4]], np.float32)
    users = np.array([[2.0, 0], [0, 1], [0, 0]], np.float32)
    scaled = with_unit_variance(users, covariance(items))
    np.testing.assert_allclose(scaled, [[1, 0], [0, 0.5], [0, 0]])
    np.testing.assert_allclose((scaled @ items.T).std(axis=1), [1, 1, 0], atol=1e-6)


@pytest.mark.parametrize("informative", ["text", "image"])
def test_hiding_items_finds_the_informative_modality(informative):
    """One modality has the groups, the other is noise: the gain of noise does not rise, nor does the other's fall."""
    _, history = tastes(users=60, items=120, likes=12, groups=4, seed=3)
    random, mask = np.random.default_rng(0), np.ones(120, bool)
    signal = (np.eye(4)[np.arange(120) % 4] + random.normal(size=(120, 4)) * 0.2).astype(np.float32)
    noise = random.normal(size=(120, 24)).astype(np.float32)
    parts = [
        KernelFeatures.fit(vectors, degree=1, dims=24, terms_gain=0, seed=0)(vectors, mask)
        for vectors in ((signal, noise) if informative == "text" else (noise, signal))
    ]
    widths = {"text": parts[0].shape[1], "image": parts[1].shape[1], "audio": 0, "video": 0}
    likes = like_matrix(history, 120)
    chosen = hyperparameters.choose_content_ridge(np.hstack(parts), likes, widths=widths, smoothing=1.0, seed=1)
    assert chosen["gain_text"] == 1.0 and chosen["gain_audio"] == hyperparameters.DEFAULTS["gain_audio"]
    if informative == "text":
        assert chosen["gain_image"] <= hyperparameters.DEFAULTS["gain_image"]
    else:
        assert chosen["gain_image"] >= hyperparameters.DEFAULTS["gain_image"]


def test_too_few_users_choose_nothing():
    catalog, history = tastes(users=10)
    likes = like_matrix(history, len(catalog))
    widths = {"text": 4, "image": 0, "audio": 0, "video": 0}
    chosen = hyperparameters.choose_content_ridge(catalog.vectors["text"], likes, widths=widths, smoothing=1.0, seed=1)
    assert chosen == {name: hyperparameters.DEFAULTS[name] for name in chosen}


def fitted(catalog, history, **tuned):
    model = registry.create("closed_form")
    model.fit(catalog, history, seed=1, tuned=FitLog(choices=hyperparameters.DEFAULTS | tuned))
    return model


def test_what_was_chosen_is_kept_by_a_fit_without_validation():
    catalog, history = tastes()
    holdout = np.arange(len(history)) % 6 == 0
    first, second = registry.create("closed_form"), registry.create("closed_form")
    validation = Holdout(history.where(~holdout), history.where(holdout), n_items=len(catalog), seed=1)
    log = first.fit(catalog, history.where(~holdout), validation, seed=1)
    assert set(log.choices) == set(hyperparameters.DEFAULTS) and len(log.valid_ndcg) == 1
    assert second.fit(catalog, history.where(~holdout), seed=1, tuned=log).choices == log.choices
    np.testing.assert_array_equal(first.item_vectors(catalog), second.item_vectors(catalog))
    np.testing.assert_array_equal(first.user_vectors(catalog, history), second.user_vectors(catalog, history))


def test_a_user_without_a_like_is_scored_by_the_trend_and_the_mean_content():
    catalog, history = tastes(users=40)
    stranger = replace(history, user_ids=np.append(history.user_ids, "u9999"))
    model = fitted(catalog, history, trend=0.0, content=0.5)
    vector = model.user_vectors(catalog, stranger)[-1]
    rank = model.neighbour_blocks["history"].stop
    assert not vector[:rank].any()
    items = model.item_vectors(catalog)
    trend = items[:, rank : model.blocks["history"].stop] @ vector[rank : model.blocks["history"].stop]
    content = items[:, model.blocks["history"].stop :] @ vector[model.blocks["history"].stop :]
    np.testing.assert_allclose([trend.std(), content.std()], [1, 0.5], rtol=1e-3)


def test_own_moment_looks_at_the_users_last_like():
    """An item that was liked long ago is the trend for a user whose last like is as old, and not for the others."""
    rows = [(u, 0, 100 + u) for u in range(5)] + [(u, 1, 10**6 + u) for u in range(5, 10)]
    history = history_of(rows)
    catalog = catalog_of(np.eye(2))
    for own, best in ((1.0, 0), (0.0, 1)):
        model = fitted(catalog, history, trend=1000.0, own_moment=own, content=0.0)
        scores = model.user_vectors(catalog, history) @ model.item_vectors(catalog).T
        assert scores[0].argmax() == best
        assert scores[9].argmax() == 1


def test_a_later_history_needs_no_new_fit():
    """User vectors follow from the history given: a like more moves them, and who was unknown gets one."""
    catalog, history = tastes(users=40)
    model = fitted(catalog, history)
    one = history.where(history.user == 0)
    less = one.where(np.arange(len(one)) < 3)
    more = model.user_vectors(catalog, one)[0]
    assert np.abs(model.user_vectors(catalog, less)[0] - more).max() > 1e-3


@pytest.mark.parametrize(("wrong", "message"), [({"rank": 0}, "rank 0"), ({"terms_gain": -1}, "terms_gain -1")])
def test_wrong_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=f"{message}: expected"):
        registry.create("closed_form", wrong)


def test_a_trial_must_be_clearly_better_than_the_first():
    """All of 40 users gain by the third trial; by the second one gains, and another loses a third as much."""
    history = history_of([(u, i, i) for u in range(40) for i in range(3)])
    train, valid = history.where(history.item < 1), history.where(history.item == 2)
    trials = [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}]

    def scores(rows):
        who = np.arange(40)[rows]
        right = {1.0: who * 0, 2.0: 1.0 * (who == 0) - (who == 1), 3.0: who * 0 + 1}
        others = [who * 0, who * 0 + 0.5, who * 0 - 0.5]
        return lambda trial: np.stack([*others[:2], right[trial["a"]], others[2]], axis=1).astype(np.float32)

    holdout = Holdout(train, valid, n_items=4, seed=0)
    assert hyperparameters.choose_best(holdout, trials, scores) == ({"a": 3.0}, 1.0)
    chosen, reached = hyperparameters.choose_best(holdout, trials[:2], scores)
    assert chosen == {"a": 1.0} and reached == pytest.approx(1 / np.log2(3))
    few = Holdout(train, valid.where(valid.user < 3), n_items=4, seed=0)
    chosen, reached = hyperparameters.choose_best(few, trials, scores)
    assert chosen == {"a": 1.0} and np.isnan(reached)
