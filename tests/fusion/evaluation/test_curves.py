import numpy as np
import pytest

from fusion.data.catalog import Split
from fusion.evaluation.curves import curves
from fusion.evaluation.evaluate import evaluate
from fusion.evaluation.protocol import Judgements, Pool
from tests.fusion.worlds import history_of

NOTHING = history_of([], users=2)


def figures(scorer, split, n_items, seed=0):
    pool = Pool(Judgements.of(split, n_items), seed=seed)
    evaluate({"m": scorer}, split=split, split_name="x", n_items=n_items, pools={"m": pool})
    found = curves({"m": pool}, split_name="x")
    return {(f.metric, f.k): f.value for f in found}


def by_hand(scores):
    """Items 0, 2, 5 and 6 are relevant to the one user who is asked, the other four are not."""
    split = Split(NOTHING, NOTHING, history_of([(0, item, 0) for item in (0, 2, 5, 6)], users=2))
    return figures(lambda users: np.tile(np.float32(scores), (len(users), 1)), split, 8)


HARD = [9, 8, 7, 7, 6, 5, 5, 1]
"""Scores falling: relevant; other; relevant tied with other; other; two relevant; other."""


def test_roc_by_hand():
    """Up to 1/4; right to 1/4; a slope to (2/4, 2/4); right to 3/4; up to 1; right to 1."""
    found = by_hand(HARD)
    expected = {0: 0.25, 10: 0.25, 25: 0.25, 40: 0.4, 50: 0.5, 60: 0.5, 74: 0.5, 75: 1, 100: 1}
    assert {k: found["roc", k] for k in expected} == pytest.approx(expected)
    assert found["pooled_auc", None] == pytest.approx((1 + (1 + 2) / 2 + 2 + 4) / 4 / 4)


def test_precision_by_hand():
    """Precisions 1, 2/4 and 4/7 at recalls 1/4, 2/4 and 1; interpolated, the second is 4/7 too."""
    found = by_hand(HARD)
    expected = {0: 1, 25: 1, 26: 4 / 7, 50: 4 / 7, 51: 4 / 7, 100: 4 / 7}
    assert {k: found["pr", k] for k in expected} == pytest.approx(expected)
    assert found["average_precision", None] == pytest.approx(1 / 4 * 1 + 1 / 4 * 2 / 4 + 2 / 4 * 4 / 7)


def test_an_irrelevant_pair_with_the_highest_score_lowers_precision_at_every_recall():
    """Precisions 1/2, 2/3, 3/4 and 4/5: the highest is reached at recall 1."""
    found = by_hand([4, 9, 4.5, 1, 1, 5, 7, 1])
    assert [found["pr", k] for k in (0, 25, 50, 100)] == pytest.approx([4 / 5] * 4)
    assert found["average_precision", None] == pytest.approx((1 / 2 + 2 / 3 + 3 / 4 + 4 / 5) / 4)
    assert [found["roc", k] for k in (0, 24, 25, 100)] == [0, 0, 1, 1]


def test_every_figure_is_given_once():
    assert set(by_hand(HARD)) == {
        *((metric, k) for metric in ("roc", "pr") for k in range(101)),
        ("pooled_auc", None),
        ("average_precision", None),
    }


def test_scores_that_are_no_numbers_are_the_worst():
    """Of items 0 and 5, relevant, one is NaN, tied with the other items that are NaN or minus infinity; plus infinity
    is above every number."""
    split = Split(NOTHING, NOTHING, history_of([(0, 0, 0), (0, 5, 0)], users=2))
    scores = np.float32([np.nan, -3e38, 3e38, np.nan, -np.inf, np.inf])
    found = figures(lambda users: np.tile(scores, (len(users), 1)), split, 6)
    # Of the 8 comparisons of a relevant with another item, item 5 wins 4 and item 0 ties in 2.
    assert found["pooled_auc", None] == pytest.approx((4 + 2 / 2) / 8)
    assert found["pr", 50] == 1 and found["pr", 100] == pytest.approx(2 / 6)


def test_what_is_known_and_users_who_are_not_asked_are_left_out():
    """User 0 knows item 2, which is above all; user 1 likes nothing new and would be wrong in everything."""
    known, test = history_of([(0, 2, 0)], users=2), history_of([(0, 0, 0)], users=2)
    scores = np.float32([[2, 1, 3], [-9, 9, 9]])
    found = figures(lambda users: scores[users], Split(known, NOTHING, test), 3)
    assert found["pooled_auc", None] == 1 and found["pr", 100] == 1


def test_only_the_splits_candidates_are_pooled():
    """Ranked among items 0 and 1 alone, the relevant item 0 comes first, though item 2 is above it."""
    split = Split(NOTHING, NOTHING, history_of([(0, 0, 0), (1, 2, 0)]), test_candidates=np.array([True, True, False]))
    found = figures(lambda users: np.tile(np.float32([2, np.nan, 3]), (len(users), 1)), split, 3)
    assert found["pooled_auc", None] == 1
    assert found["roc", 0] == 1 and found["pr", 100] == 1


def test_of_many_users_a_sample_is_judged(monkeypatch):
    """Users of two kinds, half of them ranked well and half badly; of 10 drawn users the share of the good is known
    from who was asked, and their scores, -1, 0 and 1, give the area: of (1, 0) to (0, 1) and back."""
    monkeypatch.setattr("fusion.evaluation.protocol.PAIRS", 2 * 10)

    def scorer(users):
        return np.where((users % 2 == 0)[:, None], np.float32([1, -1]), np.float32([0, 0]))

    nothing = history_of([], users=100)
    split = Split(nothing, nothing, history_of([(user, 0, 0) for user in range(100)], users=100))
    found = figures(scorer, split, 2, seed=1)
    asked = [set(Pool(Judgements.of(split, 2), seed=seed).users.tolist()) for seed in (1, 1, 2)]
    good = sum(user % 2 == 0 for user in asked[0]) / 10
    assert len(asked[0]) == 10 and 0 < good < 1
    # A relevant 1 beats all; a relevant 0 beats the -1 and ties with the 0.
    assert found["pooled_auc", None] == pytest.approx(good + (1 - good) * (good + (1 - good) / 2))
    assert asked[1] == asked[0] != asked[2]


def test_without_both_kinds_there_is_no_curve():
    def ones(users):
        assert len(users)
        return np.ones((len(users), 2), np.float32)

    assert figures(ones, Split(NOTHING, NOTHING, NOTHING), 2) == {}
    assert figures(ones, Split(NOTHING, NOTHING, history_of([(0, 0, 0), (0, 1, 0)], users=2)), 2) == {}
