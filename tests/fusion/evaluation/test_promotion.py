import numpy as np
import pytest

from fusion.evaluation.promotion import Compared, Judged, comparisons, judge, paired_mean


def test_by_hand():
    """Differences 0, 0, -.3, -.1: mean -.1, squares about it .01 + .01 + .04 + 0, error sqrt(.06 / 3) / 2 = .0707."""
    found = paired_mean(np.array([0.5, 0.5, 0.2, 0.4]), np.array([0.5, 0.5, 0.5, 0.5]))
    assert found.difference == pytest.approx(-0.1)
    assert found.standard_error == pytest.approx(np.sqrt(0.02) / 2)
    assert not found.not_worse()


def test_worse_within_one_standard_error_holds():
    found = paired_mean(np.array([0.0, 0.3]), np.array([0.2, 0.2]))
    assert found.difference == pytest.approx(-0.05)
    assert found.standard_error == pytest.approx(0.15)
    assert found.not_worse()


def test_identical_holds_and_better_holds():
    same = np.array([0.1, 0.9, 0.4])
    assert paired_mean(same, same).not_worse()
    assert paired_mean(same + 0.1, same).not_worse()
    assert paired_mean(np.array([0.3]), np.array([0.3])).not_worse()


def test_constantly_worse_is_refused():
    assert not paired_mean(np.full(5, 0.1), np.full(5, 0.2)).not_worse()
    assert not paired_mean(np.array([0.1]), np.array([0.2])).not_worse()


@pytest.mark.parametrize(
    "pair", [(np.zeros(2), np.zeros(3)), (np.zeros(0), np.zeros(0)), (np.array([np.nan]), np.zeros(1))]
)
def test_nothing_to_judge(pair):
    with pytest.raises(ValueError):
        paired_mean(*pair)


SAME = np.tile([0.1, 0.9, 0.4, 0.4], 3)


def population(candidate, likes=3, **references):
    return Judged("new items", candidate, references, likes)


def test_a_model_that_is_no_worse_than_any_reference_may_serve():
    verdict = judge([population(SAME, popularity=SAME - 0.1, last_promoted=SAME)], figure="ndcg@20")
    assert verdict.may_serve
    assert str(verdict) == (
        "new items: holds its own against popularity (ndcg@20 +0.1000 ± 0.0000); "
        "new items: holds its own against last_promoted (ndcg@20 +0.0000 ± 0.0000)"
    )


def test_one_better_reference_of_one_population_is_enough_to_refuse_a_model():
    better = Judged("users with history", SAME, {"popularity": SAME - 0.1}, 3)
    verdict = judge([better, population(SAME, popularity=SAME - 0.1, last_promoted=SAME + 0.1)], figure="ndcg@20")
    assert not verdict.may_serve
    assert "new items: WORSE than last_promoted (ndcg@20 -0.1000 ± 0.0000)" in verdict.reasons


def test_with_three_populations_an_equal_model_is_kept_back_no_more_often():
    """The mean is 1.3 standard errors below 0: more than the 1 of one population, less than the 1.6 of three."""
    errors = np.tile([1.0, -1.0], 50)
    worse = errors - 1.3 * errors.std(ddof=1) / 10
    one = Judged("new items", worse, {"popularity": np.zeros(100)}, 3)
    fine = Judged("users with history", worse + 9, {"popularity": np.zeros(100)}, 3)
    assert not judge([one], figure="ndcg@20").may_serve
    assert judge([one, fine, fine], figure="ndcg@20").may_serve


TOLD = "too few held-out likes to tell anything, and the last promoted model was judged: it goes on"


@pytest.mark.parametrize("judged", [[], [population(SAME[:9], popularity=SAME[:9] - 0.1)]], ids=["none", "few"])
def test_an_untested_model_does_not_take_the_place_of_a_judged_one(judged):
    verdict = judge(judged, figure="ndcg@20", over_a_judged=True)
    assert not verdict.may_serve and not verdict.judged and verdict.reasons[-1] == TOLD
    assert judge(judged, figure="ndcg@20").may_serve


def test_a_model_that_is_judged_may_take_the_place_of_a_judged_one():
    few = Judged("new items", SAME[:9], {}, 3)
    verdict = judge([few, population(SAME, popularity=SAME)], figure="ndcg@20", over_a_judged=True)
    assert verdict.may_serve and verdict.judged and TOLD not in verdict.reasons


def test_a_population_of_few_users_is_not_judged():
    verdict = judge([population(SAME[:9], last_promoted=SAME[:9] + 0.1)], figure="ndcg@20")
    assert verdict.may_serve
    assert verdict.reasons == ("new items: not judged, 9 users of at least 10",)


def test_without_held_out_likes_there_is_nothing_to_judge_by():
    for judged in ([], [population(None, likes=0)]):
        verdict = judge(judged, figure="ndcg@20")
        assert verdict.may_serve
        assert verdict.reasons == ("no held-out likes to judge by",)


def test_held_out_likes_without_a_figure_refuse_a_model():
    verdict = judge([population(None, likes=7, popularity=SAME)], figure="ndgc@20")
    assert not verdict.may_serve
    assert str(verdict) == "new items: no ndgc@20 to judge by, though 7 likes were held out"


def test_the_populations_that_a_model_was_refused_for_are_named():
    fine = Judged("users with history", SAME, {"popularity": SAME}, 3)
    unknown = Judged("users without history", None, {"popularity": SAME}, 3)
    worse = population(SAME, popularity=SAME - 0.1, last_promoted=SAME + 0.1)
    assert judge([fine, unknown, worse], figure="ndcg@20").refused == ("users without history", "new items")
    assert judge([fine], figure="ndcg@20").refused == ()


def test_the_words_of_a_verdict_can_be_read_again():
    better = Judged("users with history", SAME, {"popularity": SAME - 0.1, "last_promoted": SAME + 0.1}, 3)
    verdict = judge([better, population(None)], figure="ndcg@20")
    found = comparisons(str(verdict))
    assert [(c.population, c.reference, c.difference, c.holds) for c in found] == [
        ("users with history", "popularity", pytest.approx(0.1), True),
        ("users with history", "last_promoted", pytest.approx(-0.1), False),
    ]
    assert [str(c) for c in found] == list(verdict.reasons[:2])


def test_of_a_population_that_was_judged_again_the_later_judgement_counts():
    first = Compared("new items", "last_promoted", "ndcg@20", -0.2, 0.01, holds=False)
    again = Compared("new items", "last_promoted", "ndcg@20", 0.1, 0.01, holds=True)
    assert comparisons(f"{first}; with the weights of stack-0, {again}; too few likes") == [again]
