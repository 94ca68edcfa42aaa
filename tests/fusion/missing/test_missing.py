"""What every policy for missing modalities promises, and each one's figures by hand."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fusion.missing import registry
from fusion.missing.policy import Fill, filled
from schemas.table import MODALITIES
from tests.fusion.worlds import catalog_of, history_of

QUICK = {"generator": {"settings": {"hidden": 4, "epochs": 1}}}
FILLING = ["generator", "mean", "median", "neighbours", "regression"]


def fitted(name, catalog, likes, parameters=None):
    policy = registry.create(name, QUICK.get(name, {}) if parameters is None else parameters)
    policy.fit(catalog, likes, seed=3)
    return policy


def world(seed=0, n=24, *, first=0, has=0.7):
    """Text and image of n items that are two noisy views of the same three numbers, each there for a share of them."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(n, 3))
    text, image = (truth @ random.normal(size=(3, d)) + 0.1 * random.normal(size=(n, d)) for d in (5, 4))
    masks = {"text": random.random(n) < has, "image": random.random(n) < has}
    likes = history_of([(u, i, u * n + i) for u in range(9) for i in random.choice(n, 4, replace=False)], users=9)
    return catalog_of(text, image=image, masks=masks, ids=[f"i{first + k:04d}" for k in range(n)]), likes


