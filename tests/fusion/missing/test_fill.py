"""What a night's configuration does to the vectors that models are given."""

import numpy as np
import pytest

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews, with_reviews
from fusion.data.standardise import SelectionError
from fusion.missing.fill import model_input
from schemas.config import Config, Fusion
from tests.fusion.worlds import catalog_of, history_of

NOBODY = np.zeros(0, np.int32)
REVIEWS = Reviews(NOBODY, NOBODY, NOBODY, np.zeros((0, 4), np.float32))


def world(*, categories: list[str]) -> tuple[Catalog, History]:
    """Forty items, of which four lack the text; the third column alone follows the parity of their places."""
    random = np.random.default_rng(0)
    text = random.normal(size=(40, 4))
    text[:, 2] += 9 * (np.arange(40) % 2)
    text[0] = 1e4
    catalog = catalog_of(text, masks={"text": np.arange(40) < 36}, categories=categories)
    return catalog, history_of([(0, item, item) for item in range(30)])


def configured(**settings: object) -> Fusion:
    return Config.model_validate({"fusion": settings}).fusion


def test_as_configured_vectors_are_standardised_selected_and_then_filled() -> None:
    catalog, history = world(categories=["a", "b"] * 20)
    select = {"method": "mutual_information", "keep": 0.25}
    how = configured(standardise="robust", clip=3.0, select=select, missing={"policy": "mean"})
    found = model_input(catalog, REVIEWS, history, how)
    assert np.abs(found.vectors["text"]).max() == 3
    assert np.flatnonzero(found.vectors["text"].any(axis=0)).tolist() == [2]
    assert found.masks["text"].all()
    np.testing.assert_allclose(found.vectors["text"][36:, 2], found.vectors["text"][:36, 2].mean(), rtol=1e-5)
    plain = with_reviews(catalog, REVIEWS, history, share=how.review_share)
    assert plain.vectors["text"][0, 0] == np.float32(1e4)


def test_unless_configured_they_stay_as_they_are() -> None:
    catalog, history = world(categories=["a"] * 40)
    found = model_input(catalog, REVIEWS, history, configured())
    np.testing.assert_array_equal(found.vectors["text"], catalog.vectors["text"])


def test_a_night_without_categories_to_select_by_is_refused() -> None:
    catalog, history = world(categories=["a"] * 40)
    with pytest.raises(SelectionError, match=r"fusion.select l1: .* fewer than two categories"):
        model_input(catalog, REVIEWS, history, configured(select={"method": "l1"}))


@pytest.mark.parametrize("setting", [{"standardise": "soft"}, {"select": {"method": "luck"}}, {"select": {"keep": 0}}])
def test_settings_that_cannot_be_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error for Fusion"):
        Fusion.model_validate(setting)
