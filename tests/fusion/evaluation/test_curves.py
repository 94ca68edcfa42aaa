import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from fusion.data.splits import Split
from fusion.evaluation.curves import Confusion, curves
from tests.fusion.worlds import history_of

NOTHING = history_of([], users=2)

BY_HAND = Confusion(hits=np.array([1, 2, 4]), alarms=np.array([0, 2, 3]), alarms_above=np.array([0, 1, 3]), others=4)
"""Scores falling: relevant; other; relevant tied with other; other; two relevant; other."""


def figures(scorer, split, n_items):
    found = curves({"m": scorer}, split=split, split_name="x", n_items=n_items)
    return {(f.metric, f.k): f.value for f in found}


def test_roc_by_hand():
    """Up to 1/4; right to 1/4; a slope to (2/4, 2/4); right to 3/4; up to 1; right to 1."""
    rates = np.array([0, 0.1, 0.25, 0.375, 0.5, 0.6, 0.75, 1])
    np.testing.assert_allclose(BY_HAND.roc(rates), [0.25, 0.25, 0.25, 0.375, 0.5, 0.5, 1, 1])
    assert BY_HAND.area() == pytest.approx((1 + (1 + 2) / 2 + 2 + 4) / 4 / 4)


def test_precision_by_hand():
    """Precisions 1, 2/4 and 4/7 at recalls 1/4, 2/4 and 1; interpolated, the second is 4/7 too."""
    found = BY_HAND.precision(np.array([0, 25, 26, 50, 51, 100]))
    np.testing.assert_allclose(found, [1, 1, 4 / 7, 4 / 7, 4 / 7, 4 / 7])
    assert BY_HAND.average_precision() == pytest.approx(1 / 4 * 1 + 1 / 4 * 2 / 4 + 2 / 4 * 4 / 7)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cells", [30, 8_000_000])
def test_agrees_with_scikit_learn(seed, cells, monkeypatch):
    """Scores with many ties; train likes and the users without a test like are left out of the pool."""
    monkeypatch.setattr("fusion.evaluation.protocol.CELLS", cells)
    random = np.random.default_rng(seed)
    scores = random.integers(0, 12, size=(9, 15)).astype(np.float32)
    relevant, had = random.random((9, 15)) < 0.25, random.random((9, 15)) < 0.2
    relevant[3] = False
    train, test = (history_of([(u, i, 0) for u, i in np.argwhere(of)], users=9) for of in (had, relevant & ~had))
    found = figures(lambda users: scores[users], Split(train, history_of([], users=9), test), 15)
    pool = ~had & (relevant & ~had).any(axis=1, keepdims=True)
    true, score = relevant[pool], scores[pool]
    assert found["pooled_auc", None] == pytest.approx(roc_auc_score(true, score))
    assert found["average_precision", None] == pytest.approx(average_precision_score(true, score))
    x, y, _ = roc_curve(true, score, drop_intermediate=False)
    for percent in range(101):
        left = np.flatnonzero(x <= percent / 100)[-1]
        rest = (percent / 100 - x[left]) / (x[left + 1] - x[left]) if percent < 100 else 0
        expected = y[left] + rest * (y[min(left + 1, len(y) - 1)] - y[left])
        assert found["roc", percent] == pytest.approx(expected)
    assert found["pr", 0] >= found["pr", 50] >= found["pr", 100] == pytest.approx(true.mean(), abs=0.2)


def test_only_the_splits_candidates_are_pooled():
    """Ranked among items 0 and 1 alone, the relevant item 0 comes first, though item 2 is above it."""
    split = Split(NOTHING, NOTHING, history_of([(0, 0, 0), (1, 2, 0)]), test_candidates=np.array([True, True, False]))
    found = figures(lambda users: np.tile(np.float32([2, np.nan, 3]), (len(users), 1)), split, 3)
    assert found["pooled_auc", None] == 1
    assert found["roc", 0] == 1 and found["pr", 100] == 1


def test_without_both_kinds_there_is_no_curve():
    def ones(users):
        return np.ones((len(users), 2), np.float32)

    assert figures(ones, Split(NOTHING, NOTHING, NOTHING), 2) == {}
    assert figures(ones, Split(NOTHING, NOTHING, history_of([(0, 0, 0), (0, 1, 0)], users=2)), 2) == {}
