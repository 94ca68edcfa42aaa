import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.data.splits import Split
from fusion.evaluation.calibration import Reliability, calibration, isotonic, platt
from tests.fusion.worlds import history_of


def test_reliability_by_hand():
    """Six predictions in three bins of two: means .1, .35 and .85; none, one and both came true."""
    predicted = np.array([0.9, 0.05, 0.3, 0.8, 0.15, 0.4])
    true = np.array([True, False, False, True, False, True])
    found = Reliability.of(predicted, true, bins=3)
    assert found.bins.tolist() == [1, 2, 3] and found.count.tolist() == [2, 2, 2]
    np.testing.assert_allclose(found.predicted, [0.1, 0.35, 0.85])
    np.testing.assert_allclose(found.observed, [0, 0.5, 1])
    assert found.error() == pytest.approx((0.1 + 0.15 + 0.15) / 3)


def test_equal_predictions_share_a_bin():
    predicted = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.7])
    found = Reliability.of(predicted, predicted > 0.5, bins=3)
    assert found.bins.tolist() == [3]
    found = Reliability.of(np.array([0.1, 0.2, 0.2, 0.2, 0.3, 0.4]), np.ones(6, bool), bins=3)
    assert (found.bins.tolist(), found.count.tolist()) == ([1, 2, 3], [1, 3, 2])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 12))
def test_bins_hold_every_prediction_once_in_order(pairs, bins):
    predicted, true = np.array([p for p, _ in pairs]), np.array([t for _, t in pairs])
    found = Reliability.of(predicted, true, bins=bins)
    assert found.count.sum() == len(pairs)
    assert found.count @ found.predicted == pytest.approx(predicted.sum())
    assert found.count @ found.observed == pytest.approx(true.sum())
    assert (np.diff(found.predicted) > -1e-12).all()
    assert 0 <= found.error() <= 1


def test_platt_finds_the_sigmoid_that_made_the_labels():
    random = np.random.default_rng(0)
    scores = random.normal(50, 7, size=40_000).astype(np.float32)
    chance = 1 / (1 + np.exp(-(0.4 * scores - 21)))
    asked = np.array([40, 52.5, 60], np.float32)
    found = platt(scores, random.random(len(scores)) < chance)(asked)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(0.4 * asked - 21))), atol=0.02)


def test_platt_of_scores_that_say_nothing_is_the_mean_target():
    """One true of four: targets 2/3 and three times 1/5."""
    found = platt(np.full(4, 3, np.float32), np.array([True, False, False, False]))(np.float32([3, 3]))
    np.testing.assert_allclose(found, [(2 / 3 + 3 / 5) / 4] * 2, atol=1e-5)


def test_platt_stays_finite_where_a_threshold_parts_the_labels():
    """Two points and two parameters: the fit meets the targets 2/3 and 1/3."""
    found = platt(np.float32([0, 1]), np.array([False, True]))(np.float32([0, 1]))
    np.testing.assert_allclose(found, [1 / 3, 2 / 3], atol=1e-3)


def test_isotonic_by_hand():
    """The second and third break the order and are pooled to 1/2; outside the scores it stays level."""
    probability = isotonic(np.float32([1, 2, 3, 4]), np.array([False, True, False, True]))
    np.testing.assert_allclose(probability(np.float32([0, 1, 2, 2.5, 3, 4, 9])), [0, 0, 0.5, 0.5, 0.5, 1, 1])


def world(n_users=200, n_items=50, seed=0):
    """Every pair is liked with a chance that the score tells."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(n_users, n_items)).astype(np.float32)
    liked = random.random(scores.shape) < 1 / (1 + np.exp(-(2 * scores - 3)))
    test = history_of([(int(u), int(i), 0) for u, i in np.argwhere(liked)], users=n_users)
    nothing = history_of([], users=n_users)
    return scores, Split(nothing, nothing, test)


def judge(scorer, split, n_items=50, seed=1, **settings):
    found = calibration({"m": scorer}, split=split, split_name="x", n_items=n_items, seed=seed, **settings)
    return {(f.metric, f.k): f.value for f in found}


def test_scores_that_tell_the_chance_are_well_calibrated():
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
    told = scores.copy()
    liked = np.zeros(scores.shape, bool)
    liked[split.test.user, split.test.item] = True
    told[users[0::2]] = liked[users[0::2]]
    told[users[1::2]] = np.random.default_rng(9).integers(0, 2, size=(100, 50))
    found = judge(lambda asked: told[asked], split)
    assert found["isotonic_error", None] > 0.3
    assert judge(lambda asked: told[asked], split, seed=2)["isotonic_error", None] < 0.3


def test_at_most_so_many_users_as_fit(monkeypatch):
    scores, split = world()
    monkeypatch.setattr("fusion.evaluation.protocol.CELLS", 50 * 20)
    asked = []
    judge(lambda users: (asked.extend(users), scores[users])[1], split)
    assert len(asked) == len(set(asked)) == 20


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
