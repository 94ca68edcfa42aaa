import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.data.splits import split
from fusion.models import registry
from fusion.models.linear.modality_weights import EVEN, Fixed, Gated, Learned
from fusion.training.early_stopping import Holdout
from fusion.training.layers import masked_softmax
from schemas.table import MODALITIES
from tests.fusion.worlds import tastes

CONTENT = [np.array([[1.0, 0], [0, 0], [2, 1]]), np.array([[3.0], [1], [0]])]
SHOWN = np.array([[1.0, 1], [0, 1], [1, 0]])
QUICK = {"rank": 8, "epochs": 4, "steps_per_epoch": [4, 4]}


def test_softmax_is_over_what_is_there():
    logits = np.log(np.array([[1.0, 3, 100], [1, 3, 100]]))
    found = masked_softmax(logits, np.array([[1.0, 1, 0], [0, 0, 0]]), xp=np)
    np.testing.assert_allclose(found, [[0.25, 0.75, 0], [0, 0, 0]])


@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=1, max_size=6))
def test_softmax_sums_to_1_or_nothing_is_there(entries):
    logits, mask = np.array(entries, np.float32).T
    found = masked_softmax(logits, mask, xp=np)
    assert found.sum() == pytest.approx(float(mask.any()))
    assert not found[mask == 0].any()


def test_fixed_by_hand():
    assert Fixed((2.0, 0.5)).initial_weights([2, 1], seed=0) == {}
    np.testing.assert_allclose(Fixed((2.0, 0.5))({}, CONTENT, SHOWN, xp=np), [[2, 0.5], [0, 0.5], [2, 0]])
    assert EVEN({}, CONTENT, SHOWN, xp=np) is SHOWN


def test_learned_by_hand():
    """a = ln 1 and ln 3: of two modalities the shares are 1/4 and 3/4, and the factors twice that."""
    weighting = Learned()
    assert weighting.initial_weights([2, 1], seed=0)["weighting/logits"].tolist() == [0, 0]
    weights = {"weighting/logits": np.log(np.array([1.0, 3]))}
    np.testing.assert_allclose(weighting(weights, CONTENT, SHOWN, xp=np), [[0.5, 1.5], [0, 1.5], [0.5, 0]])
    nothing_of_the_second = [CONTENT[0], np.zeros((3, 0))]
    found = weighting(weights, nothing_of_the_second, np.array([[1.0, 0]] * 3), xp=np)
    np.testing.assert_allclose(found, [[1, 0]] * 3)


def test_gates_by_hand():
    """One hidden unit: tanh of the second modality's only column plus half its mask."""
    weights = {
        "weighting/hidden": np.array([[0.0], [0], [1], [0], [0.5]]),
        "weighting/hidden_bias": np.array([-0.5]),
        "weighting/gate": np.array([[1.0, -1]]),
        "weighting/gate_bias": np.array([0.0, 0.25]),
    }
    found = Gated(1)(weights, CONTENT, SHOWN, xp=np)
    h = np.tanh(3.0)
    odds = np.exp([h, 0.25 - h])
    np.testing.assert_allclose(found, [2 * odds / odds.sum(), [0, 1], [1, 0]])


def test_gates_are_even_before_training_and_see_nothing_of_what_is_hidden():
    weights = Gated(3).initial_weights([2, 1], seed=0)
    np.testing.assert_allclose(Gated(3)(weights, CONTENT, SHOWN, xp=np), SHOWN)
    weights["weighting/gate"] += 1 + np.arange(6.0).reshape(3, 2).astype(np.float32)
    others = [CONTENT[0], CONTENT[1] + 5]
    both = np.ones((3, 2))
    assert not np.allclose(Gated(3)(weights, CONTENT, both, xp=np), Gated(3)(weights, others, both, xp=np))
    alone = np.array([[1.0, 0]] * 3)
    np.testing.assert_array_equal(Gated(3)(weights, CONTENT, alone, xp=np), Gated(3)(weights, others, alone, xp=np))


def test_numpy_and_keras_compute_the_same():
    from keras import ops

    weights = Gated(3).initial_weights([2, 1], seed=0)
    weights["weighting/gate"] += np.arange(6.0).reshape(3, 2).astype(np.float32)
    content, shown = [x.astype(np.float32) for x in CONTENT], SHOWN.astype(np.float32)
    np.testing.assert_allclose(
        np.array(Gated(3)(weights, content, shown, xp=ops)), Gated(3)(weights, content, shown, xp=np), rtol=1e-5
    )


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
    model = registry.create("weighted", QUICK | {"weighting": weighting, "learning_rate": 0.02, "patience": 9})
    log = model.fit(catalog, history.train, Holdout.of(history, len(catalog), seed=1), seed=1)
    assert set(log.weights) == {"text", "image"}
    assert log.best_epoch > 0
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
        ({"gate_units": 0}, "gate_units 0"),
        ({"colour": 3}, "colour"),
    ],
)
def test_arguments_out_of_range_are_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        registry.create("weighted", setting)
