"""What a night's configuration does to the vectors that models are given."""

import numpy as np
import pytest

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews
from jobs.modelling.dataset import State
from jobs.runtime.night import NightError
from schemas.config import Config, Fusion
from tests.fusion.worlds import catalog_of, history_of


def state(*, categories: list[str], **settings: object) -> tuple[State, Catalog, History]:
    random = np.random.default_rng(0)
    text = random.normal(size=(40, 4))
    text[:, 2] += 9 * (np.arange(40) % 2)
    text[0] = 1e4
    catalog = catalog_of(text, masks={"text": np.arange(40) < 36}, categories=categories)
    history = history_of([(0, item, item) for item in range(30)])
    none = np.zeros(0, np.int32)
    reviews = Reviews(none, none, none, np.zeros((0, 4), np.float32))
    fusion = Config.model_validate({"fusion": settings}).fusion
    return State(catalog, history, reviews, fusion, "x"), catalog, history


def test_as_configured_vectors_are_standardised_selected_and_then_filled() -> None:
    known = ["a", "b"] * 20
    select = {"method": "mutual_information", "keep": 0.25}
    night, _, history = state(
        categories=known, standardise="robust", clip=3.0, select=select, missing={"policy": "mean"}
    )
    found = night.filled(history)
    assert np.abs(found.vectors["text"]).max() == 3
    assert np.flatnonzero(found.vectors["text"].any(axis=0)).tolist() == [2]
    assert found.masks["text"].all()
    np.testing.assert_allclose(found.vectors["text"][36:, 2], found.vectors["text"][:36, 2].mean(), rtol=1e-5)
    assert night.catalog(history).vectors["text"][0, 0] == np.float32(1e4)


def test_unless_configured_they_stay_as_they_are() -> None:
    night, catalog, history = state(categories=["a"] * 40)
    np.testing.assert_array_equal(night.filled(history).vectors["text"], catalog.vectors["text"])


def test_a_night_without_categories_to_select_by_is_refused() -> None:
    night, _, history = state(categories=["a"] * 40, select={"method": "l1"})
    with pytest.raises(NightError, match=r"fusion.select: select l1: .* fewer than two categories"):
        night.filled(history)


@pytest.mark.parametrize("setting", [{"standardise": "soft"}, {"select": {"method": "luck"}}, {"select": {"keep": 0}}])
def test_settings_that_cannot_be_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error for Fusion"):
        Fusion.model_validate(setting)
