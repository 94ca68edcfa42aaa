"""Two modalities in one space."""

import numpy as np
import pytest

from fusion.crossmodal.alignment import agreement
from fusion.crossmodal.canonical import Canonical, canonical
from fusion.crossmodal.contrastive import FIRST_TEMPERATURE, Contrastive, info_nce, symmetric_info_nce
from fusion.crossmodal.measures import retrieval_recall
from fusion.crossmodal.projected_items import ProjectedItems
from tests.fusion.crossmodal.test_crossmodal import items_of, two_modalities

QUICK = {"dims": 8, "noise": 0.1, "epochs": 40, "batch_size": 64, "learning_rate": 0.01}
MAKERS = {"cca": lambda: Canonical(dims=3, ridge=0.01), "infonce": lambda: Contrastive(**QUICK)}


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


def test_info_nce_by_hand():
    """Row 0 gives its own 3/4 of all, row 1 1/2."""
    logits = np.array([[np.log(3), 0], [7.0, 7.0]])
    assert info_nce(logits, np.ones(2), np.ones(2), xp=np) == pytest.approx((np.log(4 / 3) + np.log(2)) / 2)


def test_what_is_missing_neither_asks_nor_is_asked_for():
    logits = np.random.default_rng(0).normal(size=(4, 4))
    queries, targets = np.array([1.0, 1, 1, 0]), np.array([1.0, 1, 0, 1])
    found = info_nce(logits, queries, targets, xp=np)
    odds = np.exp(logits[:2][:, [0, 1, 3]])
    assert found == pytest.approx(-np.log(np.diagonal(odds[:, :2]) / odds.sum(axis=1)).mean())
    assert info_nce(logits, np.zeros(4), targets, xp=np) == 0


def test_both_directions_count():
    one = np.array([[1.0, 0], [0, 1.0]])
    other = np.array([[1.0, 0], [1.0, 0]])
    masks = (np.ones(2), np.ones(2))
    e = np.exp(1 / 0.5)
    there = np.log(2)
    back = (-np.log(e / (e + 1)) - np.log(1 / (e + 1))) / 2
    assert symmetric_info_nce(one, other, masks, 0.5, xp=np) == pytest.approx((there + back) / 2)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.slow
def test_an_item_s_other_modality_is_found_among_those_held_out(name):
    items = two_modalities(400)
    train, rest = items.where(np.arange(300)), items.where(np.arange(300, 400))
    alignment = MAKERS[name]()
    alignment.fit(train, seed=0)
    text, image = alignment.embed(rest, "text", "image")
    assert retrieval_recall(text, image, 5) > 0.7
    assert retrieval_recall(image, text, 5) > 0.7
    swapped = alignment.embed(rest, "image", "text")
    np.testing.assert_array_equal(swapped[0], image)
    np.testing.assert_array_equal(swapped[1], text)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.slow
def test_a_missing_modality_agrees_with_nothing_and_two_fits_give_the_same_bits(name):
    items = two_modalities(60)
    masks = {"text": np.arange(60) % 3 > 0, "image": np.arange(60) % 4 > 0}
    items = items_of(masks=masks, **items.x)
    first, second = MAKERS[name](), MAKERS[name]()
    first.fit(items, seed=3)
    second.fit(items, seed=3)
    found = agreement(first, items, "text", "image")
    np.testing.assert_array_equal(found, agreement(second, items, "text", "image"))
    assert not found[~items.both("text", "image")].any()
    assert (np.abs(found) <= 1 + 1e-6).all()


@pytest.mark.parametrize("name", MAKERS)
def test_too_little_to_learn_from(name):
    items = items_of(text=np.ones((1, 2)), image=np.ones((1, 3)), audio=np.ones((1, 2)), masks={"audio": [False]})
    alignment = MAKERS[name]()
    alignment.fit(items, seed=0)
    for pair in items.pairs:
        assert np.isfinite(agreement(alignment, items, *pair)).all()
    alignment.fit(ProjectedItems({}, {}), seed=0)


@pytest.mark.slow
def test_three_modalities_share_one_space():
    items = two_modalities(300)
    items = items_of(**items.x, audio=-items.x["text"][:, :4], masks={"audio": np.arange(300) % 2 == 0})
    alignment = MAKERS["infonce"]()
    alignment.fit(items, seed=0)
    audio, image = alignment.embed(items.where(items.both("audio", "image")), "audio", "image")
    assert retrieval_recall(audio, image, 10) > 0.5
    assert alignment.temperature >= 0.01
    assert alignment.temperature != pytest.approx(FIRST_TEMPERATURE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Canonical(dims=0), "dims 0"),
        (lambda: Canonical(ridge=0.0), r"ridge 0\.0"),
        (lambda: Contrastive(hidden=-1), "hidden -1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
