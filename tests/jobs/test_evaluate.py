"""Which model serves a night, and with which weights, from hand-made models and figures."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fusion.data.catalog import History
from fusion.data.reviews import Reviews
from fusion.data.splits import split_as
from fusion.evaluation.promotion import Judged, judge
from fusion.models.base import Strategy
from fusion.models.stack.model import Stack
from fusion.ranking.sigmoid import Sigmoid
from fusion.selection.bench import Trial
from fusion.training.config import FitLog
from jobs import evaluate
from jobs.landing.raw import Raw
from jobs.modelling import artifacts, earlier_models
from jobs.modelling.dataset import Dataset
from jobs.modelling.model_selection import Choice
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Explanations, ItemEmbeddings, Metrics, Models, UserEmbeddings
from tests.fusion.worlds import tastes

KINDS = tuple(evaluate.POPULATIONS)
WEIGHTS = {"autoencoder": 0.5, "content_ridge": 1.0, "popularity": 0.1}
"""All that a population needs in a world of tastes."""
INVERTED = {scorer: -weight for scorer, weight in WEIGHTS.items()}
LEAD_ON_NEW = ("cold_items", "ndcg_lead")


def weighed(model: Stack, **weights: dict[str, float]) -> Stack:
    """The model with these weights by population, and 0 for all other scorers."""
    everything = dict.fromkeys(model._scorers.names, 0.0)
    changed = Stack()
    changed.__dict__ |= model.__dict__
    changed._weights = {
        p: everything | weights.get(p, WEIGHTS) for p in ("with_history", "without_history", "new_items")
    }
    return changed


@dataclass(frozen=True)
class World:
    """A lake's data, and a stack for each part of a night's model."""

    dataset: Dataset
    parts: dict[str, Stack]


@pytest.fixture(scope="module")
def world() -> World:
    catalog, history = tastes(users=90, items=60)
    nothing = np.zeros(0, np.int32)
    dataset = Dataset(catalog, history, Reviews(nothing, nothing, nothing, np.zeros((0, 4), np.float32)), {}, "data")
    histories = {artifacts.SERVED: history}
    for kind in KINDS:
        histories[artifacts.held_out(kind)] = split_as(
            history, Config().fusion, item_ids=catalog.item_ids, kind=kind
        ).known()
    parts: dict[str, Stack] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusion.models.stack.model.fit_weights", lambda found: {})
        for part, known in histories.items():
            parts[part] = Stack()
            parts[part].fit(catalog, known, seed=1)
    return World(dataset, parts)


def evaluated(world: World, lake: Lake, day: int, changed: Callable[[Stack], Strategy], **settings: object) -> dict:
    """Evaluates a night whose parts are the world's, changed, and returns its row of `models`."""
    night = Night(date(2026, 11, day), Raw("raw"), lake, Config.model_validate({"evaluate": settings}))
    dataset = replace(world.dataset, fingerprint=f"night {day}")
    trial = Trial("stack", "stack", {}, FitLog())
    made = artifacts.identity(night, dataset, "stack", {})
    artifacts.save(night, made, {part: changed(model) for part, model in world.parts.items()}, encoders={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load", lambda night, *encoders: (dataset,) * len(encoders))
        patch.setattr(evaluate, "stored_choice", lambda night, dataset: Choice((trial,), trial))
        evaluate.run(night)
    (row,) = rows(lake, Models, day)
    return row


@pytest.fixture(scope="module")
def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose first night is promoted."""
    folder = tmp_path_factory.mktemp("served") / "lake"
    evaluated(world, Lake(str(folder)), 1, weighed)
    return folder


@pytest.fixture
def lake(served: Path, tmp_path: Path) -> Lake:
    return Lake(str(shutil.copytree(served, tmp_path / "lake")))


def rows(lake: Lake, table, day: int) -> list[dict]:
    return lake.read(table, where=pc.field("date") == date(2026, 11, day)).to_pylist()


def test_a_population_that_would_be_served_worse_keeps_the_last_weights(world: World, lake: Lake) -> None:
    """The second night ranks new items the wrong way round. Its own weights serve the others."""
    own = {scorer: 2 * weight for scorer, weight in WEIGHTS.items()}
    (first,) = rows(lake, Models, 1)
    second = evaluated(world, lake, 2, lambda model: weighed(model, with_history=own, new_items=INVERTED))
    assert first["promoted"] and second["promoted"], second["verdict"]
    assert dict(second["weights_from"]) == {"new_items": first["model_version"]} and first["weights_from"] == []
    assert "new items: WORSE than last_promoted" in second["verdict"]
    assert f"with the weights of {first['model_version']}, new items: holds its own" in second["verdict"]

    mixed = weighed(world.parts[artifacts.SERVED], with_history=own)
    catalog, history = world.dataset.catalog, world.dataset.history
    assert {row["model_version"] for row in rows(lake, ItemEmbeddings, 2)} == {second["model_version"]}
    users = [row for row in rows(lake, UserEmbeddings, 2) if row["user_id"] != "*"]
    np.testing.assert_allclose([row["vector"] for row in users], mixed.user_vectors(catalog, history), rtol=1e-6)
    np.testing.assert_allclose(
        [row["new_items_vector"] for row in users], mixed.new_item_user_vectors(catalog, history), rtol=1e-6
    )

    figures = {
        (row["model"], row["split"], row["segment"], row["metric"]): row["value"]
        for row in rows(lake, Metrics, 2)
        if row["k"] in (None, 20)
    }
    ndcg = {model: figures[model, "cold_items", "all", "ndcg"] for model in ("stack", "last_weights", "last_promoted")}
    assert ndcg["stack"] < ndcg["last_weights"] == pytest.approx(ndcg["last_promoted"])
    lead = {model: value for (model, split, _, metric), value in figures.items() if (split, metric) == LEAD_ON_NEW}
    assert {"popularity", "text_neighbours"} <= lead.keys() and lead == {
        name: pytest.approx(ndcg["last_weights"] - figures[name, "cold_items", "all", "ndcg"], abs=1e-9)
        for name in lead
    }
    assert figures["stack", "per_user", "all", "weight autoencoder"] == 2 * WEIGHTS["autoencoder"]
    assert figures["last_weights", "cold_items", "all", "weight content_ridge"] == 1.0
    assert ("stack", "cold_items", "all", "weight content_ridge") not in figures


def test_history_is_parted_from_what_everybody_likes(lake: Lake) -> None:
    users = np.array([row["vector"] for row in rows(lake, UserEmbeddings, 1) if row["user_id"] != "*"])
    items = rows(lake, ItemEmbeddings, 1)
    start, stop = dict(items[0]["blocks"])["history"]
    mean = users.mean(axis=0)[start:stop]
    common = [row["common_history"] for row in items]
    np.testing.assert_allclose(common, [np.dot(mean, row["vector"][start:stop]) for row in items], atol=1e-4)
    assert np.ptp(common) > 0.05


def test_a_place_is_explained_by_what_the_shelf_would_be_without_a_like(world: World, lake: Lake) -> None:
    model, catalog, history = weighed(world.parts[artifacts.SERVED]), world.dataset.catalog, world.dataset.history
    items, told = model.item_vectors(catalog), rows(lake, Explanations, 1)
    assert len({row["user_id"] for row in told}) == 4 and len({row["item_id"] for row in told}) > 6

    def standing(known: History, user: int, item: int) -> tuple[float, int]:
        """The item's lead over the mean of what the user has not had, and its place."""
        scores = items @ model.user_vectors(catalog, known)[user]
        others = scores[~np.isin(np.arange(len(catalog)), history.item[history.user == user])]
        return scores[item] - others.mean(), 1 + int((others > scores[item]).sum())

    for row in told[::6]:
        user = int(np.flatnonzero(history.user_ids == row["user_id"])[0])
        item, like = (int(np.flatnonzero(catalog.item_ids == row[k])[0]) for k in ("item_id", "because_item_id"))
        without = history.where(~((history.user == user) & (history.item == like)))
        (lead, rank), (lead_without, rank_without) = (standing(each, user, item) for each in (history, without))
        assert rank <= 6 and row["rank_without"] == rank_without
        assert row["owed"] == pytest.approx(lead - lead_without, rel=1e-3, abs=1e-4)


def test_the_model_that_serves_is_the_one_that_the_next_night_is_judged_against(world: World, lake: Lake) -> None:
    second = evaluated(world, lake, 2, lambda model: weighed(model, new_items=INVERTED))
    third = evaluated(world, lake, 3, weighed)
    assert (
        third["promoted"]
        and not third["weights_from"]
        and "new items: holds its own against last_promoted" in (third["verdict"])
    )
    stored = artifacts.load(Night(date(2026, 11, 2), Raw("raw"), lake, Config()), second["path"], artifacts.SERVED)
    assert stored.population_weights["new_items"]["content_ridge"] == WEIGHTS["content_ridge"]


def test_weights_that_are_no_better_on_the_new_scorers_save_no_model(world: World, lake: Lake) -> None:
    """The second night's content says the opposite of what it did: the last weights, on it, are as bad."""

    def turned(model: Stack) -> Stack:
        turned = weighed(model)
        content = model._scorers.content
        turned._scorers = replace(model._scorers, content=replace(content, own=-content.own, sources=-content.sources))
        return turned

    (first,) = rows(lake, Models, 1)
    second = evaluated(world, lake, 2, turned)
    assert first["promoted"] and not second["promoted"] and not second["weights_from"]
    assert second["best_so_far"] is None
    assert f"with the weights of {first['model_version']}, new items: WORSE than last_promoted" in second["verdict"]
    assert {row["model_version"] for row in rows(lake, ItemEmbeddings, 2)} == {first["model_version"]}
    shown = {row["model"] for row in rows(lake, Metrics, 2) if row["metric"] == "weight content_ridge"}
    assert shown == {"last_promoted"}


def test_a_stack_of_other_scorers_is_refused_as_a_whole(world: World, lake: Lake) -> None:
    def fewer(model: Stack) -> Stack:
        fewer = Stack(leave_out=["trend"])
        fewer.__dict__ |= weighed(model, new_items=INVERTED).__dict__ | {"leave_out": ("trend",)}
        fewer._scorers = replace(model._scorers, left_out=("trend",))
        return fewer

    second = evaluated(world, lake, 2, fewer)
    assert not second["promoted"] and "with the weights of" not in second["verdict"]


def test_of_many_users_a_sample_is_judged_and_the_figures_say_so(world: World, lake: Lake) -> None:
    """Of 90 users who all have held-out likes 40 are asked, the same of every model."""
    second = evaluated(world, lake, 2, weighed, max_users=40)
    assert second["promoted"] and "last_promoted" in second["verdict"]
    found = {(row["split"], row["metric"]): row["value"] for row in rows(lake, Metrics, 2) if row["k"] is None}
    assert found["per_user", "users"] == 40 and found["per_user", "user_share"] == pytest.approx(40 / 90)
    full = {(row["split"], row["metric"]): row["value"] for row in rows(lake, Metrics, 1) if row["k"] is None}
    assert full["per_user", "users"] == 90 and full["per_user", "user_share"] == 1


def test_nights_that_are_each_a_little_worse_do_not_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every night's model is .9 standard errors below the one before it, so that each would be promoted after that one.
    The second is, and then none, however many nights there are."""
    noise = np.tile([1.0, -1.0], 50)
    error = noise.std(ddof=1) / 10

    def figures(night_number: int) -> np.ndarray:
        """Of the nights' models; each but the first differs from any other by as much noise."""
        return noise * (night_number % 2) - 0.9 * night_number * error

    for number in range(1, 8):
        after = Judged("users with history", figures(number), {"last_promoted": figures(number - 1)}, 100)
        assert judge([after], figure="ndcg@20").may_serve
    monkeypatch.setattr(artifacts, "encoders_of", lambda *_: {})
    monkeypatch.setattr(artifacts, "load", lambda *_: None)
    promoted, lake = [], Lake(str(tmp_path / "lake"))
    for number in range(8):
        night = Night(date(2026, 11, 1 + number), Raw("raw"), lake, Config())
        made = artifacts.Identity("stack", f"night {number}", "", "", "")
        earlier = earlier_models.promoted_before(night)
        versions = {
            artifacts.Identity("stack", f"night {n}", "", "", "").model_version: figures(n) for n in range(number)
        }
        references = {name: versions[stored.model_version] for name, stored in earlier.items()}
        judged = {"per_user": Judged("users with history", figures(number), references, 100)}
        verdict = evaluate._verdict(night, judged, over_a_judged=number > 0)
        best = earlier.get(earlier_models.BEST_PROMOTED, earlier.get(earlier_models.LAST_PROMOTED))
        contender = evaluate.Contender(made, judged, verdict, {"with_history": Sigmoid(1.0, -2.0)})
        row = evaluate._model_row(night, contender, best=best)
        lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), {"date": night.ds})
        if verdict.may_serve:
            promoted.append(number)
    assert promoted == [0, 1]
    best_so_far = {row["best_so_far"] for row in lake.read(Models).to_pylist() if row["promoted"]}
    assert best_so_far == {artifacts.Identity("stack", "night 0", "", "", "").model_version}


