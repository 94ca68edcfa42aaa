"""The multi-task network by hand, and what its heads learn."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from fusion.data.history_features import recency_matrix, user_profiles
from fusion.models import registry
from fusion.models.multitask import network
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from tests.fusion.worlds import catalog_of, history_of, tastes

SMALL = {"width": 8, "hidden": 16, "steps_per_epoch": [10, 10], "learning_rate": 0.01}


def test_uncertainties_weigh_the_losses_by_hand():
    losses, uncertainty = np.array([2.0, 5.0, 9.0]), np.array([0.0, np.log(4), 1.0])
    found = network.total_loss(losses, uncertainty, np.array([1.0, 1.0, 0.0]), xp=np)
    assert found == pytest.approx(2 + 5 / 4 + np.log(4))


def test_the_best_weight_of_a_task_is_one_over_its_loss():
    candidates = np.linspace(-3, 3, 601)
    totals = [network.total_loss(np.array([0.25]), np.array([s]), np.ones(1), xp=np) for s in candidates]
    assert np.exp(-candidates[np.argmin(totals)]) == pytest.approx(4, rel=0.01)


def test_losses_by_hand():
    logits = np.array([[0.0, np.log(3), 7.0], [0.0, 0.0, 0.0]])
    targets, negatives = np.array([[1.0, 0, 0], [0, 0, 0]]), np.array([[0, 2.0, 0], [0, 0, 0]])
    expected = (np.log(2) + 2 * np.log(4)) / 2
    assert network.interaction_loss(logits, targets, negatives, xp=np) == pytest.approx(expected)
    assert network.rating_loss(np.array([1.0, 2.0]), np.array([0.0, 4.0]), xp=np) == pytest.approx(2.5)
    assert network.rating_loss(np.zeros(0), np.zeros(0), xp=np) == 0
    logits = np.array([[0.0, np.log(3)], [5.0, 5.0], [9.0, 0.0]])
    labels = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert network.category_loss(logits, labels, xp=np) == pytest.approx((np.log(4) + np.log(2)) / 2)


def weights_by_hand() -> dict[str, np.ndarray]:
    """One modality with two inputs and two hidden units on a trunk of one."""
    return {
        "text/hidden": np.array([[1.0, -1.0], [2.0, 0.0]]),
        "text/hidden_bias": np.array([0.0, 1.0]),
        "text/out": np.array([[10.0], [100.0]]),
        "text/out_bias": np.array([3.0]),
        "offset": np.array(-2.0),
        "rating": np.array([1.0, 10.0, 100.0]),
        "rating_bias": np.array(0.5),
        "category": np.array([[1.0, -1.0]]),
        "category_bias": np.array([0.0, 1.0]),
    }


def parts_by_hand(shown) -> list[np.ndarray]:
    history, x = np.array([[0.25, 7.0]]), np.array([[2.0, 1.0]])
    return network.item_parts(weights_by_hand(), history, {"text": x}, ["text"], np.array([shown]), xp=np)


def test_the_trunk_and_the_heads_by_hand():
    """Hidden units are (2 + 2) and max(0, -2 + 1): φ = 40 + 3; the trunk is 43.25, the bias 7."""
    weights, items = weights_by_hand(), parts_by_hand([1.0, 1.0])
    np.testing.assert_allclose(items[1], [[43]])
    user = np.array([[2.0]])
    np.testing.assert_allclose(network.interaction(weights, user, items, xp=np), [[2 * 43.25 + 7 - 2]])
    trunk = sum(network.without_bias(items))
    np.testing.assert_allclose(network.rating(weights, user, trunk, xp=np), [86.5 + 20 + 4325 + 0.5])
    np.testing.assert_allclose(network.category(weights, items, xp=np), [[43, -42]])


@pytest.mark.parametrize(("shown", "trunk", "bias"), [([1.0, 0.0], 0.25, 7.0), ([0.0, 1.0], 43.0, 0.0)])
def test_a_hidden_part_adds_exactly_0(shown, trunk, bias):
    items = parts_by_hand(shown)
    assert sum(network.without_bias(items))[0, 0] == trunk
    assert items[0][0, -1] == bias
    assert not items[shown.index(0.0)].any()


def test_training_and_scoring_know_a_user_by_the_same_profile():
    from fusion.models.multitask.learner import _profiles

    random = np.random.default_rng(0)
    masks = np.array([[1, 0], [1, 1], [0, 1]], np.float32)
    items = [random.normal(size=(3, 5)) * masks[:, :1], random.normal(size=(3, 4)) * masks[:, 1:]]
    items = [part.astype(np.float32) for part in items]
    likes = history_of([(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 0, 1)], users=3)
    weights = [recency_matrix(likes, 3, decay=decay) for decay in (None, 2.0)]
    expected = np.hstack([user_profiles(w, network.without_bias(items), list(masks.T > 0)) for w in weights])
    found = _profiles(np.stack([w.toarray() for w in weights]), items, masks)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def world():
    """Items know their group by text; one user's stars for an item depend on the item alone."""
    catalog, history = tastes(users=60, items=48)
    return replace(catalog, categories=np.where(np.arange(48) % 12 < 4, "", catalog.categories)), history


