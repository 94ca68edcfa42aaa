"""Models side by side on one split."""

from functools import partial

import numpy as np
import pytest

from fusion.data.splits import split
from fusion.data.subsets import k_core
from fusion.evaluation.evaluate import evaluate
from fusion.models.scorer import scorer
from fusion.models.stack.model import Stack
from fusion.selection.comparison import SHOWN, Comparison, Difference, difference
from fusion.training.early_stopping import Holdout
from tests.fusion.worlds import history_of, tastes


@pytest.fixture(scope="module", autouse=True)
def equal_weights():
    """Stacks have equal weights: nothing here is about how weights are learnt, which takes most of a fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusion.models.stack.model.fit_weights", lambda found: {})
        yield


@pytest.fixture(scope="module")
def lines():
    catalog, history = tastes(users=60, items=60)
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    comparison = Comparison(lambda known: catalog, parts, default="stack", seed=3)
    found = comparison.lines(
        baselines=["popularity", "tfidf_neighbours"],
        strategies=["stack", "content"],
        missing=["mean", "none"],
        leave_out=["autoencoder"],
    )
    return catalog, parts, list(found)


def test_every_model_has_its_line(lines):
    kinds = [(line.kind, line.name) for line in lines[2]]
    assert kinds == [
        ("baseline", "popularity"),
        ("baseline", "tfidf_neighbours"),
        ("strategy", "content"),
        ("strategy", "stack"),
        ("left_out", "autoencoder"),
        ("policy", "mean"),
        ("policy", "none"),
        ("hidden", "text"),
        ("without", "text"),
        ("hidden", "image"),
        ("without", "image"),
        ("hidden", "half of each"),
        ("without", "half of each"),
    ]


def test_what_cannot_be_fitted_says_why(lines):
    without_terms = lines[2][1]
    assert "terms" in without_terms.note and np.isnan(without_terms.values).all()


def test_figures_are_those_of_the_evaluation(lines):
    catalog, parts, found = lines
    (line,) = (line for line in found if line.name == "stack")
    tuned = Stack().fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=3), seed=3)
    model = Stack()
    model.fit(catalog, parts.known(), seed=3, tuned=tuned)
    figures = evaluate(
        {"it": scorer(model, catalog, parts.known())},
        split=parts,
        split_name="per_user",
        n_items=len(catalog),
        segments=["all"],
    )
    expected = {(figure.metric, figure.k): figure.value for figure in figures}
    np.testing.assert_allclose(line.values, [expected[shown] for shown in SHOWN])
    assert [interval is not None for interval in line.intervals] == [True, True, True, False]
    assert all(
        interval.low <= value <= interval.high
        for value, interval in zip(line.values, line.intervals, strict=True)
        if interval
    )


def test_a_policy_of_doing_nothing_changes_nothing(lines):
    by_name = {(line.kind, line.name): line for line in lines[2]}
    assert by_name["policy", "none"].values == by_name["strategy", "stack"].values


def test_models_are_told_from_the_best_baseline(lines):
    p_values = {line.name: line.p_value for line in lines[2]}
    assert np.isnan(p_values["popularity"])
    assert p_values["stack"] < 0.01


def test_a_scorer_is_worth_the_difference_to_the_stack_without_it(lines):
    """Beside a paired bootstrap of the hand-made kind: the mean of the differences, between the ends."""
    catalog, parts, found = lines
    by_name = {(line.kind, line.name): line for line in found}
    stack, without = by_name["strategy", "stack"], by_name["left_out", "autoencoder"]
    model = Stack(leave_out=["autoencoder"])
    model.fit(catalog, parts.known(), seed=3)
    figures = evaluate(
        {"it": scorer(model, catalog, parts.known())}, split=parts, split_name="", n_items=len(catalog), ks=[10]
    )
    (expected,) = (f for f in figures if (f.segment, f.metric) == ("all", "ndcg"))
    np.testing.assert_array_equal(without.per_user, expected.per_user)
    worth = difference(without, stack, seed=3)
    assert worth.mean == pytest.approx((without.per_user - stack.per_user).mean())
    assert worth.low <= worth.mean <= worth.high
    assert difference(stack, stack, seed=3) == Difference(0, 0, 0)
    assert difference(stack, by_name["baseline", "tfidf_neighbours"], seed=3) is None


def test_what_chooses_by_nothing_is_fitted_once(lines):
    by_name = {(line.kind, line.name): line for line in lines[2]}
    assert by_name["strategy", "stack"].tune_s == 0
    assert by_name["strategy", "content"].tune_s > 0


def test_the_core_shrinks_until_all_that_are_left_have_enough():
    """Item 2 has one like, so user 1 is left with one, and then item 1 with one: nothing of theirs stays."""
    history = history_of([(0, 0, 1), (0, 3, 2), (1, 1, 1), (1, 2, 2), (2, 0, 1), (2, 3, 2), (2, 1, 3), (0, 1, 9, 0.0)])
    rows, items = k_core(history, 5, k=2)
    assert items.tolist() == [True, False, False, True, False]
    kept = history.where(rows)
    assert list(zip(kept.user.tolist(), kept.item.tolist(), strict=True)) == [(0, 0), (0, 3), (2, 0), (2, 3)]


@pytest.mark.parametrize("least", [1, 3])
def test_in_a_core_everyone_has_enough(least):
    random = np.random.default_rng(0)
    pairs = np.unique(random.integers(0, 12, (60, 2)), axis=0).tolist()
    history = history_of([(user, item, n) for n, (user, item) in enumerate(pairs)])
    rows, items = k_core(history, 12, k=least)
    count = partial(np.bincount, minlength=12)
    users = count(history.user[rows])
    assert ((users == 0) | (users >= least)).all()
    assert (count(history.item[rows])[items] >= least).all() and not count(history.item[rows])[~items].any()
