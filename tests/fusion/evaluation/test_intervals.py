from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test

from fusion.evaluation.evaluate import Figure
from fusion.evaluation.intervals import against_best, intervals, sign_flip_p


def figure(values, *, model="m", metric="ndcg", k=10, users=None, segment="all"):
    values = np.asarray(values, np.float64)
    users = np.arange(len(values)) if users is None else np.asarray(users)
    return Figure(model, "x", segment, metric, k, float(values.mean()), users, values)


def test_interval_by_hand():
    """Of two users with 0 and 1, a resample's mean is 0, 1/2 or 1, with chances 1/4, 1/2 and 1/4."""
    (interval,) = intervals([figure([0, 1])], seed=1)
    assert (interval.low, interval.high) == (0, 1)
    (certain,) = intervals([figure([0.25, 0.25, 0.25])], seed=1)
    assert (certain.low, certain.high) == (0.25, 0.25)


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).beta(0.3, 2, size=400)
    (interval,) = intervals([figure(values)], seed=1, resamples=4000)
    expected = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=2).confidence_interval
    width = expected.high - expected.low
    assert abs(interval.low - expected.low) < 0.06 * width
    assert abs(interval.high - expected.high) < 0.06 * width


def test_interval_covers_the_mean_as_often_as_it_says():
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


def test_blocks_change_nothing(monkeypatch):
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
    assert sign_flip_p(np.zeros(4), seed=0) == 1
    with pytest.raises(ValueError, match="1 NaN"):
        sign_flip_p(np.array([0.1, np.nan]), seed=0)
    with pytest.raises(ValueError, match="0 differences"):
        sign_flip_p(np.zeros(0), seed=0)


@pytest.mark.parametrize(("n", "within"), [(9, 1e-12), (14, 0.02)])
def test_sign_flip_agrees_with_all_flips_of_scipy(n, within):
    """Nine users are tried exactly, fourteen by chance: four standard errors of 10,000 flips are .02."""
    differences = np.random.default_rng(3).normal(0.25, 1, size=n)
    expected = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=2**n).pvalue
    assert sign_flip_p(differences, seed=1) == pytest.approx(expected, abs=within)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.integers(0, 3))
def test_p_is_the_same_for_both_directions_and_never_0(values, seed):
    differences = np.array(values) / 7
    p = sign_flip_p(differences, seed=seed, flips=200)
    assert 0 < p <= 1
    assert p == sign_flip_p(-differences, seed=seed, flips=200)


def test_against_the_best_baseline():
    base = np.linspace(0, 0.5, 30)
    found = [
        figure(base + 0.2, model="fused"),
        figure(base, model="popularity"),
        figure(base + 0.1, model="neighbours"),
        figure(base + 0.9, model="neighbours", k=20),
        figure(base + 0.9, model="popularity", segment="cold_items"),
    ]
    settings = {"model": "fused", "baselines": ["popularity", "neighbours", "absent"], "metric": "ndcg", "seed": 1}
    comparison = against_best(found, **settings, k=10)
    assert (comparison.baseline, comparison.users) == ("neighbours", 30)
    np.testing.assert_allclose([comparison.difference, comparison.interval.low, comparison.interval.high], [0.1] * 3)
    assert comparison.p_value == 1 / 10_001
    with pytest.raises(ValueError, match="at k 5"):
        against_best(found, **settings, k=5)
    with pytest.raises(ValueError, match="expected the same"):
        against_best([replace(found[0], users=found[0].users + 1), *found[1:]], **settings, k=10)