def test_a_model_is_read_by_the_strategy_that_the_table_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by one that its version seems to name."""
    lake = Lake(str(tmp_path / "lake"))
    monkeypatch.setattr(artifacts, "encoders_of", lambda *_: {})
    monkeypatch.setattr(artifacts, "load", lambda *_: None)
    known = {"promoted": True, "judged": True, "close": False, "path": "artifacts/a"}
    known |= {"weights_from": [], "calibration": [("new_items", [2.0, -1.0])]}
    row = {field.name: "x" for field in Models.schema} | known
    models = [
        row | {"date": date(2026, 11, 1), "model_version": "oddly-named", "strategy": "stack"},
        row | {"date": date(2026, 11, 2), "model_version": "stack-0123", "strategy": "gone"},
    ]
    for each in models:
        lake.write(Models, pa.Table.from_pylist([each], schema=Models.schema), {"date": str(each["date"])})
    found = earlier_models.promoted_before(Night(date(2026, 11, 3), Raw("raw"), lake, Config()))
    assert {name: stored.model_version for name, stored in found.items()} == {"last_promoted": "oddly-named"}
    assert found["last_promoted"].calibration == {"new_items": Sigmoid(2.0, -1.0)}
    assert "stack-0123 is left out, a model of the strategy gone: there is none of that name any more" in caplog.text
