"""The multi-task network by hand, and what its heads learn."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from fusion.models import registry
from fusion.models.multitask import TASKS, CategoryLoss, InteractionLoss, MultitaskRanker, RatingLoss
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from fusion.training.losses import LIKED_PER_USER
from tests.fusion.worlds import catalog_of, history_of, tastes

SMALL = {"width": 8, "hidden": 16, "steps_per_epoch": [10, 10], "learning_rate": 0.01}


def by_hand(**more):
    """One modality with two inputs and two hidden units on a trunk of one, and one known item."""
    settings = {"known": 1, "width": 1, "inner_units": 2, "content": {"text": 2}, "steps": {}, "units": 1}
    settings |= {"profile": 1, "categories": 2, "rated": True, "negatives": 2.0, "hidden": [0.0, 0.0]}
    network = MultitaskRanker(**settings | more)
    network.embedding.set_weights([np.array([[0.0, 0], [0.25, 7]])])
    network.inner[0].set_weights([np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([0.0, 1.0])])
    network.outer[0].set_weights([np.array([[10.0], [100.0]]), np.array([3.0])])
    network.rating.set_weights([np.array([[1.0], [10.0], [100.0]]), np.array([0.5])])
    network.category.set_weights([np.array([[1.0, -1.0]]), np.array([0.0, 1.0])])
    return network


def items_by_hand(network, shown):
    inputs = {
        "known": np.array([1]),
        "shown": np.array([shown], np.float32),
        "text": np.array([[2.0, 1.0]], np.float32),
    }
    return network.items(inputs)


def test_the_trunk_and_the_heads_by_hand():
    """Hidden units are (2 + 2) and max(0, -2 + 1): φ = 40 + 3; the trunk is 43.25, the bias 7."""
    network = by_hand()
    items = items_by_hand(network, [1, 1])
    np.testing.assert_allclose(np.asarray(items), [[0.25, 7, 43]])
    network.user.set_weights([np.array([[2.0]]), np.array([0.0])])
    users = np.asarray(network.users(np.ones((1, 1), np.float32)))
    np.testing.assert_allclose(users, [[2, 1, 2]])
    trunk = network.trunk(items)
    np.testing.assert_allclose(np.asarray(trunk), [[43.25]])
    np.testing.assert_allclose(np.asarray(network.ratings(users[:, :1], trunk)), [86.5 + 20 + 4325 + 0.5])
    content = network.trunk(items, content_only=True)
    np.testing.assert_allclose(np.asarray(network.category(content)), [[43, -42]])


@pytest.mark.parametrize(("shown", "expected"), [([1, 0], [0.25, 7, 0]), ([0, 1], [0, 0, 43])])
def test_a_hidden_part_adds_exactly_0(shown, expected):
    assert np.asarray(items_by_hand(by_hand(), shown)).tolist() == [expected]


def test_losses_by_hand():
    """A user who liked what has odds 1, and of two candidates had one; ratings of errors 1 and 2; categories of
    probability 3/4 and 1/2."""
    labels = np.array([[1] * LIKED_PER_USER + [0, -1]], np.int8)
    logits = np.log(np.array([[1.0] * LIKED_PER_USER + [3, 5]], np.float32))
    assert float(InteractionLoss(2.0)(labels, logits)) == pytest.approx(np.log(2) + 2 * np.log(4) / 2)
    ratings = np.array([[0.0, np.nan], [4.0, np.nan]], np.float32)
    assert float(RatingLoss()(ratings, np.array([[1.0, 9], [2.0, 9]], np.float32))) == pytest.approx(2.5)
    assert float(RatingLoss()(ratings[:, 1:], np.ones((2, 1), np.float32))) == 0
    logits = np.array([[0.0, np.log(3)], [5.0, 5.0], [9.0, 0.0]], np.float32)
    assert float(CategoryLoss()(np.array([1, 0, -1]), logits)) == pytest.approx((np.log(4 / 3) + np.log(2)) / 2)
    assert float(CategoryLoss()(np.array([-1]), logits[:1])) == 0


def total(uncertainty, losses, monkeypatch, *, rating=1.0):
    """The loss of the network where its tasks have these losses."""
    network = by_hand()
    network.uncertainty.assign(uncertainty)
    found = {task: np.float32(loss) for task, loss in zip(TASKS, losses, strict=True)}
    monkeypatch.setattr(network, "task_losses", lambda y, predicted: found)
    labels = {"rating": np.array([[rating]], np.float32), "category": np.array([[1]])}
    return float(network.compute_loss(None, labels, {}))


def test_uncertainties_weigh_the_losses_by_hand(monkeypatch):
    """A task without data in the batch adds nothing, not even its own uncertainty."""
    uncertainty = [0.0, 1.0, np.log(4)]
    found = total(uncertainty, [2.0, 9.0, 5.0], monkeypatch, rating=np.nan)
    assert found == pytest.approx(2 + 5 / 4 + np.log(4))
    assert total(uncertainty, [2.0, 9.0, 5.0], monkeypatch) == pytest.approx(found + 9 / np.e + 1)


def test_the_best_weight_of_a_task_is_one_over_its_loss(monkeypatch):
    candidates = [np.log(0.25) + step for step in (-0.1, 0.0, 0.1)]
    totals = [total([s, 0, 0], [0.25, 0, 0], monkeypatch) for s in candidates]
    assert np.argmin(totals) == 1


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


def test_the_log_has_the_weight_of_every_task(world):
    catalog, history = world
    log = registry.create("multitask", SMALL | {"epochs": 4}).fit(catalog, *held_out(history), seed=5)
    assert list(log.tasks) == list(TASKS)
    assert all(weight > 0 for weight in log.tasks.values())
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
    assert list(log.tasks) == [task for task in TASKS if task != missing]
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
