import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from fusion.data.catalog import Split
from fusion.evaluation.calibration import calibration, isotonic, platt, reliability
from fusion.evaluation.evaluate import evaluate
from fusion.evaluation.protocol import Judgements, Pool
from tests.fusion.worlds import history_of


def test_reliability_by_hand():
    """Six predictions in three bins of two: means .1, .35 and .85; none, one and both came true."""
    predicted = np.array([0.9, 0.05, 0.3, 0.8, 0.15, 0.4])
    true = np.array([True, False, False, True, False, True])
    assert reliability(predicted, true, bins=3) == pytest.approx(
        {
            ("predicted", 1): 0.1,
            ("predicted", 2): 0.35,
            ("predicted", 3): 0.85,
            ("observed", 1): 0,
            ("observed", 2): 0.5,
            ("observed", 3): 1,
            ("error", None): (0.1 + 0.15 + 0.15) / 3,
        }
    )


def test_equal_predictions_share_a_bin():
    """Five of six are the lowest and fill two bins of three; the errors of 1/5 - .1 and 1 - .7 weigh 5 and 1."""
    predicted = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.7])
    found = reliability(predicted, np.array([True, False, False, False, False, True]), bins=3)
    assert found == pytest.approx(
        {
            ("predicted", 1): 0.1,
            ("observed", 1): 0.2,
            ("predicted", 3): 0.7,
            ("observed", 3): 1,
            ("error", None): (5 * 0.1 + 0.3) / 6,
        }
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 12))
def test_bins_are_those_of_scikit_learn(pairs, bins):
    predicted, true = np.array([p for p, _ in pairs]), np.array([t for _, t in pairs])
    found = reliability(predicted, true, bins=bins)
    shares, means = calibration_curve(true, predicted, n_bins=bins, strategy="quantile", pos_label=True)
    np.testing.assert_allclose([v for (what, _), v in found.items() if what == "predicted"], means)
    np.testing.assert_allclose([v for (what, _), v in found.items() if what == "observed"], shares)
    assert 0 <= found["error", None] <= 1
    assert found["error", None] >= abs(predicted.mean() - true.mean()) - 1e-9


def test_platt_finds_the_sigmoid_that_made_the_labels():
    random = np.random.default_rng(0)
    scores = random.normal(50, 7, size=40_000).astype(np.float32)
    chance = 1 / (1 + np.exp(-(0.4 * scores - 21)))
    asked = np.array([40, 52.5, 60], np.float32)
    found = platt(scores, random.random(len(scores)) < chance)(asked)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(0.4 * asked - 21))), atol=0.02)


def test_platt_of_scores_that_are_all_equal_is_the_mean_target():
    """One true of four: targets 2/3 and three times 1/5."""
    found = platt(np.full(4, 3, np.float32), np.array([True, False, False, False]))(np.float32([3, 3]))
    np.testing.assert_allclose(found, [(2 / 3 + 3 / 5) / 4] * 2, atol=1e-5)


def test_platt_stays_finite_where_a_threshold_parts_the_labels():
    """Two points and two parameters: the fit meets the targets 2/3 and 1/3."""
    found = platt(np.float32([0, 1]), np.array([False, True]))(np.float32([0, 1]))
    np.testing.assert_allclose(found, [1 / 3, 2 / 3], atol=1e-3)


def test_isotonic_by_hand():
    """The second and third break the order and are pooled to 1/2; outside the scores it stays level."""
    asked = np.float32([0, 1, 2, 2.5, 3, 4, 9])
    found = isotonic(np.float32([1, 2, 3, 4]), np.array([False, True, False, True]))(asked)
    np.testing.assert_allclose(found, [0, 0, 0.5, 0.5, 0.5, 1, 1])


def world(n_users=200, n_items=50, seed=0):
    """Every pair is liked with a chance that is a function of its score."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(n_users, n_items)).astype(np.float32)
    liked = random.random(scores.shape) < 1 / (1 + np.exp(-(2 * scores - 3)))
    test = history_of([(int(u), int(i), 0) for u, i in np.argwhere(liked)], users=n_users)
    nothing = history_of([], users=n_users)
    return scores, Split(nothing, nothing, test)


def judge(scorer, split, n_items=50, seed=1):
    pool = Pool(Judgements.of(split, n_items), seed=seed)
    evaluate({"m": scorer}, split=split, split_name="x", n_items=n_items, pools={"m": pool})
    found = calibration({"m": pool}, split_name="x")
    return {(f.metric, f.k): f.value for f in found}


def test_scores_that_fix_the_chance_are_well_calibrated():
    scores, split = world()
    found = judge(lambda users: scores[users], split)
    for method in ("platt", "isotonic"):
        assert found[f"{method}_error", None] < 0.02
        predicted = [found[f"{method}_predicted", k] for m, k in found if m == f"{method}_predicted"]
        assert predicted == sorted(predicted)
    # Four standard errors of the 500 pairs in the highest bin.
    assert found["platt_observed", 10] == pytest.approx(found["platt_predicted", 10], abs=0.09)


def test_a_half_that_was_not_fitted_judges():
    """A score that is the label for the users who fit and noise for the others looks certain and is wrong."""
    scores, split = world()
    users = np.random.default_rng(1).permutation(200)
    seen = scores.copy()
    liked = np.zeros(scores.shape, bool)
    liked[split.test.user, split.test.item] = True
    seen[users[0::2]] = liked[users[0::2]]
    seen[users[1::2]] = np.random.default_rng(9).integers(0, 2, size=(100, 50))
    found = judge(lambda asked: seen[asked], split)
    assert found["isotonic_error", None] > 0.3
    assert judge(lambda asked: seen[asked], split, seed=2)["isotonic_error", None] < 0.3


def test_at_most_so_many_users_as_fit(monkeypatch):
    scores, split = world()
    monkeypatch.setattr("fusion.evaluation.protocol.PAIRS", 50 * 20)
    pool = Pool(Judgements.of(split, 50), seed=1)
    evaluate({"m": lambda users: scores[users]}, split=split, split_name="x", n_items=50, pools={"m": pool})
    pooled, _, places = pool.pairs()
    assert len(pool.users) == len(set(pool.users.tolist())) == 20
    np.testing.assert_array_equal(pooled.reshape(20, 50), scores[pool.users])
    np.testing.assert_array_equal(places, np.repeat(np.arange(20), 50))
    found = {(f.metric, f.k): f.value for f in calibration({"m": pool}, split_name="x")}
    assert found == judge(lambda users: scores[users], split)


def test_too_little_to_judge_gives_nothing():
    scores, split = world(n_users=1)
    assert judge(lambda users: scores[users], split) == {}
    nothing = history_of([], users=2)
    everything = Split(nothing, nothing, history_of([(u, i, 0) for u in range(2) for i in range(2)]))
    assert judge(lambda users: np.zeros((len(users), 2)), everything, n_items=2) == {}


def test_refuses_scores_that_are_not_finite():
    _, split = world()
    with pytest.raises(ValueError, match="scores of m are not finite"):
        judge(lambda users: np.full((len(users), 50), np.nan), split)
