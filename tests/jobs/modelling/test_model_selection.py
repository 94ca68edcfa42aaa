"""What a night chooses, keeps and takes over from the nights before it."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fusion.data.reviews import Reviews
from fusion.data.splits import split_as
from fusion.models.registry import strategy
from fusion.selection.bench import Bench
from jobs.landing.raw import Raw
from jobs.modelling.artifacts import identity
from jobs.modelling.dataset import Dataset
from jobs.modelling.model_selection import choose, metric_rows, stored_choice
from jobs.runtime.night import Night, NightError
from lake import files
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Metrics
from tests.fusion.worlds import tastes


def a_dataset(fingerprint: str = "data") -> Dataset:
    nobody = np.zeros(0, np.int32)
    reviews = Reviews(nobody, nobody, nobody, np.zeros((0, 4), np.float32))
    return Dataset(*tastes(), reviews, {"text": "toy"}, fingerprint)


def a_night(lake: Lake, day: int, **fusion) -> Night:
    config = Config.model_validate({"fusion": {"candidates": ["decision", "content"], **fusion}})
    return Night(date(2026, 11, day), Raw("raw"), lake, config)


def choice_of(night: Night, dataset: Dataset):
    parts = split_as(dataset.history, night.config.fusion, item_ids=dataset.catalog.item_ids)
    return choose(night, dataset, parts)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all trials made in the test."""
    made: list[str] = []
    attempt = Bench.attempt

    def counted(self, name, *arguments, **options):
        made.append(name)
        return attempt(self, name, *arguments, **options)

    monkeypatch.setattr(Bench, "attempt", counted)
    return made


def test_a_choice_is_made_once_from_the_same_data_and_configuration(lake: Lake, attempts: list[str]) -> None:
    night, dataset = a_night(lake, 1), a_dataset()
    with pytest.raises(NightError, match="run `train` again"):
        stored_choice(night, dataset)
    first = choice_of(night, dataset)
    assert attempts == ["decision", "content"]
    assert choice_of(night, dataset) == stored_choice(night, dataset) == first
    assert attempts == ["decision", "content"]
    choice_of(night, replace(dataset, fingerprint="more data"))
    choice_of(a_night(lake, 1, candidates=["content", "decision"]), dataset)
    assert attempts == ["decision", "content"] * 2 + ["content", "decision"]


def test_the_trial_that_validation_likes_prefer_is_the_choice(lake: Lake) -> None:
    choice = choice_of(a_night(lake, 1, candidates=["content", "decision"]), a_dataset())
    values = {trial.strategy: trial.value for trial in choice.trials}
    assert choice.best.strategy == max(values, key=values.__getitem__)


def test_a_named_strategy_is_the_choice(lake: Lake) -> None:
    choice = choice_of(a_night(lake, 1, strategy="content"), a_dataset())
    assert [trial.name for trial in choice.trials] == ["content"]


def test_content_alone_is_chosen_where_likes_are_few(lake: Lake) -> None:
    choice = choice_of(a_night(lake, 1, min_likes=10_000), a_dataset())
    assert [trial.strategy for trial in choice.trials] == ["content"]


def test_later_nights_take_over_what_a_search_found(lake: Lake, attempts: list[str]) -> None:
    settings = {"strategy": "decision", "tuning": {"trials": 3}}
    dataset = a_dataset()
    first = choice_of(a_night(lake, 2, **settings), dataset)
    searched = ["decision", "decision trial 1", "decision trial 2", "decision trial 3"]
    assert attempts == [trial.name for trial in first.trials] == searched
    later = choice_of(a_night(lake, 3, **settings), replace(dataset, fingerprint="next night"))
    assert attempts == [*searched, "decision"]
    assert later.best.parameters == first.best.parameters
    earlier = choice_of(a_night(lake, 1, **settings), replace(dataset, fingerprint="night before"))
    assert len(earlier.trials) == 4
    assert choice_of(a_night(lake, 2, **settings), dataset) != later


