import numpy as np
import pytest

from fusion.models import registry
from fusion.models.linear.vectors import ConcatenatedItems
from fusion.training import trainer
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.examples import Example
from fusion.training.trainer import LIKED_PER_USER, RankingLearner, compute_dtype
from tests.fusion.worlds import courses, history_of

LOGITS = np.log(np.array([[1.0, 2, 5], [4, 4, 4]]))


def in_keras(loss, *arrays, integers=()):
    from keras import ops

    given = [np.asarray(a, np.int32 if k in integers else np.float32) for k, a in enumerate(arrays)]
    return float(loss(*given, xp=ops))


def test_softmax_by_hand():
    """The first user liked items 0 and 1 by halves, of odds 1, 2 and 5; the second item 2, of three alike."""
    targets = np.array([[0.5, 0.5, 0], [0, 0, 1]])
    expected = (-0.5 * np.log(1 / 8) - 0.5 * np.log(2 / 8) + np.log(3)) / 2
    assert trainer.softmax(LOGITS, targets, np.zeros(3), xp=np) == pytest.approx(expected)
    assert in_keras(trainer.softmax, LOGITS, targets, np.zeros(3)) == pytest.approx(expected, rel=1e-6)


def test_items_that_are_seldom_drawn_count_more_in_the_partition():
    """Item 2 is a candidate every other time: its odds of 5 count twice, in the partition alone."""
    targets = np.array([[1.0, 0, 0], [0, 0, 1]])
    log_p = np.log(np.array([1, 1, 0.5]))
    expected = (np.log(1 + 2 + 10) + np.log(4 + 4 + 8) - np.log(4)) / 2
    assert trainer.softmax(LOGITS, targets, log_p, xp=np) == pytest.approx(expected)


def test_bpr_by_hand():
    """-ln sigmoid(ln a - ln b) = ln(1 + b / a): odds 1 against 2 and 5, and 2 against 5 alone."""
    shares = np.array([[0, 0.25, 0.75], [0.5, 0, 0.5]])
    liked = np.array([[0, 1], [1, 1]])
    first = 0.25 * np.log(1 + 2) + 0.75 * np.log(1 + 5)
    second = 0.25 * np.log(1 + 1) + 0.75 * np.log(1 + 5 / 2)
    expected = (first + second + 2 * np.log(2)) / 4
    assert trainer.bpr(LOGITS, liked, shares, xp=np) == pytest.approx(expected)
    assert in_keras(trainer.bpr, LOGITS, liked, shares, integers=[1]) == pytest.approx(expected, rel=1e-6)


def test_negatives_are_what_was_not_had_each_as_often_as_any():
    """Item 3 is drawn four times as often as item 2, and so counts a quarter of it."""
    had = np.array([[1, 0.5, 0, 0], [1, 1, 1, 1]])
    shares = trainer.negative_shares(had, np.log(np.array([1, 1, 0.25, 1])), xp=np)
    np.testing.assert_allclose(shares, [[0, 0, 0.8, 0.2], [0, 0, 0, 0]])


def config(**more):
    given = {"epochs": 1, "patience": 1, "batch_size": 2, "learning_rate": 0.1, "item_dropout": 0.0}
    given["precision"] = "float32"
    return TrainingConfig(**given | {"items_per_step": 9, "steps_per_epoch": (1, 1)} | more)


def begun(**more) -> RankingLearner:
    """Two users' worth of profile over three items with one history column and no bias: logits 1, 0 and 0."""
    three = np.arange(3)
    content = {"text": np.zeros((3, 0), np.float32)}
    items = ConcatenatedItems(content, np.ones((3, 2), bool), three, np.eye(3, dtype=np.float32))
    initial = {"user": np.zeros((3, 1), np.float32), "user_bias": np.ones(1, np.float32)}
    initial["item/text"] = np.zeros((0, 0), np.float32)
    initial["history"] = np.array([[1.0], [0], [0]], np.float32)
    return RankingLearner(initial, items, history_of([(0, 2, 1), (0, 0, 2)]), config=config(**more), seed=0)


def example() -> Example:
    """A user who liked item 2 before and item 0 next."""
    from scipy.sparse import csr_matrix

    past = history_of([(0, 2, 1)])
    return Example(past, csr_matrix(np.array([[1.0, 0, 0]], np.float32)), past)


@pytest.mark.parametrize(
    ("loss", "expected"), [("softmax", np.log(1 + 2 * np.exp(-1))), ("bpr", np.log(1 + np.exp(-1)))]
)
def test_a_step_by_hand(loss, expected):
    """Logits 1, 0, 0 and item 0 liked. For pairs item 2 is no negative, as it was had."""
    trainer = begun(loss=loss, optimizer="sgd")
    found = trainer.step(example(), np.random.default_rng(0))
    assert found == pytest.approx(expected, rel=1e-6)
    assert LIKED_PER_USER > 1


def test_sgd_takes_the_step_of_nesterov():
    """v = -lr g and the weights move by 0.9 v - lr g = -1.9 lr g at first; the user's bias has the gradient
    sum of (p - t) q = p_0 - 1 = e / (e + 2) - 1."""
    trainer = begun(optimizer="sgd")
    trainer.step(example(), np.random.default_rng(0))
    gradient = np.e / (np.e + 2) - 1
    assert trainer.variables.weights()["user_bias"][0] == pytest.approx(1 - 1.9 * 0.1 * gradient, rel=1e-6)


def test_half_precision_is_for_gpus_alone():
    assert compute_dtype("auto", gpus=0) == compute_dtype("float32", gpus=1) == "float32"
    assert compute_dtype("auto", gpus=1) == "bfloat16"


def test_in_half_precision_a_step_is_about_the_same(monkeypatch):
    """Weights and the loss stay float32; products have 8 bits."""
    monkeypatch.setattr("fusion.training.trainer.compute_dtype", lambda precision, *, gpus: "bfloat16")
    trainer = begun()
    found = trainer.step(example(), np.random.default_rng(0))
    assert found == pytest.approx(np.log(1 + 2 * np.exp(-1)), rel=0.01)
    assert {array.dtype for array in trainer.variables.weights().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("concatenation", {}),
        ("joint", {"width": 8, "heads": 2}),
        ("sequence", {"length": 4, "hidden": 4}),
        *(("weighted", {"weighting": weighting}) for weighting in ("fixed", "learned", "gated")),
    ],
)
def test_every_network_learns_in_half_precision(name, more, monkeypatch):
    """As in float32, but for what 8 bits cannot tell."""
    catalog, history = courses(items=24)
    found = []
    for dtype in ("float32", "bfloat16"):
        monkeypatch.setattr("fusion.training.trainer.compute_dtype", lambda precision, *, gpus, dtype=dtype: dtype)
        model = registry.create(name, {"steps_per_epoch": [3, 3]} | more)
        model.fit(catalog, history, seed=1, tuned=FitLog(best_epoch=2))
        found.append(model.item_vectors(catalog))
    start = registry.create(name, more)
    start.fit(catalog, history, seed=1, tuned=FitLog())
    learnt = np.abs(found[0] - start.item_vectors(catalog)).max()
    assert 0 < np.abs(found[1] - found[0]).max() < learnt


@pytest.mark.parametrize("setting", [{"loss": "hinge"}, {"optimizer": "rprop"}, {"precision": "int8"}])
def test_an_unknown_name_is_refused(setting):
    with pytest.raises(ValueError, match=f"Input should be .*input_value='{next(iter(setting.values()))}'"):
        config(**setting)
