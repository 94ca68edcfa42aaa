"""The GRU over sequences of audio and video, and what it adds to the models that use it."""

from dataclasses import replace

import numpy as np
import pytest

from fusion.data.catalog import Sequences
from fusion.data.splits import split
from fusion.models import registry
from fusion.training.early_stopping import Holdout
from fusion.training.layers import Scale, gru
from tests.fusion.worlds import contributions, courses

QUICK = {
    "joint": {"width": 8, "heads": 2, "units": 4, "epochs": 4, "steps_per_epoch": [4, 4]},
    "multitask": {"width": 8, "hidden": 8, "units": 4, "epochs": 4, "steps_per_epoch": [4, 4]},
}
READING = sorted(QUICK)


def test_recurrence_by_hand():
    """One unit, W_r = 1, W_z = 0, W = 2, U_r = 0, U_z = 1, U = 1; a sequence of two steps beside one of one step."""
    weights = {
        "video/input": np.array([[1.0, 0, 2]]),
        "video/input_bias": np.array([0.0, 0, 0.5]),
        "video/gates": np.array([[0.0, 1]]),
        "video/candidate": np.array([[1.0]]),
    }
    values = np.array([[[1.0], [-1]], [[1], [99]]])
    first = 0.5 * np.tanh(2 + 0.5)
    reset, update = 1 / (1 + np.e), 1 / (1 + np.exp(-first))
    second = update * first + (1 - update) * np.tanh(-2 + 0.5 + reset * first)
    found = gru(weights, "video", values, np.array([2, 1]), xp=np)
    np.testing.assert_allclose(found, [[second], [first]])


def test_scales_ignore_padding():
    values = np.array([[[1.0, 5], [3, 5]], [[5, 5], [99, 99]]], np.float32)
    sequences = Sequences(values, np.array([2, 1], np.int32), np.array([0, 1]))
    scale = Scale.fit(sequences)
    deviation = np.sqrt(8 / 3)
    np.testing.assert_allclose(scale.mean, [3, 5])
    expected = [[[-2 / deviation, 0], [0, 0]], [[2 / deviation, 0], [0, 0]]]
    np.testing.assert_allclose(scale(sequences).values, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"\(1, 1, 3\): expected \[K, T, 2\]"):
        scale(Sequences(np.zeros((1, 1, 3), np.float32), np.array([1], np.int32), np.array([0])))


@pytest.mark.parametrize("name", READING)
@pytest.mark.slow
def test_the_order_of_frames_is_learnt_from(name):
    """Items without a like in training: their mean vectors do not show who will like them, their sequences do."""
    catalog, history = courses()
    new = np.arange(len(catalog)) % 8 >= 4
    train = history.where(~new[history.item])
    settings = QUICK[name] | {"width": 16, "units": 16, "untuned_epochs": 12, "steps_per_epoch": [10, 10]}
    settings |= {"learning_rate": 0.01, "item_dropout": 0.5}
    margins = {}
    for kind, seen in (("sequences", catalog), ("means", replace(catalog, sequences={}))):
        model = registry.create(name, settings)
        model.fit(seen, train, seed=1)
        scores = model.user_vectors(seen, train) @ model.item_vectors(seen)[new].T
        own = np.arange(len(history.user_ids))[:, None] % 4 == np.nonzero(new)[0] % 4
        margins[kind] = (scores[own].mean() - scores[~own].mean()) / scores.std()
    assert margins["sequences"] > margins["means"] + 0.5


@pytest.mark.parametrize("name", READING)
@pytest.mark.slow
def test_models_with_sequences_keep_the_interface(name, tmp_path):
    """Saved, loaded, twice the same bits; an item without video gets nothing from the video block; a catalog without
    sequences is scored too."""
    catalog, history = courses()
    mask = np.arange(len(catalog)) % 3 > 0
    place = np.where(mask & (np.arange(len(catalog)) % 2 == 0), np.arange(len(catalog)), -1)
    sequences = {"video": replace(catalog.sequences["video"], place=place)}
    vectors = catalog.vectors | {"video": catalog.vectors["video"] * mask[:, None]}
    catalog = replace(catalog, vectors=vectors, masks=catalog.masks | {"video": mask}, sequences=sequences)
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    models = [registry.create(name, QUICK[name]) for _ in range(2)]
    for model in models:
        model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1)
    registry.save(models[0], tmp_path)
    models.append(registry.load(tmp_path))
    found = [model.item_vectors(catalog) for model in models]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    users = models[0].user_vectors(catalog, history)[: len(catalog)]
    added = contributions(users[: len(catalog)], found[0][: len(users)], models[0].blocks)["video"]
    assert not added[~mask].any()
    assert added[mask].all()
    without = models[0].item_vectors(replace(catalog, sequences={}))
    np.testing.assert_allclose(without[place < 0], found[0][place < 0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(without[place >= 0], found[0][place >= 0])