def test_a_rerun_keeps_what_its_own_search_found(lake: Lake, attempts: list[str]) -> None:
    night = a_night(lake, 2, strategy="decision", tuning={"trials": 1, "minutes": 10})
    first = choice_of(night, a_dataset())
    assert choice_of(night, a_dataset()) == first
    assert attempts == ["decision", "decision trial 1"]


def test_a_search_that_was_killed_goes_on_to_the_same_trials(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, dataset = {"strategy": "decision", "tuning": {"trials": 3}}, a_dataset()
    undisturbed = choice_of(a_night(Lake(str(tmp_path / "other")), 1, **settings), dataset)
    fitted = []
    fit = strategy("decision").fit

    def killed(self, *arguments, **options):
        fitted.append(self)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit(self, *arguments, **options)

    monkeypatch.setattr(strategy("decision"), "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        choice_of(a_night(lake, 1, **settings), dataset)
    resumed = choice_of(a_night(lake, 1, **settings), dataset)
    assert len(fitted) == 5, "the third fit was made again, and the fourth"

    def figures(choice):
        return [(trial.name, trial.parameters, trial.value) for trial in (*choice.trials, choice.best)]

    assert figures(resumed) == figures(undisturbed)


def test_without_reuse_every_night_searches(lake: Lake, attempts: list[str]) -> None:
    settings = {"strategy": "decision", "tuning": {"trials": 1, "reuse": False}}
    for day in (1, 2):
        choice_of(a_night(lake, day, **settings), a_dataset(f"night {day}"))
    assert attempts == ["decision", "decision trial 1"] * 2
    assert not files.local(lake, "tuned").exists(), "nobody would read what was found"


def test_a_choice_names_its_model_and_the_searches_that_it_rests_on(lake: Lake) -> None:
    """The searching night's choice rests on its own search, the next night's on that; it says which model it led to."""
    settings = {"strategy": "decision", "tuning": {"trials": 1}}
    dataset = a_dataset()
    for day in (1, 2):
        choice_of(a_night(lake, day, **settings), dataset)
    (search,) = files.local(lake, "tuned").rglob("*.json")
    stored = [files.read_json(lake, f"choices/{name}") for name in files.names(lake, "choices")]
    assert [choice["found_in"] for choice in stored] == [[f"tuned/{search.parent.name}/2026-11-01.json"]] * 2
    best = stored_choice(a_night(lake, 2, **settings), dataset).best
    made = identity(a_night(lake, 2, **settings), dataset, best.strategy, best.parameters)
    assert {choice["model"] for choice in stored} == {made.path}


def test_another_search_is_not_taken_over(lake: Lake, attempts: list[str]) -> None:
    choice_of(a_night(lake, 1, strategy="decision", tuning={"trials": 1}), a_dataset())
    choice_of(a_night(lake, 2, strategy="decision", tuning={"trials": 2}), a_dataset())
    assert attempts[2:] == ["decision", "decision trial 1", "decision trial 2"]


def test_checkpoints_are_gone_once_the_choice_is_made(lake: Lake) -> None:
    choice_of(a_night(lake, 1), a_dataset())
    (made,) = files.names(lake, "choices")
    assert sorted(path.name for path in files.local(lake, "choices").iterdir()) == [made]


def test_every_trial_has_metric_rows_with_the_parameters_of_a_search(lake: Lake) -> None:
    night = a_night(lake, 1, tuning={"trials": 1})
    choice = choice_of(night, a_dataset())
    rows = metric_rows(night, choice)
    table = [{"date": night.date, "model_version": "m", **row} for row in rows]
    assert pa.Table.from_pylist(table, schema=Metrics.schema).num_rows == len(rows)
    figures = {row["model"]: row["value"] for row in rows if row["metric"] == "ndcg"}
    assert figures == {trial.name: trial.value for trial in choice.trials}
    assert {row["split"] for row in rows} == {"global_time validation"}
    (searched,) = (trial for trial in choice.trials if trial.name != trial.strategy)
    parameters = {row["metric"]: row["value"] for row in rows if row["metric"].startswith("parameter ")}
    assert parameters == {f"parameter {name}": value for name, value in searched.parameters.items()}
