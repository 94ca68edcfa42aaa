"""Two modalities in one space."""

import numpy as np
import pytest

from fusion.crossmodal.alignment import agreement
from fusion.crossmodal.canonical import Canonical, canonical
from fusion.crossmodal.measures import retrieval_recall
from fusion.crossmodal.projected_items import ProjectedItems
from tests.fusion.crossmodal.test_crossmodal import items_of, two_modalities


def test_canonical_correlation_by_hand():
    """Both are ±1 and agree in 6 of 8 rows: their correlation is 1/2, and 1/2 / (1 + 1) with a ridge of 1."""
    x = np.array([1, 1, 1, 1, -1, -1, -1, -1.0])[:, None]
    y = np.array([1, 1, 1, -1, -1, -1, -1, 1.0])[:, None]
    first, second, *_, correlations = canonical(x, -y, dims=3, ridge=1e-12)
    np.testing.assert_allclose(correlations, [0.5])
    np.testing.assert_allclose([first, second], [[[np.sqrt(0.5)]], [[-np.sqrt(0.5)]]])
    np.testing.assert_allclose(canonical(x, y, dims=3, ridge=1.0)[-1], [0.25])


def test_canonical_correlations_do_not_hang_on_the_columns_that_tell_of_them():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(100, 3)), random.normal(size=(100, 4))
    y[:, :2] += x[:, :2]
    plain = canonical(x, y, dims=3, ridge=1e-9)[-1]
    turned = canonical(x @ random.normal(size=(3, 3)), y @ random.normal(size=(4, 4)) + 5, dims=3, ridge=1e-9)[-1]
    np.testing.assert_allclose(turned, plain, rtol=1e-4)
    assert (np.diff(plain) <= 0).all()


def test_an_item_s_other_modality_is_found_among_those_held_out():
    items = two_modalities(400)
    train, rest = items.where(np.arange(300)), items.where(np.arange(300, 400))
    alignment = Canonical(dims=3, ridge=0.01)
    alignment.fit(train, seed=0)
    text, image = alignment.embed(rest, "text", "image")
    assert retrieval_recall(text, image, 5) > 0.7
    assert retrieval_recall(image, text, 5) > 0.7
    swapped = alignment.embed(rest, "image", "text")
    np.testing.assert_array_equal(swapped[0], image)
    np.testing.assert_array_equal(swapped[1], text)


def test_a_missing_modality_agrees_with_nothing_and_two_fits_give_the_same_bits():
    items = two_modalities(60)
    masks = {"text": np.arange(60) % 3 > 0, "image": np.arange(60) % 4 > 0}
    items = items_of(masks=masks, **items.x)
    first, second = Canonical(dims=3, ridge=0.01), Canonical(dims=3, ridge=0.01)
    first.fit(items, seed=3)
    second.fit(items, seed=3)
    found = agreement(first, items, "text", "image")
    np.testing.assert_array_equal(found, agreement(second, items, "text", "image"))
    assert not found[~items.both("text", "image")].any()
    assert (np.abs(found) <= 1 + 1e-6).all()


def test_too_little_to_learn_from():
    items = items_of(text=np.ones((1, 2)), image=np.ones((1, 3)), audio=np.ones((1, 2)), masks={"audio": [False]})
    alignment = Canonical(dims=3, ridge=0.01)
    alignment.fit(items, seed=0)
    for pair in items.pairs:
        assert np.isfinite(agreement(alignment, items, *pair)).all()
    alignment.fit(ProjectedItems({}, {}), seed=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Canonical(dims=0), "dims 0"),
        (lambda: Canonical(ridge=0.0), r"ridge 0\.0"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