@pytest.fixture(scope="module")
def model(world):
    model = registry.create("multitask", SMALL)
    model.fit(*world, seed=5, tuned=FitLog(best_epoch=15))
    return model


def test_categories_are_learnt_and_predicted_for_items_that_named_none(model, world):
    catalog, history = world
    truth = np.array([f"group {k % 4}" for k in range(len(catalog))])
    guessed = model.predictions(catalog, history).category
    assert (guessed == truth)[catalog.categories == ""].mean() > 0.9
    nothing = catalog_of(n=2, ids=["x", "y"])
    assert model.predictions(nothing, history_of([])).category.tolist() == ["", ""]


def test_ratings_are_ordered(model, world):
    catalog, history = world
    found = model.predictions(catalog, history).rating[history.item]
    low, high = found[history.rating == 4], found[history.rating == 5]
    assert 3.5 < low.mean() < 4.3 < 4.7 < high.mean() < 5.5


def test_heads_come_back_with_the_model(model, world, tmp_path):
    catalog, history = world
    registry.save(model, tmp_path)
    again = registry.load(tmp_path)
    found, expected = again.predictions(catalog, history), model.predictions(catalog, history)
    np.testing.assert_array_equal(found.rating, expected.rating)
    np.testing.assert_array_equal(found.category, expected.category)


def held_out(history):
    last = np.isin(np.arange(len(history)), np.unique(history.user[::-1], return_index=True)[1])[::-1]
    train = history.where(~last)
    return train, Holdout(train, history.where(last), n_items=48, seed=5)


def test_the_log_has_weight_and_validation_loss_of_every_task(world):
    catalog, history = world
    log = registry.create("multitask", SMALL | {"epochs": 4}).fit(catalog, *held_out(history), seed=5)
    assert list(log.tasks) == list(network.TASKS)
    assert all(task["weight"] > 0 and np.isfinite(task["valid_loss"]) for task in log.tasks.values())
    assert log.tasks["category"]["valid_loss"] < np.log(4)
    assert json.loads(json.dumps(asdict(log)))["tasks"] == log.tasks


def without_ratings(catalog, history):
    return catalog, replace(history, rating=np.full_like(history.rating, np.nan))


def without_categories(catalog, history):
    return replace(catalog, categories=np.full(len(catalog), "")), history


def with_categories_of_one(catalog, history):
    return replace(catalog, categories=np.array([f"alone {k}" for k in range(len(catalog))])), history


def with_equal_ratings(catalog, history):
    return catalog, replace(history, rating=np.full_like(history.rating, 4))


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (without_ratings, "rating"),
        (with_equal_ratings, "rating"),
        (without_categories, "category"),
        (with_categories_of_one, "category"),
    ],
)
def test_a_task_without_data_is_absent(world, change, missing):
    catalog, history = change(*world)
    model = registry.create("multitask", SMALL | {"epochs": 2})
    log = model.fit(catalog, *held_out(history), seed=5)
    assert list(log.tasks) == [task for task in network.TASKS if task != missing]
    assert np.isfinite(model.item_vectors(catalog)).all()
    assert np.isfinite(model.user_vectors(catalog, history)).all()
    predicted = model.predictions(catalog, history)
    assert np.isnan(predicted.rating).all() == (missing == "rating")
    assert (predicted.category == "").all() == (missing == "category")


def test_validation_decides_when_to_stop_and_nothing_else(world):
    """Nothing of what validates is learnt: the weights are those of as many epochs without it."""
    catalog, history = without_categories(*world)
    train, valid = held_out(history)
    tuned, plain = (registry.create("multitask", SMALL | {"epochs": 3}) for _ in range(2))
    log = tuned.fit(catalog, train, valid, seed=5)
    plain.fit(catalog, train, None, seed=5, tuned=log)
    for name, array in plain.state().items():
        np.testing.assert_array_equal(tuned.state()[name], array)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tasks": ["rating"]}, "tasks .*'rating'.*: expected 'interaction'"),
        ({"tasks": ["interaction", "price"]}, "price"),
        ({"width": 0}, "width 0: input should be greater than 0"),
        ({"learning_rate": 0.0}, "learning_rate 0.0: input should be greater than 0"),
        ({"modality_dropout": 1.0}, "modality_dropout 1.0: input should be less than 1"),
        ({"epochs": -1}, "epochs -1"),
        ({"steps_per_epoch": [5, 2]}, r"steps_per_epoch \[5, 2\]"),
    ],
)
def test_arguments_out_of_range_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        registry.create("multitask", parameters)
