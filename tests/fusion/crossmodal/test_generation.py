"""The networks that make a missing modality, and how they are trained."""

import numpy as np
import pytest

from fusion.crossmodal import registry
from fusion.crossmodal.conditional import Condition
from fusion.crossmodal.layers import initial_perceptron, perceptron
from fusion.crossmodal.measures import r_squared
from fusion.crossmodal.training import TranslatorConfig, shuffled, train
from fusion.crossmodal.variational import kl_divergence, negative_log_likelihood
from tests.fusion.crossmodal.test_crossmodal import items_of, two_modalities

NETWORKS = ["network", "vae"]
SMALL = {"hidden": 16, "epochs": 3, "batch_size": 32}


def test_a_perceptron_by_hand():
    """Hidden units are max(0, 2 - 3) = 0 and 2 + 1 = 3."""
    weights = {
        "a/hidden": np.array([[1.0, 1.0]]),
        "a/hidden_bias": np.array([-3.0, 1.0]),
        "a/out": np.array([[5.0], [7.0]]),
        "a/out_bias": np.array([0.5]),
    }
    np.testing.assert_allclose(perceptron(weights, "a", np.array([[2.0]]), xp=np), [[21.5]])
    linear = {"a/out": np.array([[5.0]]), "a/out_bias": np.array([0.5])}
    np.testing.assert_allclose(perceptron(linear, "a", np.array([[2.0]]), xp=np), [[10.5]])


def test_a_perceptron_with_zero_output_begins_at_0():
    weights = initial_perceptron(np.random.default_rng(0), "a", inputs=3, hidden=4, outputs=2, zero_output=True)
    assert not perceptron(weights, "a", np.ones((5, 3), np.float32), xp=np).any()


def test_kl_divergence_and_negative_log_likelihood_by_hand():
    """q = N(1, 1) from p = N(0, 4): (log 4 + 2/4 - 1) / 2; two equal Gaussians: 0."""
    found = kl_divergence(np.array([[1.0]]), np.zeros((1, 1)), np.zeros((1, 1)), np.log([[4.0]]), xp=np)
    np.testing.assert_allclose(found, [(np.log(4) - 0.5) / 2])
    same = np.array([[0.3, -2.0]])
    np.testing.assert_allclose(kl_divergence(same, same, same, same, xp=np), [0], atol=1e-12)
    np.testing.assert_allclose(
        negative_log_likelihood(np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]), np.log(2), xp=np),
        [(4 / 2 + 2 * np.log(2)) / 2],
    )


def test_gaps_are_drawn_but_never_the_last():
    items = items_of(text=np.ones((400, 2)), image=np.ones((400, 1)), audio=np.ones((400, 1)))
    condition = Condition.of(items, "audio")
    np.testing.assert_array_equal(condition.inputs()[0], [1, 1, 1, 1, 1])
    dropped = condition.with_gaps(np.random.default_rng(0), share=0.5)
    assert dropped.present.any(axis=1).all()
    assert 0.5 < dropped.present.mean() < 0.9
    gone = np.nonzero(~dropped.present[:, 0])[0][0]
    np.testing.assert_array_equal(dropped.inputs()[gone], [0, 0, 1, 0, 1])
    noisy = dropped.with_noise(np.random.default_rng(0), deviation=2.0).inputs()
    assert not noisy[gone, :2].any()
    assert noisy[:, 2].std() == pytest.approx(2.0 * np.sqrt(dropped.present[:, 1].mean()), rel=0.2)
    np.testing.assert_array_equal(noisy[:, 3:], dropped.present)


def test_an_epoch_holds_every_row_as_often_as_any_and_none_alone():
    """Three batches are too few, so that all rows come twice."""
    rows = list(shuffled(33, np.random.default_rng(0), size=16))
    assert len(rows) == 6
    for half in (rows[:3], rows[3:]):
        assert sorted(np.concatenate(half)) == list(range(33))
    assert all(2 <= len(batch) <= 16 for batch in rows)
    assert len(list(shuffled(400, np.random.default_rng(0), size=40))) == 10
    assert list(shuffled(1, np.random.default_rng(0), size=16)) == []


def test_the_best_weights_are_kept_and_patience_ends_training():
    """The loss drives w from 0 up; what is held out is worth least at w = 0.22."""
    seen = []

    def figure(weights):
        seen.append(float(weights["w"]))
        return abs(seen[-1] - 0.22)

    found = train(
        {"w": np.zeros((), np.float32)},
        lambda weights, batch: -weights["w"] * batch["one"],
        draw=lambda random: [{"one": np.float32(1)}],
        figure=figure,
        config=TranslatorConfig(epochs=50, patience=2, learning_rate=0.1),
        seed=0,
    )
    assert len(seen) == 5
    assert found["w"] == min(seen, key=lambda w: abs(w - 0.22))


@pytest.mark.parametrize("arguments", [{"epochs": -1}, {"patience": 0}, {"learning_rate": 0.0}, {"held_out": 1.0}])
def test_recipes_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        TranslatorConfig(**arguments)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("network", {"hidden": 0}),
        ("vae", {"latent": 0}),
        ("vae", {"modality_dropout": 1.0}),
        ("network", {"noise": -1}),
    ],
)
def test_arguments_out_of_range_are_refused(name, parameters):
    with pytest.raises(ValueError, match="expected"):
        registry.create(name, parameters)


@pytest.mark.parametrize("name", NETWORKS)
def test_two_fits_give_the_same_bits(name):
    items = two_modalities()
    first, second = (registry.create(name, SMALL) for _ in range(2))
    first.fit(items, seed=7)
    second.fit(items, seed=7)
    np.testing.assert_array_equal(first.predict(items, "image"), second.predict(items, "image"))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.slow
def test_a_modality_is_told_from_another(name):
    items = two_modalities(400)
    train_on, rest = items.where(np.arange(300)), items.where(np.arange(300, 400))
    translator = registry.create(
        name, {"hidden": 32, "noise": 0.1, "epochs": 40, "batch_size": 32, "learning_rate": 0.01}
    )
    translator.fit(train_on, seed=0)
    assert r_squared(translator.predict(rest, "image"), rest.x["image"]) > 0.8
    nothing = items_of(text=np.zeros((2, 6)), image=np.ones((2, 5)), masks={"text": [False, False]})
    assert not translator.predict(nothing, "image").any()


@pytest.mark.parametrize("name", NETWORKS)
def test_with_too_few_items_the_mean_is_predicted(name):
    items = two_modalities(12)
    translator = registry.create(name, SMALL)
    translator.fit(items, seed=0)
    assert not translator.predict(items, "image").any()
