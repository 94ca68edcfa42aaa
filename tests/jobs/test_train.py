"""What a night's model is chosen by and fitted on."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pytest

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews
from fusion.data.splits import Kind, split_as
from fusion.models.decision.model import Decision
from fusion.training.early_stopping import Holdout
from jobs import train
from jobs.landing.raw import Raw
from jobs.modelling.dataset import Dataset
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from tests.fusion.worlds import tastes

KINDS: tuple[Kind, ...] = ("global_time", "per_user", "cold_items")


@dataclass(frozen=True)
class Fit:
    """The pairs that a fit learns from and chooses by."""

    known: set[tuple[int, int]]
    chosen_by: set[tuple[int, int]]


def pairs(history: History) -> set[tuple[int, int]]:
    return set(zip(history.user.tolist(), history.item.tolist(), strict=True))


def test_what_is_judged_was_neither_learnt_from_nor_chosen_by(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy with a search: every trial is without the test likes of all kinds of split, whatever kind is
    configured; each model that is judged is without those of its own kind, and the one that serves has all likes."""
    catalog, history = tastes()
    nothing = np.zeros(0, np.int32)
    reviews = Reviews(nothing, nothing, nothing, np.zeros((0, 4), np.float32))
    dataset = Dataset(catalog, history, reviews, {}, "data")
    fits: list[Fit] = []
    fit = Decision.fit

    def recorded(
        self: Decision, catalog: Catalog, known: History, validation: Holdout | None = None, **options: Any
    ) -> Any:
        fits.append(Fit(pairs(known), pairs(validation.valid) if validation else set()))
        return fit(self, catalog, known, validation, **options)

    monkeypatch.setattr(Decision, "fit", recorded)
    monkeypatch.setattr(train, "load", lambda night: (dataset,))
    monkeypatch.setattr(train, "check_complete", lambda night: None)
    monkeypatch.setattr(train, "warn", lambda night, catalog: None)
    fusion = {"strategy": "decision", "tuning": {"trials": 1}}
    night = Night(date(2026, 11, 1), Raw("raw"), lake, Config.model_validate({"fusion": fusion}))
    train.run(night)

    *trials, served, by_time, by_user, cold = fits
    judged = {
        kind: pairs(split_as(history, night.config.fusion, item_ids=catalog.item_ids, kind=kind).test) for kind in KINDS
    }
    assert len(trials) == 2 and all(trial.known and trial.chosen_by for trial in trials)
    for trial in trials:
        assert not (trial.known | trial.chosen_by) & set().union(*judged.values())
    assert served.known == pairs(history)
    for kind, one in zip(KINDS, (by_time, by_user, cold), strict=True):
        assert one.known == pairs(history) - judged[kind] and not one.chosen_by