def test_an_unknown_policy_is_refused_with_the_list():
    with pytest.raises(ValueError, match="'mode': unknown; choose one of drop, generator, mean, median, neighbours"):
        registry.create("mode")
    with pytest.raises(ValueError, match=r"'neighbours'.*damping"):
        registry.create("neighbours", {"damping": 0.85})


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("neighbours", {"neighbours": 0}, "neighbours 0"),
        ("regression", {"dims": 0}, "dims 0"),
        ("generator", {"settings": {"latent": 0}}, "latent 0"),
        ("generator", {"settings": {"width": 3}}, "'vae'.*width"),
    ],
)
def test_arguments_out_of_range_are_refused(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        registry.create(name, parameters)


@pytest.mark.parametrize("name", FILLING)
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
@example(seed=1687)
def test_what_was_observed_stays_and_gaps_are_filled(name, seed):
    catalog, likes = world(seed % 50, has=0.1 + 0.8 * (seed % 7) / 6)
    before = {m: catalog.vectors[m].copy() for m in MODALITIES}
    least = 1 if name in ("mean", "median") else 2
    full = fitted(name, catalog, likes).fill(catalog)
    for m in MODALITIES:
        mask = catalog.masks[m]
        np.testing.assert_array_equal(full.vectors[m][mask], before[m][mask])
        np.testing.assert_array_equal(catalog.vectors[m], before[m])
        assert (full.masks[m] == (mask | (mask.sum() >= least))).all()
        assert np.isfinite(full.vectors[m]).all()
        assert full.vectors[m].dtype == np.float32


@pytest.mark.parametrize("name", FILLING)
def test_nothing_is_learnt_from_rows_that_the_mask_hides(name):
    catalog, likes = world()
    vectors = {m: np.where(catalog.masks[m][:, None], x, 1e6).astype(np.float32) for m, x in catalog.vectors.items()}
    spoilt = type(catalog)(catalog.item_ids, vectors, catalog.masks, catalog.categories)
    clean = fitted(name, catalog, likes).fill(catalog)
    again = fitted(name, spoilt, likes).fill(spoilt)
    for m in ("text", "image"):
        np.testing.assert_array_equal(again.vectors[m], clean.vectors[m])


@pytest.mark.parametrize("name", registry.POLICIES)
def test_two_fits_fill_a_catalog_of_other_items_alike(name):
    catalog, likes = world()
    other, _ = world(1, n=10, first=18)
    found, expected = (fitted(name, catalog, likes).fill(other) for _ in range(2))
    for m in MODALITIES:
        np.testing.assert_array_equal(found.vectors[m], expected.vectors[m])
        np.testing.assert_array_equal(found.masks[m], expected.masks[m])


@pytest.mark.parametrize("name", FILLING)
def test_what_an_item_gets_does_not_hang_on_those_beside_it(name):
    catalog, likes = world()
    policy = fitted(name, catalog, likes)
    whole = policy.fill(catalog)
    few = type(catalog)(
        catalog.item_ids[5:12],
        {m: x[5:12] for m, x in catalog.vectors.items()},
        {m: mask[5:12] for m, mask in catalog.masks.items()},
        catalog.categories[5:12],
    )
    part = policy.fill(few)
    for m in ("text", "image"):
        np.testing.assert_allclose(part.vectors[m], whole.vectors[m][5:12], atol=1e-5)


@pytest.mark.parametrize("name", registry.POLICIES)
def test_an_empty_catalog_and_one_with_nothing(name):
    for catalog in (catalog_of(n=0), catalog_of(n=3)):
        full = fitted(name, catalog, history_of([(0, 0, 1)] if len(catalog) else [])).fill(catalog)
        assert not any(mask.any() for mask in full.masks.values())


def by_hand():
    text = np.array([[1, 10], [2, 10], [9, 10], [0, 0]], np.float32)
    return catalog_of(text, masks={"text": [True, True, True, False]}), history_of([(0, 0, 1)])


def test_mean_and_median_by_hand():
    catalog, likes = by_hand()
    np.testing.assert_allclose(fitted("mean", catalog, likes).fill(catalog).vectors["text"][3], [4, 10])
    np.testing.assert_allclose(fitted("median", catalog, likes).fill(catalog).vectors["text"][3], [2, 10])
    assert fitted("none", catalog, likes).fill(catalog) is catalog


def test_drop_hides_items_that_lack_what_half_have():
    """Text is had by three of four and image by two: both are usual; audio, had by one, is not."""
    masks = {
        "text": [True, True, True, False],
        "image": [True, False, True, False],
        "audio": [False, False, False, True],
    }
    catalog = catalog_of(np.ones((4, 2)), image=np.ones((4, 2)), audio=np.ones((4, 2)), masks=masks)
    full = fitted("drop", catalog, history_of([(0, 0, 1)])).fill(catalog)
    assert full.masks["text"].tolist() == full.masks["image"].tolist() == [True, False, True, False]
    assert not full.masks["audio"].any()
    assert not full.vectors["audio"][3].any()


def test_regression_tells_a_modality_from_another():
    """Image is text through a matrix; a ridge with its least penalty tells it to within its shrinkage."""
    random = np.random.default_rng(0)
    text = random.normal(size=(200, 3))
    image = text @ random.normal(size=(3, 4))
    has = np.arange(200) < 180
    catalog = catalog_of(text, image=image, masks={"image": has})
    full = fitted("regression", catalog, history_of([(0, 0, 1)])).fill(catalog)
    np.testing.assert_allclose(full.vectors["image"][~has], image[~has], atol=0.1)


@pytest.mark.slow
def test_what_is_generated_is_nearer_the_truth_than_the_mean_and_the_same_every_time():
    random = np.random.default_rng(0)
    text = random.normal(size=(150, 3))
    image = text @ random.normal(size=(3, 4))
    has = np.arange(150) < 120
    catalog, likes = catalog_of(text, image=image, masks={"image": has}), history_of([(0, 0, 1)])
    parameters = {"settings": {"hidden": 16, "noise": 0.1, "epochs": 20, "batch_size": 32, "learning_rate": 0.01}}
    first, second = (fitted("generator", catalog, likes, parameters) for _ in range(2))
    made = first.fill(catalog).vectors["image"]
    np.testing.assert_array_equal(second.fill(catalog).vectors["image"], made)
    error = ((made - image)[~has] ** 2).mean()
    assert error < 0.3 * ((image[has].mean(axis=0) - image[~has]) ** 2).mean()


def test_neighbours_by_hand():
    """Item 3 has no content and is liked with 0 and 1, as often as they are: both count the same."""
    catalog, _ = by_hand()
    likes = history_of([(0, 0, 1), (0, 3, 2), (1, 1, 1), (1, 3, 2), (2, 2, 1)])
    full = fitted("neighbours", catalog, likes, {"neighbours": 2}).fill(catalog)
    np.testing.assert_allclose(full.vectors["text"][3], [1.5, 10], atol=1e-5)
    alone = history_of([(0, 0, 1), (1, 3, 2)])
    np.testing.assert_allclose(
        fitted("neighbours", catalog, alone).fill(catalog).vectors["text"][3], [4, 10], atol=1e-5
    )


def test_an_observed_row_cannot_be_filled():
    catalog, _ = by_hand()
    with pytest.raises(ValueError, match="observed"):
        filled(catalog, {"text": Fill(np.array([0]), np.zeros((1, 2), np.float32))})


def test_a_width_unlike_the_fitted_is_refused():
    catalog, likes = by_hand()
    policy = fitted("mean", catalog, likes)
    other = catalog_of(np.ones((2, 5)), masks={"text": [True, False]})
    with pytest.raises(ValueError, match="width 5: expected 2"):
        policy.fill(other)
