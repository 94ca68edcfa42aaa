"""Which strategy validation likes prefer, and the search for its parameters."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fusion.data.catalog import Split
from fusion.data.splits import split
from fusion.evaluation.evaluate import evaluate
from fusion.evaluation.promotion import clearly_best
from fusion.models import registry
from fusion.models.registry import STRATEGIES, create
from fusion.models.scorer import scorer
from fusion.selection.bench import Bench, Trial, best_trial, select_trial
from fusion.selection.search import Budget, search, space
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from tests.fusion.worlds import tastes


def bench(*, kind="per_user", checkpoints=None) -> tuple[Bench, Split]:
    catalog, history = tastes()
    parts = split(history, kind=kind, test_share=0.2, valid_share=0.1, item_ids=catalog.item_ids, seed=1)
    return Bench(catalog, parts, metric="ndcg", k=10, seed=1, checkpoints=checkpoints), parts


def trial(name: str, per_user: list[float] | None) -> Trial:
    values = np.array(per_user or [], np.float64)
    return Trial(name, name, {}, FitLog(), None if per_user is None else float(values.mean()), per_user=values)


def test_the_first_is_kept_unless_another_is_clearly_better() -> None:
    """Differences to the first: 0.1 ± 0.18 is not clear, 0.4 ± 0.12 is."""
    first = np.array([0.4, 0.4, 0.4, 0.4])
    unclear, clear = first + np.array([-0.3, -0.1, 0.3, 0.5]), first + np.array([0.2, 0.2, 0.6, 0.6])
    assert (clear - first).std(ddof=1) / 2 == pytest.approx(0.1155, abs=1e-4)
    assert (unclear - first).std(ddof=1) / 2 == pytest.approx(0.1826, abs=1e-4)
    assert clearly_best([first, unclear]) == 0
    assert clearly_best([first, unclear, clear]) == 2


def test_the_selected_trial() -> None:
    first, worse, better = trial("a", [0.1, 0.2, 0.3]), trial("b", [0.1, 0.1, 0.1]), trial("c", [0.5, 0.6, 0.7])
    assert select_trial([first, worse, better]).name == "c"
    assert select_trial([better, worse, first]).name == "c"
    assert select_trial([trial("a", None), trial("b", None)]).name == "a"


def test_the_best_trial_has_the_highest_figure() -> None:
    trials = [trial("a", [0.1, 0.3]), trial("b", [0.5, 0.0]), trial("c", [0.25, 0.25])]
    assert best_trial(trials).name == "b"
    assert best_trial([*trials[::2], trial("d", None)]).name == "c"
    assert best_trial([trial("a", [0.2]), trial("b", [0.2])]).name == "a"
    assert best_trial([trial("a", None), trial("b", None)]).name == "a"


def test_a_trial_is_judged_by_the_validation_likes_over_the_whole_catalog() -> None:
    subject, parts = bench()
    found = subject.attempt("decision", "decision", {"rank": 8})
    catalog, _ = tastes()
    model = create("decision", {"rank": 8})
    model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1)
    figures = evaluate(
        {"m": scorer(model, catalog, parts.train)}, split=parts.tuning(), split_name="", n_items=len(catalog)
    )
    (expected,) = (f for f in figures if (f.segment, f.metric, f.k) == ("all", "ndcg", 10))
    assert found.value == expected.value > 0
    assert found.low < found.value < found.high
    assert (
        found.fitted.choices == model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1).choices
    )


def test_a_trial_that_is_kept_is_not_made_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench(checkpoints=tmp_path)[0].attempt("a b", "decision", {"rank": 8})
    assert Trial.from_dict(json.loads(json.dumps(first.as_dict()))) == first
    fit = registry.strategy("decision").fit
    monkeypatch.setattr(registry.strategy("decision"), "fit", lambda *_, **__: pytest.fail("fitted again"))
    again = bench(checkpoints=tmp_path)[0].attempt("a b", "decision", {"rank": 8})
    assert again == first
    np.testing.assert_array_equal(again.per_user, first.per_user)
    monkeypatch.setattr(registry.strategy("decision"), "fit", fit)
    assert bench(checkpoints=tmp_path)[0].attempt("a b", "decision", {"rank": 4}).parameters == {"rank": 4}


def test_test_likes_play_no_part_in_a_trial() -> None:
    subject, parts = bench()
    catalog, _ = tastes()
    blind = replace(parts, test=parts.test.where(np.zeros(len(parts.test), np.bool_)))
    other = Bench(catalog, blind, metric="ndcg", k=10, seed=1)
    assert subject.attempt("a", "decision", {}).value == other.attempt("a", "decision", {}).value


def test_cold_items_are_ranked_among_themselves() -> None:
    subject, _ = bench(kind="cold_items")
    assert subject.attempt("content", "content", {}).value > 0.5


def test_a_search_ends_with_its_trials_and_is_the_same_again() -> None:
    runs = []
    for _ in range(2):
        subject, _ = bench()
        start = subject.attempt("decision", "decision", {"dims": 4})
        runs.append(search(subject, start, Budget(trials=4)))
    assert [t.name for t in runs[0]] == [f"decision trial {n}" for n in (1, 2, 3, 4)]
    assert [(t.parameters, t.value) for t in runs[0]] == [(t.parameters, t.value) for t in runs[1]]
    assert {t.parameters["dims"] for t in runs[0]} == {4}
    assert len({t.parameters["ridge"] for t in runs[0]}) == 4


def test_a_search_ends_when_its_minutes_are_over() -> None:
    subject, _ = bench()
    start = subject.attempt("decision", "decision", {})
    assert len(search(subject, start, Budget(minutes=1e-9))) == 0
    assert len(search(subject, start, Budget(trials=2, minutes=60))) == 2


def test_a_search_may_start_outside_of_its_space() -> None:
    subject, _ = bench()
    start = subject.attempt("decision", "decision", {"decay": 1000.0})
    (found,) = search(subject, start, Budget(trials=1))
    assert found.parameters["decay"] <= 100


def test_nothing_is_searched_where_there_is_nothing_to_choose() -> None:
    subject, _ = bench()
    assert search(subject, subject.attempt("content", "content", {}), Budget(trials=3)) == []
    assert search(subject, trial("decision", None), Budget(trials=3)) == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_space_is_of_parameters_and_holds_the_defaults(name: str) -> None:
    defaults = registry.create(name).parameters()
    for parameter, limits in space(name).items():
        value = defaults[parameter]
        assert limits.to_external_repr(limits.to_internal_repr(value)) == value
        for edge in (getattr(limits, "low", None), getattr(limits, "high", None)):
            if edge is not None:
                assert limits.low <= value <= limits.high
                create(name, {parameter: edge})
