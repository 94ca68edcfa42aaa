"""The stack: its scorers, its questions and its weights against numbers worked out by hand and plain computations."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fusion.baselines.history import EASE
from fusion.data.attributes import attribute_rows
from fusion.data.catalog import Catalog, like_matrix
from fusion.data.matrix_factors import principal_axes
from fusion.data.splits import split
from fusion.evaluation.evaluate import evaluate
from fusion.models import registry
from fusion.models.scorer import scorer
from fusion.models.stack.content import RIDGE, SMOOTHING, SMOOTHING_RIDGE, ContentScorers
from fusion.models.stack.history import AUTOENCODER_RIDGE, HistoryScorers
from fusion.models.stack.model import SCORERS, Stack
from fusion.models.stack.questions import Rankings, item_folds, joined, newcomers, newest_likes, rankings
from fusion.models.stack.scores import Part
from fusion.models.stack.weights import PRIOR, PRIOR_USERS, fit_weights
from schemas.table import MODALITIES
from tests.fusion.worlds import catalog_of, contributions, history_of, tastes

WIDTHS = {"text": 1, "image": 0, "audio": 0, "video": 0, "attributes": 0}


def random_history(users, items, *, share=0.2, seed=0):
    """Likes drawn independently, at as many different times."""
    random = np.random.default_rng(seed)
    pairs = np.argwhere(random.random((users, items)) < share)
    times = random.permutation(len(pairs))
    return history_of([(u, i, t) for (u, i), t in zip(pairs.tolist(), times.tolist(), strict=True)], users=users)


def parts_of(scorers, likes, users, **others):
    return {part.scorer: part for part in scorers.parts(likes, users, **others)}


def scores_of(part, items):
    return part.users @ items[:, part.columns].T


# Scorers


@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
def test_with_all_axes_the_autoencoder_is_ease_on_items_that_a_user_has_not_had(shape):
    """Up to one factor a user, which brings the scores to unit spread."""
    users, items = shape
    history = random_history(users, items)
    matrix = like_matrix(history, items)
    assert (matrix.sum(axis=0) > 0).all()
    scorers = HistoryScorers.fit(history, matrix, seed=0)
    ours = scores_of(parts_of(scorers, history, np.arange(users))["autoencoder"], scorers.items)
    ease = EASE(ridge=AUTOENCODER_RIDGE).fit(history, items).scores(history, np.arange(users))
    unseen = matrix.toarray() == 0
    for own, expected, where in zip(ours, ease, unseen, strict=True):
        if not expected[where].any():
            continue
        factor = (own[where] @ expected[where]) / (expected[where] @ expected[where])
        assert factor > 0
        np.testing.assert_allclose(own[where], factor * expected[where], rtol=1e-4, atol=1e-4 * own.std())


def test_every_scorer_has_unit_spread_for_every_user():
    history = random_history(12, 20, share=0.5)
    scorers = HistoryScorers.fit(history, like_matrix(history, 20), seed=0)
    assert len(scorers.items) == 20
    for name, part in parts_of(scorers, history, np.arange(12)).items():
        np.testing.assert_allclose(scores_of(part, scorers.items).std(axis=1), 1, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("shape", [(9, 30), (30, 9)])
def test_principal_axes_are_the_right_singular_vectors(shape):
    matrix = np.random.default_rng(1).random(shape) * (np.random.default_rng(2).random(shape) < 0.6)
    axes, values = principal_axes(sp.csr_matrix(matrix), rank=6, seed=0)
    _, expected, right = np.linalg.svd(matrix)
    np.testing.assert_allclose(values, expected[:6], rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(axes * right[:6].T, axis=0)), 1, rtol=1e-8)
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(6)] > 0).all()


@pytest.mark.parametrize("shape", [(4, 7), (7, 4)])
def test_directions_that_the_likes_do_not_have_are_no_axes(shape):
    """All rows are alike: one direction, of the value √(entries)."""
    axes, values = principal_axes(sp.csr_matrix(np.ones(shape)), rank=4, seed=0)
    np.testing.assert_allclose(values, [np.sqrt(28)])
    np.testing.assert_allclose(axes, np.full((shape[1], 1), 1 / np.sqrt(shape[1])))


def test_content_regresses_likes_on_features_and_on_what_history_expects():
    """Two users like both items, with the features 1 and 3: V = (1, 1)/√2 and s² = 4, so a source gains
    4 / (4 + ridge) of the mean, 2. All scores are proportional to φ, and of unit spread over the catalog."""
    features, likes = np.array([[1.0], [3.0], [5.0]], np.float32), np.array([[1, 1, 0], [1, 1, 0]], np.float32)
    content = ContentScorers.fit(features, sp.csr_matrix(likes), widths=WIDTHS, seed=0)
    gain = SMOOTHING * 2 * 4 / (4 + SMOOTHING_RIDGE)
    np.testing.assert_allclose(content.sources, [[1 + gain], [3 + gain]], rtol=1e-5)
    np.testing.assert_allclose(content.kernel, [[1 / (10 + RIDGE)]], rtol=1e-6)
    history = history_of([(u, i, i) for u in range(2) for i in range(2)])
    found = parts_of(content, history, np.arange(2), first=5)
    assert set(found) == {"content_ridge", "content_ridge_recent", "text_ridge", "text_neighbours"}
    for part in found.values():
        assert part.columns == slice(5, 6)
        np.testing.assert_allclose(part.users @ features.T, np.tile([1, 3, 5], (2, 1)) / np.std([1, 3, 5]), rtol=1e-5)


def test_items_that_nobody_likes_teach_content_nothing():
    features, likes = np.array([[1.0], [5.0]], np.float32), sp.csr_matrix(np.array([[1, 0]], np.float32))
    content = ContentScorers.fit(features, likes, widths=WIDTHS, seed=0)
    assert content.own.tolist() == [[1]]
    np.testing.assert_allclose(content.kernel, [[1 / (1 + RIDGE)]], rtol=1e-6)


def test_the_trend_is_of_the_users_last_like():
    """Item 0 was liked long ago and item 1 of late: who stopped then sees 0 first by trend, and a stranger 1."""
    history = history_of([(u, 0, 100 + u) for u in range(5)] + [(u, 1, 10**6 + u) for u in range(5, 10)], users=11)
    scorers = HistoryScorers.fit(history, like_matrix(history, 2), seed=0)
    best = scores_of(parts_of(scorers, history, np.arange(11))["trend"], scorers.items).argmax(axis=1)
    assert best.tolist() == [0] * 5 + [1] * 6


# Questions


def test_the_newest_likes_are_a_share_of_each_users_at_least_one():
    """User 0 has 14 likes, of which 15 % are 2.1, user 1 three and user 2 two, too few."""
    history = history_of([(0, i, 100 - i) for i in range(14)] + [(1, i, i) for i in range(3)] + [(2, 0, 1), (2, 1, 2)])
    held = newest_likes(history)
    found = sorted(zip(history.user[held].tolist(), history.item[held].tolist(), strict=True))
    assert found == [(0, 0), (0, 1), (1, 2)]


def test_among_likes_of_one_time_the_number_of_an_item_does_not_decide():
    """200 users like the same 20 items at one time; of each, three are held out, all of them about as often."""
    history = history_of([(u, i, 7) for u in range(200) for i in range(20)])
    held = np.bincount(history.item[newest_likes(history)], minlength=20)
    assert held.sum() == 600
    assert held.min() > 10 and held.max() < 60  # 30 expected, with a deviation of 5


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 3)), unique_by=lambda r: r[:2]))
def test_no_like_that_is_held_out_is_older_than_one_that_is_kept(rows):
    history = history_of(rows, users=5)
    held = newest_likes(history)
    for user in range(5):
        own = history.user == user
        n = own.sum()
        assert held[own].sum() == (max(1, int(0.15 * n)) if n >= 3 else 0)
        if held[own].any():
            assert history.timestamp[own & held].min() >= history.timestamp[own & ~held].max()


def test_newcomers_are_the_users_who_came_last():
    """Of ten users the last two to come are new, at 80 and 90: known is what the others did up to 80, to be found are
    the first five likes of each of the two."""
    rows = [(u, 0, 10 * u) for u in range(10)] + [(0, 1, 80), (1, 1, 81)]
    rows += [(8, i, 100 + i) for i in range(1, 7)] + [(9, 2, 100)]
    history = history_of(rows)
    known, first = newcomers(history)
    assert set(zip(history.user[known].tolist(), history.timestamp[known].tolist(), strict=True)) == {
        *((u, 10 * u) for u in range(8)),
        (0, 80),
    }
    found = sorted(zip(history.user[first].tolist(), history.item[first].tolist(), strict=True))
    assert found == [(8, i) for i in range(5)] + [(9, 0), (9, 2)]


def test_among_few_users_nobody_is_a_newcomer():
    known, first = newcomers(history_of([(u, 0, u) for u in range(4)]))
    assert not known.any() and not first.any()


@given(st.sets(st.text("abc123", min_size=1, max_size=6), max_size=30), st.sets(st.integers(0, 99), max_size=10))
def test_an_item_is_in_one_fold_whatever_is_beside_it(ids, others):
    ours = np.array(sorted(ids), np.str_)
    both = np.array(sorted(ids | {f"other {n}" for n in others}), np.str_)
    folds, more = item_folds(ours, seed=1), item_folds(both, seed=1)
    assert ((folds >= 0) & (folds < 5)).all() and len(folds) == len(ours)
    np.testing.assert_array_equal(more[np.isin(both, ours)], folds)


def test_folds_are_of_like_size_also_among_what_a_split_by_cold_items_leaves():
    catalog, history = tastes(items=400, likes=50, users=40)
    parts = split(history, kind="cold_items", test_share=0.2, valid_share=0.1, item_ids=catalog.item_ids, seed=3)
    left = catalog.item_ids[np.unique(parts.train.item)]
    assert np.bincount(item_folds(left, seed=3), minlength=5).min() > len(left) / 10


class Fixed:
    """Two scorers with given scores [U, N], whatever is known."""

    def __init__(self, first, second):
        self.scores = {"first": first, "second": second}

    def parts(self, catalog, likes, users):
        n = len(catalog)
        for place, (name, scores) in enumerate(self.scores.items()):
            yield Part(name, slice(place * n, place * n + n), scores[users])


@pytest.mark.parametrize("restricted", [False, True])
def test_pools_are_what_any_scorer_would_show(restricted, monkeypatch):
    """Against a plain computation: among the candidates that a user has not had, the first three of either scorer."""
    monkeypatch.setattr("fusion.models.stack.questions.POOL", 3)
    monkeypatch.setattr("fusion.models.stack.questions.USERS_AT_ONCE", 4)
    random = np.random.default_rng(0)
    pairs = np.argwhere(random.random((15, 30)) < 0.4)
    history = history_of([(u, i, 1, random.integers(2)) for u, i in pairs.tolist()], users=15)
    is_known = random.random(len(history)) < 0.5
    known, later = history.where(is_known), history.where(~is_known)
    candidates = random.random(30) < 0.6 if restricted else None
    first, second = random.random((2, 15, 30)).astype(np.float32)
    catalog, items = catalog_of(n=30), np.hstack([np.eye(30, dtype=np.float32)] * 2)
    found = rankings(Fixed(first, second), items, catalog, known, later, candidates=candidates, seed=0)

    expected = []
    for user in range(15):
        free = set(range(30)) - set(known.item[known.user == user].tolist())
        if restricted:
            free &= set(np.flatnonzero(candidates).tolist())
        liked = set(later.item[(later.user == user) & (later.weight > 0)].tolist())
        best = [sorted(free, key=lambda i, s=scores[user]: -s[i])[:3] for scores in (first, second)]
        pool = sorted({*best[0], *best[1]})
        if liked & set(pool):
            expected.append((first[user][pool], second[user][pool], [i in liked for i in pool]))
    assert found.scorers == ("first", "second") and len(found) == len(expected) > 3
    for row, (ours, theirs, hits) in enumerate(expected):
        there = found.present[row]
        assert there.sum() == len(hits) and not found.relevant[row][~there].any()
        np.testing.assert_array_equal(found.scores[row][there], np.stack([ours, theirs], axis=1))
        assert found.relevant[row][there].tolist() == hits


def test_of_many_users_some_are_drawn_and_nobody_without_a_later_like():
    likes = history_of([(u, u % 6, 1) for u in range(40)], users=60)
    scores = np.random.default_rng(0).random((60, 6)).astype(np.float32)
    catalog, items, nothing = catalog_of(n=6), np.hstack([np.eye(6, dtype=np.float32)] * 2), likes.where(slice(0))
    assert len(rankings(Fixed(scores, scores), items, catalog, nothing, likes, max_users=7, seed=0)) == 7
    assert len(rankings(Fixed(scores, scores), items, catalog, nothing, likes, seed=0)) == 40
    assert rankings(Fixed(scores, scores), items, catalog, likes, nothing, seed=0) is None


def test_joined_rankings_keep_every_pool():
    short = Rankings(("a",), np.ones((1, 2, 1), np.float32), np.array([[True, False]]), np.ones((1, 2), bool))
    present = np.array([[True, True, True]])
    long = Rankings(("a",), np.full((1, 3, 1), 2, np.float32), np.array([[False, True, True]]), present)
    both = joined([short, None, long])
    assert both.scores[:, :, 0].tolist() == [[1, 1, 0], [2, 2, 2]]
    assert both.relevant.tolist() == [[True, False, False], [False, True, True]]
    assert both.present.tolist() == [[True, True, False], [True, True, True]]
    assert joined([None]) is None


# Weights


def drawn(strengths, *, users=300, pool=12, seed=0):
    """Rankings whose relevant item is drawn by the softmax of the strengths times the scores, which are noise."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(users, pool, len(strengths))).astype(np.float32)
    present = np.arange(pool) < random.integers(pool // 2, pool + 1, (users, 1))
    logits = np.where(present, scores @ np.asarray(strengths) + random.gumbel(size=(users, pool)), -np.inf)
    relevant = np.arange(pool) == logits.argmax(axis=1)[:, None]
    names = tuple(f"s{place}" for place in range(len(strengths)))
    return Rankings(names, scores * present[:, :, None], relevant, present)


def loss(weights, given):
    """The loss of `fit_weights`, in plain NumPy."""
    logits = np.where(given.present, given.scores.astype(np.float64) @ weights, -1e9)
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = given.relevant / given.relevant.sum(axis=1, keepdims=True)
    entropy = -np.sum(target * log_p) / len(given)
    return entropy + PRIOR_USERS / len(given) * np.sum((weights - PRIOR) ** 2)


@pytest.mark.parametrize("strengths", [(1.5, 0.0), (0.0, 1.0, 0.5), (-1.0, 0.7)])
def test_weights_are_the_optimum_of_their_loss(strengths):
    given = drawn(strengths)
    found = np.array(list(fit_weights(given).values()))
    start, bounds = np.full(len(strengths), PRIOR), [(0, None)] * len(strengths)
    best = minimize(loss, start, (given,), method="L-BFGS-B", bounds=bounds)
    assert loss(found, given) <= best.fun * 1.01
    assert (found >= 0).all()
    np.testing.assert_allclose(found, best.x, atol=0.05)


def test_a_scorer_that_tells_outweighs_noise_and_one_that_misleads_has_nothing():
    weights = fit_weights(drawn((2.0, 0.0, -1.0)))
    assert weights["s0"] > 1 and weights["s1"] < weights["s0"] / 10 and weights["s2"] == 0


def test_without_anything_to_learn_from_there_is_the_prior():
    assert fit_weights(None) == {}
    one = drawn((3.0, 0.0), users=1)
    assert all(abs(weight - PRIOR) < 0.7 for weight in fit_weights(one).values())  # the prior counts as much as a user


# The model


@pytest.fixture(scope="module")
def world():
    catalog, history = tastes()
    masks = {m: mask.copy() for m, mask in catalog.masks.items()}
    masks["image"][::3] = False
    vectors = {m: v * masks[m][:, None] for m, v in catalog.vectors.items()}
    kept = history.item < 50  # the last ten items are new
    return replace(catalog, vectors=vectors, masks=masks), history.where(kept)


@pytest.fixture(scope="module")
def model(world):
    made = Stack()
    made.fit(*world, seed=7)
    return made


def with_stranger(history):
    return replace(history, user_ids=np.append(history.user_ids, "u9999"))


def test_blocks_add_up_and_a_new_item_has_no_history(model, world):
    catalog, history = world
    items = model.item_vectors(catalog)
    for users in (model.user_vectors(catalog, history), model.new_item_user_vectors(catalog, history)):
        parts = contributions(users[: len(items)], items, model.blocks)
        total = np.einsum("nd,nd->n", users[: len(items)], items)
        np.testing.assert_allclose(sum(parts.values()), total, rtol=1e-4, atol=1e-4)
        assert not parts["history"][50:].any() and parts["history"][:50].any()
        assert not parts["image"][::3].any()
    assert not items[50:, model.blocks["history"]].any()
    assert model.masks(catalog)["history"].tolist() == [True] * 50 + [False] * 10


def test_a_score_is_the_sum_of_the_scorers_by_the_weights_of_the_population(world):
    """With one scorer of each population left, users are its part times its weight."""
    catalog, history = world
    model, told = Stack(), with_stranger(history)
    log = model.fit(catalog, history, seed=7)
    names = {name.partition("/")[2] for name in log.choices if name.startswith("with_history/")}
    assert {"autoencoder", "transitions_5", "factors", "popularity", "trend", "text_ridge"} <= names
    state = model.state()
    for population, only, weight in (
        ("with_history", "autoencoder", 2.0),
        ("without_history", "popularity", 3.0),
        ("new_items", "text_ridge", 4.0),
    ):
        state[f"weights/{population}/names"] = np.array(sorted(names))
        state[f"weights/{population}/values"] = np.array([weight * (name == only) for name in sorted(names)])
    model.restore(state)
    items, n = model.item_vectors(catalog), len(history.user_ids)
    scores = model.user_vectors(catalog, told) @ items.T
    np.testing.assert_allclose(scores[:n].std(axis=1), 2, rtol=1e-3)
    np.testing.assert_allclose(scores[n].std(), 3, rtol=1e-3)
    likes = np.bincount(history.item, minlength=len(catalog))
    assert np.corrcoef(scores[n], np.log1p(likes))[0, 1] == pytest.approx(1, abs=1e-4)
    text = model.new_item_user_vectors(catalog, told) @ items.T
    np.testing.assert_allclose(text.std(axis=1), 4, rtol=1e-3)
    blocks = contributions(model.new_item_user_vectors(catalog, told)[: len(items)], items, model.blocks)
    assert blocks["text"].any() and not blocks["image"].any() and not blocks["history"].any()


def test_users_without_a_like_are_weighed_on_their_own(model, world):
    catalog, history = world
    told = with_stranger(history)
    vectors = model.user_vectors(catalog, told)
    assert vectors[-1].any()
    np.testing.assert_allclose(model.user_vectors(catalog, history), vectors[:-1], atol=1e-5)
    other = model.state()
    other["weights/without_history/values"] = other["weights/without_history/values"] * 2
    doubled = Stack()
    doubled.restore(other)
    again = doubled.user_vectors(catalog, told)
    np.testing.assert_array_equal(again[:-1], vectors[:-1])
    np.testing.assert_allclose(again[-1], 2 * vectors[-1], rtol=1e-5)


def test_new_items_are_ranked_by_weights_of_their_own(model, world):
    catalog, history = world
    assert np.abs(model.new_item_user_vectors(catalog, history) - model.user_vectors(catalog, history)).max() > 1e-3


def test_weights_are_in_the_log_and_never_negative(world):
    log = Stack().fit(*world, seed=7)
    assert {name.partition("/")[0] for name in log.choices} == {"with_history", "without_history", "new_items"}
    assert min(log.choices.values()) >= 0
    assert not any("autoencoder" in name for name in log.choices if name.startswith("new_items"))


def test_saved_and_fitted_again_it_has_the_same_bits(model, world, tmp_path):
    catalog, history = world
    registry.save(model, tmp_path / "model")
    again = Stack()
    again.fit(catalog, history, seed=7)
    for other in (registry.load(tmp_path / "model"), again):
        np.testing.assert_array_equal(other.item_vectors(catalog), model.item_vectors(catalog))
        np.testing.assert_array_equal(other.user_vectors(catalog, history), model.user_vectors(catalog, history))
        new, expected = (m.new_item_user_vectors(catalog, history) for m in (other, model))
        np.testing.assert_array_equal(new, expected)


@pytest.fixture(scope="module")
def shop(world):
    """The world in which pictures have a second block, which every second item lacks, and all items but every third a
    brand, which is their group, and a price."""
    catalog, history = world
    random = np.random.default_rng(3)
    second = random.normal(size=(len(catalog), 5)).astype(np.float32) * catalog.masks["image"][:, None]
    second[::2] = 0
    said = [{"brand": f"brand {n % 4}", "price": float(n)} if n % 3 else {} for n in range(len(catalog))]
    rows = attribute_rows(said)
    vectors = {"image": np.hstack([catalog.vectors["image"], second]), "attributes": rows}
    masks = {"attributes": np.diff(rows.indptr) > 0}
    many = replace(
        catalog,
        vectors={**catalog.vectors, **vectors},
        masks={**catalog.masks, **masks},
        widths={"image": (4, 5)},
    )
    return many, history


@pytest.fixture(scope="module")
def of_shop(shop):
    made = Stack()
    made.fit(*shop, seed=7)
    return made


def test_blocks_of_vectors_are_one_modality_and_attributes_another(of_shop, shop, model, world):
    """Each block has the kernel features that it has alone."""
    catalog, history = shop
    items, image = of_shop.item_vectors(catalog), of_shop.blocks["image"]
    alone = model.item_vectors(world[0])[:, model.blocks["image"]]
    np.testing.assert_array_equal(items[:, image][:, : alone.shape[1]], alone)
    assert not items[::2, image][:, alone.shape[1] :].any() and items[1::2, image][:, alone.shape[1] :].any()
    state = of_shop.state()
    for population in ("with_history", "without_history", "new_items"):  # all scorers weigh the same
        state |= {f"weights/{population}/names": np.zeros(0, np.str_), f"weights/{population}/values": np.zeros(0)}
    even = Stack()
    even.restore(state)
    users = even.user_vectors(catalog, history)[: len(items)]
    parts = contributions(users, items, of_shop.blocks)
    used = {name for name, part in parts.items() if part.any()}
    assert used == {"history", "popularity", "text", "image", "attributes"}
    np.testing.assert_allclose(sum(parts.values()), np.einsum("nd,nd->n", users, items), rtol=1e-4, atol=1e-4)
    assert not parts["attributes"][::3].any() and parts["attributes"].any()
    assert of_shop.masks(catalog)["attributes"].tolist() == catalog.masks["attributes"].tolist()


def test_a_brand_that_is_new_says_nothing_to_a_stored_model(of_shop, shop, tmp_path):
    catalog, _ = shop
    registry.save(of_shop, tmp_path / "model")
    stored = registry.load(tmp_path / "model")
    np.testing.assert_array_equal(stored.item_vectors(catalog), of_shop.item_vectors(catalog))
    rows = attribute_rows([{"brand": f"later {n}", "smell": "sweet"} for n in range(len(catalog))])
    later = replace(catalog, vectors={**catalog.vectors, "attributes": rows})
    assert not stored.item_vectors(later)[:, stored.blocks["attributes"]].any()


def test_vectors_of_other_blocks_than_those_fitted_are_refused(of_shop, shop):
    with pytest.raises(ValueError, match="image vectors of 1 blocks: expected 2, as fitted"):
        of_shop.item_vectors(replace(shop[0], widths={}))


def test_a_later_catalog_and_history_need_no_new_fit(model, world):
    """Items 0 to 9 are gone and one has come, which a user likes: it adds nothing to their history, and the user is as
    in a catalog without it."""
    catalog, history = world
    later = catalog.where(np.arange(len(catalog)) >= 10)
    came = catalog_of(catalog.vectors["text"][:1], ids=["z1"], image=catalog.vectors["image"][:1])
    more = Catalog(
        np.append(later.item_ids, came.item_ids),
        {
            m: np.vstack([v, came.vectors[m]]) if m in ("text", "image") else np.pad(v, ((0, 1), (0, 0)))
            for m, v in later.vectors.items()
        },
        {m: np.append(mask, came.masks[m]) for m, mask in later.masks.items()},
    )
    kept = history.where(history.item >= 10)
    kept = replace(kept, item=kept.item - 10)
    items = model.item_vectors(more)
    np.testing.assert_allclose(items[:-1], model.item_vectors(catalog)[10:], rtol=1e-4, atol=1e-5)
    assert not items[-1, model.blocks["history"]].any() and items[-1, model.blocks["text"]].any()
    vectors = model.user_vectors(more, kept)
    np.testing.assert_array_equal(vectors, model.user_vectors(later, kept))
    longer = history_of([(0, 50, 10**7)])
    joined_rows = {
        name: np.concatenate([getattr(kept, name), getattr(longer, name)])
        for name in ("user", "item", "timestamp", "weight", "rating")
    }
    np.testing.assert_array_equal(model.user_vectors(more, replace(kept, **joined_rows)), vectors)


def test_likes_of_the_history_given_decide_not_the_user(model, world):
    catalog, history = world
    one = history.where(history.user == 0)
    fewer = one.where(np.arange(len(one)) < 2)
    assert np.abs(model.user_vectors(catalog, fewer)[0] - model.user_vectors(catalog, one)[0]).max() > 1e-3
    renamed = replace(one, user_ids=np.char.add("x", one.user_ids))
    np.testing.assert_array_equal(model.user_vectors(catalog, renamed), model.user_vectors(catalog, one))


def mean_ndcg(scorers, parts, catalog, kind):
    segment = "cold_items" if kind == "cold_items" else "all"
    found = evaluate(scorers, split=parts, split_name=kind, n_items=len(catalog), ks=(10,), segments=[segment])
    return {figure.model: figure.value for figure in found if figure.metric == "ndcg"}


@pytest.mark.parametrize("kind", ["per_user", "cold_items"])
def test_it_finds_what_popularity_and_chance_do_not(kind):
    catalog, history = tastes(users=120, items=120, likes=15, seed=1)
    parts = split(history, kind=kind, test_share=0.2, valid_share=0.1, item_ids=catalog.item_ids, seed=3)
    model, known = Stack(), parts.known()
    model.fit(catalog, known, seed=3)
    likes = np.bincount(known.item, minlength=len(catalog)).astype(np.float32)
    random = np.random.default_rng(0)
    found = mean_ndcg(
        {
            "stack": scorer(model, catalog, known, new_items=kind == "cold_items"),
            "popularity": lambda users: np.tile(likes, (len(users), 1)),
            "chance": lambda users: random.random((len(users), len(catalog))).astype(np.float32),
        },
        parts,
        catalog,
        kind,
    )
    assert found["stack"] > max(found["popularity"], found["chance"]) + 0.3


@pytest.fixture(scope="module")
def fitted():
    """A stack of all scorers whose weights are the prior's, with its catalog and history."""
    catalog, history = tastes(users=40, items=40)
    everything = {m: catalog.vectors["text"] for m in ("audio", "video")}
    everything["attributes"] = attribute_rows([{"brand": f"b{n % 4}"} for n in range(len(catalog))])
    catalog = replace(
        catalog, vectors={**catalog.vectors, **everything}, masks={m: catalog.masks["text"] for m in MODALITIES}
    )
    model = Stack()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusion.models.stack.model.fit_weights", lambda found: {})
        model.fit(catalog, history, seed=1)
    return model, catalog, history


def weighed(model, **weights):
    """The model with these weights for all populations, 0 for other scorers."""
    changed = copy(model)
    changed._weights = {p: dict.fromkeys(SCORERS, 0.0) | weights for p in model._weights}
    return changed


def test_a_full_stack_has_the_scorers_that_may_be_left_out(fitted):
    model, _, history = fitted
    scorers = model._scorers
    assert len(history) and scorers.names == SCORERS
    yielded = [*scorers.history.parts(history, np.arange(2)), *scorers.content.parts(history, np.arange(2), first=0)]
    assert tuple(part.scorer for part in yielded) == SCORERS, "one that has no name there cannot be left out"
    assert all(set(weights.values()) == {PRIOR} for weights in model.population_weights.values())


def test_columns_that_no_weight_uses_are_left_out_and_scores_stay(fitted):
    """Similar items are compared by the autoencoder's columns and content's, which stay."""
    model, catalog, history = fitted
    narrow = weighed(model, transitions_5=1.0, popularity=0.5, text_ridge=0.2)
    users, items = narrow.user_vectors(catalog, history), narrow.item_vectors(catalog)
    rank = model._scorers.history.rank
    content = sum(model._content.widths.values())
    assert users.shape[1] == items.shape[1] == 2 * rank + 1 + content < model.item_vectors(catalog).shape[1]
    parts = {p.scorer: p for p in model._scorers.parts(catalog, history.likes(), np.arange(40))}
    every = model._scorers.item_vectors(catalog, model._content(catalog))
    weights = {"transitions_5": 1.0, "popularity": 0.5, "text_ridge": 0.2}
    expected = sum(w * parts[s].users @ every[:, parts[s].columns].T for s, w in weights.items())
    np.testing.assert_allclose(users @ items.T, expected, rtol=1e-4, atol=1e-5)
    assert narrow.blocks["history"] == slice(0, 2 * rank)
    assert narrow.blocks["popularity"] == slice(2 * rank, 2 * rank + 1)
    for name, columns in narrow.neighbour_blocks.items():
        np.testing.assert_array_equal(
            items[:, columns], model.item_vectors(catalog)[:, model.neighbour_blocks[name]], err_msg=name
        )


def test_scorers_that_nobody_weighs_are_not_computed(fitted, monkeypatch):
    model, catalog, history = fitted
    monkeypatch.setattr("fusion.models.stack.history.user_factors", lambda *_, **__: pytest.fail("computed"))
    assert weighed(model, autoencoder=1.0).user_vectors(catalog, history).any()


def test_a_scorer_that_is_left_out_has_no_part_and_no_weight(tmp_path, monkeypatch):
    monkeypatch.setattr("fusion.models.stack.model.fit_weights", lambda found: dict.fromkeys(found.scorers, 0.1))
    catalog, history = tastes(users=30, items=30)
    model = Stack(leave_out=["popularity", "text_ridge"])
    model.fit(catalog, history, seed=1)
    left = {scorer for weights in model.population_weights.values() for scorer in weights}
    assert not left & {"popularity", "text_ridge"} and {"trend", "image_ridge"} <= left
    registry.save(model, tmp_path)
    again = registry.load(tmp_path)
    assert again.parameters() == {"leave_out": ["popularity", "text_ridge"]}
    np.testing.assert_array_equal(again.user_vectors(catalog, history), model.user_vectors(catalog, history))
    with pytest.raises(ValueError, match=r"leave_out 'popularty': no scorer; did you mean popularity\?"):
        Stack(leave_out=["popularty"])


def test_without_a_scorer_the_others_are_weighed_anew_on_the_same_rankings(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "fusion.models.stack.model.fit_weights", lambda found: asked.append(found) or dict.fromkeys(found.scorers, 0.1)
    )
    catalog, history = tastes(users=30, items=30)
    model = Stack()
    model.fit(catalog, history, seed=1)
    fewer = model.without("trend")
    assert fewer.parameters() == {"leave_out": ["trend"]}
    assert not any("trend" in weights for weights in fewer.population_weights.values())
    for before, after in zip(asked[:3], asked[3:], strict=True):
        kept = [place for place, name in enumerate(before.scorers) if name != "trend"]
        assert list(after.scorers) == [before.scorers[place] for place in kept]
        np.testing.assert_array_equal(after.scores, before.scores[..., kept])
    vectors = fewer.user_vectors(catalog, history), fewer.item_vectors(catalog)
    assert np.isfinite(vectors[0] @ vectors[1].T).all()


def test_weights_of_one_population_are_taken_over_alone(fitted):
    model, catalog, history = fitted
    other = weighed(model, trend=1.0)
    mixed = model.with_weights_of(other, "new_items")
    np.testing.assert_array_equal(mixed.user_vectors(catalog, history), model.user_vectors(catalog, history))
    assert mixed.population_weights["new_items"] == other.population_weights["new_items"]
    assert model.population_weights["new_items"]["trend"] == PRIOR
    fewer = copy(model)
    fewer._scorers = replace(model._scorers, left_out=("trend",))
    assert model.with_weights_of(fewer, "new_items") is None
    assert model.with_weights_of(registry.create("content"), "new_items") is None


@pytest.mark.parametrize("rows", [[], [(0, 0, 1)], [(0, 0, 1), (0, 1, 2), (0, 2, 3)], [(1, 2, 5, 0.0)]])
@pytest.mark.parametrize("items", [1, 3])
@pytest.mark.parametrize("modality", [None, "text"])
def test_with_next_to_nothing_it_still_ranks(rows, items, modality):
    catalog = catalog_of(np.eye(items, 2) if modality else None, n=items)
    history = history_of([row for row in rows if row[1] < items], users=2)
    model = Stack()
    model.fit(catalog, history, seed=1)
    scores = model.user_vectors(catalog, history) @ model.item_vectors(catalog).T
    assert scores.shape == (2, items) and np.isfinite(scores).all()
    assert np.isfinite(model.new_item_user_vectors(catalog, history)).all()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(2, 20))
def test_small_histories_give_finite_vectors_whatever_the_order_of_users(seed, users, items):
    random = np.random.default_rng(seed)
    history = random_history(users, items, share=0.3, seed=seed)
    catalog = catalog_of(random.normal(size=(items, 3)))
    model = Stack()
    model.fit(catalog, history, seed=1)
    vectors = model.user_vectors(catalog, history)
    assert np.isfinite(vectors).all() and np.isfinite(model.item_vectors(catalog)).all()
    turned = replace(history, user=(users - 1 - history.user).astype(np.int32))
    np.testing.assert_allclose(model.user_vectors(catalog, turned), vectors[::-1], rtol=1e-3, atol=1e-3)
