"""Vectors are standardised and columns selected by what training items tell, and by nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from fusion.data.standardise import prepare_vectors, robust_scale
from tests.fusion.worlds import catalog_of, history_of


def world(n=200):
    """Six columns of text, of which 1 and 4 tell the category; half the items were done something with, half not."""
    random = np.random.default_rng(0)
    label = np.arange(n) % 2
    text = random.normal(size=(n, 6))
    text[:, 1] += 4 * label
    text[:, 4] -= 4 * label
    masks = {"text": np.arange(n) % 7 > 0}
    catalog = catalog_of(text, image=random.normal(size=(n, 3)), masks=masks, categories=np.array(["a", "b"])[label])
    return catalog, history_of([(0, item, item) for item in range(n // 2)])


def test_robust_scale_by_hand():
    """Quartiles of 0, 1, 2, 3, 1000 are 1, 2, 3; of 5, 5, 5, 5, 10 all 5, with standard deviation 2."""
    median, deviation = robust_scale(np.array([[0, 5], [1, 5], [2, 5], [3, 5], [1000, 10]], np.float64))
    np.testing.assert_allclose(median, [2, 5])
    np.testing.assert_allclose(deviation, [2 / 1.349, 2])


def test_robust_standardisation_by_hand():
    """Of 0 to 3 and 1000 the median is 2 and the deviation 2 / 1.349; what is beyond two deviations is clipped, also in
    an item that nobody has touched, and a missing text stays 0."""
    catalog = catalog_of([[0.0], [1], [2], [3], [1000], [-50], [7]], masks={"text": [True] * 6 + [False]})
    found = prepare_vectors(catalog, history_of([(0, i, i) for i in range(5)]), standardise="robust", clip=2.0, seed=0)
    np.testing.assert_allclose(found.vectors["text"][:, 0], [-1.349, -1.349 / 2, 0, 1.349 / 2, 2, -2, 0], rtol=1e-6)
    assert found.masks is catalog.masks
    assert catalog.vectors["text"][4, 0] == 1000


def test_outliers_do_not_move_what_the_others_become():
    catalog, known = world()
    spoilt = {**catalog.vectors, "image": catalog.vectors["image"].copy()}
    spoilt["image"][:2] = 1e6
    clean, found = (
        prepare_vectors(c, known, standardise="robust", seed=0) for c in (catalog, replace(catalog, vectors=spoilt))
    )
    np.testing.assert_allclose(found.vectors["image"][2:], clean.vectors["image"][2:], atol=0.3)
    assert np.abs(found.vectors["image"]).max() == 5


@pytest.mark.parametrize("settings", [{"standardise": "robust"}, {"select": "mutual_information"}, {"select": "l1"}])
def test_only_training_items_are_learnt_from(settings):
    catalog, known = world()
    others = np.arange(len(catalog)) >= len(catalog) // 2
    random = np.random.default_rng(1)
    strange = {m: np.where(others[:, None], 50 * random.normal(size=x.shape), x) for m, x in catalog.vectors.items()}
    strange = {m: (x * catalog.masks[m][:, None]).astype(np.float32) for m, x in strange.items()}
    one, two = (prepare_vectors(c, known, seed=0, **settings) for c in (catalog, replace(catalog, vectors=strange)))
    for modality in ("text", "image"):
        np.testing.assert_array_equal(one.vectors[modality][~others], two.vectors[modality][~others])


@pytest.mark.parametrize("method", ["mutual_information", "l1"])
def test_columns_that_tell_the_category_stay_and_the_others_are_0(method):
    catalog, known = world()
    found = prepare_vectors(catalog, known, select=method, keep=1 / 3, seed=0).vectors["text"]
    assert np.flatnonzero(found.any(axis=0)).tolist() == [1, 4]
    np.testing.assert_array_equal(found[:, [1, 4]], catalog.vectors["text"][:, [1, 4]])


def test_as_it_is_unless_asked_and_without_history_all_items_train():
    catalog, known = world()
    same = prepare_vectors(catalog, known, seed=0)
    assert all(same.vectors[m] is x for m, x in catalog.vectors.items())
    nobody = history_of([], users=1)
    found = prepare_vectors(catalog, nobody, standardise="robust", seed=0).vectors["image"]
    np.testing.assert_allclose(np.median(found, axis=0), 0, atol=1e-6)


def test_what_cannot_be_is_refused():
    catalog, known = world()
    alone = replace(catalog, categories=np.full(len(catalog), "a"))
    with pytest.raises(ValueError, match="select l1: the training items with text are of fewer than two categories"):
        prepare_vectors(alone, known, select="l1", seed=0)
    with pytest.raises(ValueError, match=r"'soft'.*expected one of none, robust"):
        prepare_vectors(catalog, known, standardise="soft", seed=0)
    with pytest.raises(ValueError, match="clip 0"):
        prepare_vectors(catalog, known, standardise="robust", clip=0, seed=0)
