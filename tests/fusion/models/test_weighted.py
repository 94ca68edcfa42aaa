import json

import numpy as np
import pytest

from fusion.data.splits import split
from fusion.models import registry
from fusion.models.weighted import ModalityWeights
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from schemas.table import MODALITIES
from tests.fusion.worlds import tastes

CONTENT = [np.array([[1.0, 0], [0, 0], [2, 1]], np.float32), np.array([[3.0], [1], [0]], np.float32)]
SHOWN = np.array([[1.0, 1], [0, 1], [1, 0]], np.float32)
QUICK = {"rank": 8, "epochs": 4, "steps_per_epoch": [4, 4]}


def weights(kind, given=(1.0, 1.0), units=1):
    layer = ModalityWeights(kind, given=list(given), inputs=3, units=units)
    layer(CONTENT, SHOWN)  # makes the weights
    return layer


def test_fixed_by_hand():
    np.testing.assert_allclose(np.asarray(weights("fixed", (2.0, 0.5))(CONTENT, SHOWN)), [[2, 0.5], [0, 0.5], [2, 0]])


def test_learned_by_hand():
    """a = ln 1 and ln 3: of two modalities the shares are 1/4 and 3/4, and the factors twice that."""
    layer = weights("learned")
    np.testing.assert_allclose(np.asarray(layer(CONTENT, SHOWN)), SHOWN)
    layer.set_weights([np.log([[1.0, 3]])])
    np.testing.assert_allclose(np.asarray(layer(CONTENT, SHOWN)), [[0.5, 1.5], [0, 1.5], [0.5, 0]], rtol=1e-6)


def test_gates_by_hand():
    """One hidden unit: tanh of the second modality's only column plus half its mask."""
    layer = weights("gated")
    layer.hidden.set_weights([np.array([[0.0], [0], [1], [0], [0.5]]), np.array([-0.5])])
    layer.gate.set_weights([np.array([[1.0, -1]]), np.array([0.0, 0.25])])
    h = np.tanh(3.0)
    odds = np.exp([h, 0.25 - h])
    np.testing.assert_allclose(np.asarray(layer(CONTENT, SHOWN)), [2 * odds / odds.sum(), [0, 1], [1, 0]], rtol=1e-5)


def test_gates_are_even_before_training_and_see_nothing_of_what_is_hidden():
    layer = weights("gated", units=3)
    np.testing.assert_allclose(np.asarray(layer(CONTENT, SHOWN)), SHOWN, rtol=1e-6)
    layer.gate.set_weights([1 + np.arange(6.0).reshape(3, 2), np.zeros(2)])
    others, both, alone = (
        [CONTENT[0], CONTENT[1] + 5],
        np.ones((3, 2), np.float32),
        np.array([[1.0, 0]] * 3, np.float32),
    )
    assert not np.allclose(np.asarray(layer(CONTENT, both)), np.asarray(layer(others, both)))
    np.testing.assert_array_equal(np.asarray(layer(CONTENT, alone)), np.asarray(layer(others, alone)))


@pytest.fixture(scope="module")
def parts():
    catalog, history = tastes()
    return catalog, split(history, kind="per_user", test_share=0.2, valid_share=0.1)


def test_a_modality_of_weight_0_adds_nothing(parts):
    catalog, history = parts
    model = registry.create("weighted", QUICK | {"weighting": "fixed", "weights": {"image": 0.0, "text": 2.0}})
    log = model.fit(catalog, history.train, Holdout.of(history, len(catalog), seed=1), seed=1)
    vectors = model.item_vectors(catalog)
    assert not vectors[:, model.blocks["image"]].any()
    assert vectors[:, model.blocks["text"]].any()
    assert log.weights == {"text": 2.0, "image": 0.0}


