"""Nights of a strategy and a policy of one's own, which are defined in this module and named as `module:Class`."""

from collections.abc import Callable
from datetime import date
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc
import pytest

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import no_reviews
from fusion.missing.policy import Policy
from fusion.models.content import Content
from jobs import evaluate, train
from jobs.landing.raw import Raw
from jobs.modelling.dataset import Dataset
from jobs.runtime.check_config import check
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import ItemEmbeddings, Models
from tests.fusion.worlds import tastes

STRATEGY, POLICY = f"{__name__}:Alike", f"{__name__}:Counting"


class Alike(Content):
    """Content under another name."""

    name = "alike"


class Counting(Policy):
    """Fills nothing, and counts how often it was asked to."""

    asked: ClassVar[list[int]] = []

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        pass

    def fill(self, catalog: Catalog) -> Catalog:
        self.asked.append(len(catalog))
        return catalog


@pytest.fixture
def night(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """Trains and evaluates a night under some settings of fusion, and returns its row of `models`."""
    catalog, history = tastes(users=40, items=40)
    monkeypatch.setattr(train, "check_complete", lambda night: None)
    monkeypatch.setattr(train, "warn", lambda night, catalog: None)

    def of(day: int, **fusion: object) -> dict:
        night = Night(date(2026, 11, day), Raw("raw"), lake, Config.model_validate({"fusion": fusion}))
        check(night.config)
        dataset = Dataset(catalog, history, no_reviews(), {}, f"night {day}")
        monkeypatch.setattr(train, "load", lambda night: (dataset,))
        monkeypatch.setattr(evaluate, "load", lambda night, *encoders: (dataset,) * len(encoders))
        train.run(night)
        evaluate.run(night)
        (row,) = lake.read(Models, where=pc.field("date") == night.date).to_pylist()
        return row

    return of


def test_a_strategy_of_ones_own_serves_and_is_a_reference_while_it_is_named(
    night: Callable[..., dict], lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    Counting.asked.clear()
    first = night(1, strategy=STRATEGY, missing={"policy": POLICY})
    assert first["promoted"] and first["strategy"] == STRATEGY
    assert first["model_version"].startswith("Alike-") and first["path"] == f"artifacts/{first['model_version']}"
    assert set(lake.read(ItemEmbeddings)["model_version"].to_pylist()) == {first["model_version"]}
    assert Counting.asked and set(Counting.asked) == {40}

    second = night(2, strategy="content", candidates=["content", STRATEGY])
    assert second["promoted"] and "against last_promoted (ndcg@20 +0.0000 ± 0.0000)" in second["verdict"]

    again = night(2, strategy="content", seed=5)
    assert again["promoted"] and "last_promoted" not in again["verdict"]
    assert f"{first['model_version']} is left out, a model of the strategy {STRATEGY}" in caplog.text
    assert np.isfinite(lake.read(ItemEmbeddings)["vector"].combine_chunks().flatten().to_numpy()).all()
