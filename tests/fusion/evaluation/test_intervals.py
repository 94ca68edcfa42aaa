from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from fusion.evaluation.evaluate import Figure
from fusion.evaluation.intervals import Interval, intervals, sign_flip_p


def figure(values, *, metric="ndcg", users=None):
    values = np.asarray(values, np.float64)
    users = np.arange(len(values)) if users is None else np.asarray(users)
    return Figure("m", "x", "all", metric, 10, float(values.mean()), users, values)


def test_interval_by_hand():
    """Of two users with 0 and 1, a resample's mean is 0, 1/2 or 1, with chances 1/4, 1/2 and 1/4."""
    assert intervals([figure([0, 1])], seed=1) == [Interval(0, 1)]


@pytest.mark.parametrize("value", [0, 0.1, 0.7, 3.3])
@pytest.mark.parametrize("users", [1, 2, 31])
def test_equal_values_are_their_own_interval(value, users):
    """Beside a figure of the same users that varies, too."""
    found = intervals([figure(np.full(users, value)), figure(np.arange(users))], seed=1)
    assert found[0] == Interval(value, value)
    assert found[1].low <= (users - 1) / 2 <= found[1].high


@pytest.mark.parametrize(("users", "ones"), [(100, 30), (400, 20)])
def test_interval_of_a_share_is_binomial(users, ones):
    """The number of ones in a resample is binomial; 1,000 resamples find its quantiles within two users."""
    (interval,) = intervals([figure(np.arange(users) < ones)], seed=1)
    expected = binom.ppf([0.025, 0.975], users, ones / users)
    np.testing.assert_allclose([interval.low * users, interval.high * users], expected, atol=2)


def test_interval_covers_the_mean_as_often_as_it_claims():
    random = np.random.default_rng(4)
    samples = [figure(random.random(60), users=np.arange(60) + 100 * at) for at in range(200)]
    covered = sum(i.low <= 0.5 <= i.high for i in intervals(samples, seed=0))
    assert 180 <= covered <= 199


def test_figures_of_the_same_users_share_their_draws():
    values = np.random.default_rng(0).random(50)
    one, shifted, none = intervals(
        [figure(values), figure(values + 1, metric="f1"), Figure.of_all("m", "x", "coverage", 10, 0.5)], seed=1
    )
    assert none is None
    np.testing.assert_allclose([shifted.low, shifted.high], [one.low + 1, one.high + 1])


def test_how_much_is_held_at_once_changes_nothing(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = intervals([figure(values)], seed=1)[0], sign_flip_p(values - 0.45, seed=1)
    monkeypatch.setattr("fusion.evaluation.intervals.CELLS", 350)
    parts = intervals([figure(values)], seed=1)[0], sign_flip_p(values - 0.45, seed=1)
    np.testing.assert_allclose([parts[0].low, parts[0].high, parts[1]], [whole[0].low, whole[0].high, whole[1]])


def test_sign_flip_by_hand():
    """Of eight ways to flip 1, 2 and 3, only +6 and -6 are as extreme as 6; as extreme as 0 are all."""
    assert sign_flip_p(np.array([1.0, 2.0, 3.0]), seed=0) == 2 / 8
    assert sign_flip_p(np.array([1.0, 2.0, 0.0, 3.0, 0.0]), seed=0) == 2 / 8
    assert sign_flip_p(np.array([1.0, 2.0, -3.0]), seed=0) == 1
    assert sign_flip_p(np.array([1.0, -2.0, 3.0]), seed=0) == 6 / 8
    with pytest.raises(ValueError, match="1 NaN"):
        sign_flip_p(np.array([0.1, np.nan]), seed=0)
    with pytest.raises(ValueError, match="0 differences"):
        sign_flip_p(np.zeros(0), seed=0)


@pytest.mark.parametrize("differences", [[0.0], [0.0, 0.0, 0.0, 0.0], [0.3], [0.0, -0.3, 0.0]])
def test_with_less_than_two_differing_users_nothing_can_be_found(differences):
    assert sign_flip_p(np.array(differences), seed=0) == 1


@pytest.mark.parametrize(("n", "within"), [(9, 1e-12), (13, 1e-12), (14, 0.02)])
def test_sign_flip_agrees_with_all_flips(n, within):
    """Up to 13 users are exact; 14 are drawn, and four standard errors of 9,999 flips are .02."""
    differences = np.random.default_rng(3).normal(0.25, 1, size=n)
    sums = np.array(list(product([-1, 1], repeat=n))) @ differences
    expected = (np.abs(sums) >= abs(differences.sum()) - 1e-9).mean()
    assert sign_flip_p(differences, seed=1) == pytest.approx(expected, abs=within)


def test_the_smallest_p_of_drawn_flips():
    """Of 40 users who all gain, no drawn flip is as extreme: one-sided 1 of 10,000."""
    assert sign_flip_p(np.full(40, 0.1), seed=0) == pytest.approx(2 / 10_000)


@settings(max_examples=30)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.integers(0, 3))
def test_p_is_the_same_for_both_directions_and_never_0(values, seed):
    differences = np.array(values) / 7
    p = sign_flip_p(differences, seed=seed)
    assert 0 < p <= 1
    assert p == sign_flip_p(-differences, seed=seed)