@pytest.mark.parametrize("weighting", ["learned", "gated"])
def test_weights_are_learnt_logged_and_saved(weighting, parts, tmp_path):
    catalog, history = parts
    model = registry.create("weighted", QUICK | {"weighting": weighting, "learning_rate": 0.02})
    log = model.fit(catalog, history.train, seed=1, tuned=FitLog(best_epoch=4))
    assert set(log.weights) == {"text", "image"}
    assert log.weights["text"] + log.weights["image"] == pytest.approx(2, rel=1e-5)
    assert log.weights["text"] != 1
    registry.save(model, tmp_path)
    again = registry.load(tmp_path).weights(catalog)
    assert set(again) == set(MODALITIES)
    np.testing.assert_array_equal(again["text"], model.weights(catalog)["text"])
    assert (np.ptp(again["text"]) > 1e-4) == (weighting == "gated")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"weighting": "loud"}, "'loud': input should be 'fixed', 'learned' or 'gated'"),
        ({"weights": {"text": 1.0}}, "only a fixed weighting"),
        (
            {"weighting": "fixed", "weights": {"smell": 1.0}},
            "'smell'.*input should be 'text', 'image', 'audio', 'video' or 'attributes'",
        ),
        ({"weighting": "fixed", "weights": {"text": -1.0}}, "each 0 or more"),
        ({"weighting": "fixed", "weights": {"text": float("nan")}}, "each 0 or more"),
        ({"gate_units": 0}, "gate_units 0"),
        ({"colour": 3}, "colour"),
    ],
)
def test_arguments_out_of_range_are_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        registry.create("weighted", setting)


@pytest.mark.parametrize("weighting", ["learned", "gated"])
def test_what_was_saved_before_networks_were_keras_models_is_read(weighting, tmp_path):
    """The weights then lay among the arrays, with a gate for every modality that there is."""
    catalog, history = tastes(users=20, items=24, likes=6)
    model = registry.create("weighted", {"rank": 4, "weighting": weighting})
    model.fit(catalog, history, seed=1, tuned=FitLog())
    network, widths = model._network, [model._projections[m].dims for m in MODALITIES]
    random, learnt = np.random.default_rng(0), [m for m, width in zip(MODALITIES, widths, strict=True) if width]
    old = {"history": network.embedding.get_weights()[0][1:]}
    old |= {f"item/{m}": np.zeros((0, 0), np.float32) for m in MODALITIES}
    old |= {f"item/{layer.name}": layer.get_weights()[0] for layer in network.content}
    old |= dict(zip(("user", "user_bias"), network.user.get_weights(), strict=True))
    if weighting == "learned":
        old["weighting/logits"] = random.normal(size=len(MODALITIES))
    else:
        old["weighting/hidden"] = random.normal(size=(sum(widths) + len(MODALITIES), 16))
        old["weighting/hidden_bias"] = random.normal(size=16)
        old["weighting/gate"] = random.normal(size=(16, len(MODALITIES)))
        old["weighting/gate_bias"] = random.normal(size=len(MODALITIES))
    arrays = model.state() | {f"weights/{name}": array for name, array in old.items()}
    np.savez(tmp_path / "arrays.npz", **arrays)
    (tmp_path / "strategy.json").write_text(json.dumps({"strategy": "weighted", "parameters": model.parameters()}))
    again = registry.load(tmp_path)
    np.testing.assert_array_equal(again.user_vectors(catalog, history), model.user_vectors(catalog, history))
    place = [MODALITIES.index(m) for m in learnt]
    if weighting == "learned":
        logits = np.broadcast_to(old["weighting/logits"][place], (len(catalog), len(learnt)))
    else:
        parts = [model._projections[m](catalog.vectors[m], catalog.masks[m]) for m in MODALITIES]
        has = np.stack([catalog.masks[m] for m in MODALITIES], axis=1)
        hidden = np.tanh(np.hstack([*parts, has]) @ old["weighting/hidden"] + old["weighting/hidden_bias"])
        logits = (hidden @ old["weighting/gate"] + old["weighting/gate_bias"])[:, place]
    expected = len(learnt) * np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = np.stack([again.weights(catalog)[m] for m in learnt], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
