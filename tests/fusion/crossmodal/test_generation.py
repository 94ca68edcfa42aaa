"""The network that makes a missing modality, and how it is trained."""

import numpy as np
import pytest

from fusion.crossmodal import registry
from fusion.crossmodal.measures import r_squared
from fusion.crossmodal.variational import ConditionalVAE, GivenModalities, kl_divergence, negative_log_likelihood
from tests.fusion.crossmodal.test_crossmodal import items_of, two_modalities

SMALL = {"hidden": 16, "epochs": 3, "batch_size": 32}


def test_kl_divergence_and_negative_log_likelihood_by_hand():
    """q = N(1, 1) from p = N(0, 4): (log 4 + 2/4 - 1) / 2; two equal Gaussians: 0."""
    one, none = np.ones((1, 1)), np.zeros((1, 1))
    found = kl_divergence(one, one, none, none, np.log([[4.0]]))
    np.testing.assert_allclose(np.asarray(found), [(np.log(4) - 0.5) / 2], rtol=1e-6)
    mean, log_variance = np.array([[0.3, -2.0]]), np.array([[0.5, -1.0]])
    same = kl_divergence(mean, np.exp(log_variance / 2), log_variance, mean, log_variance)
    np.testing.assert_allclose(np.asarray(same), [0], atol=1e-6)
    found = negative_log_likelihood(np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]), np.log(2))
    np.testing.assert_allclose(np.asarray(found), [(4 / 2 + 2 * np.log(2)) / 2], rtol=1e-6)


def test_gaps_are_drawn_but_never_the_last():
    x, present = np.ones((400, 3), np.float32), np.ones((400, 2), np.float32)
    given = GivenModalities([2, 1], noise=2.0, gaps=0.5)
    np.testing.assert_array_equal(np.asarray(given(x, present))[0], [1, 1, 1, 1, 1])
    noisy = np.asarray(given(x, present, training=True))
    shown = noisy[:, 3:]
    assert set(shown.ravel()) == {0, 1} and shown.any(axis=1).all()
    assert 0.5 < shown.mean() < 0.9
    assert not noisy[shown[:, 0] == 0][:, :2].any()
    assert noisy[shown[:, 1] == 1][:, 2].std() == pytest.approx(2.0, rel=0.2)


def test_before_training_the_mean_is_predicted_and_the_bound_is_that_of_the_mean():
    """The decoder's output and log variance are 0, so that the likelihood's part is half the squared length of y."""
    network = ConditionalVAE([2], outputs=2, latent=1, hidden=3, noise=1.0, gaps=0.0)
    inputs = {"x": np.ones((4, 2), np.float32), "present": np.ones((4, 1), np.float32)}
    assert not np.asarray(network(inputs)).any()
    network({**inputs, "y": np.full((4, 2), 3.0, np.float32)})
    (bound,) = network.losses
    assert float(bound) >= 9.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"epochs": 0}, "epochs 0: expected 1 or more"),
        ({"patience": 0}, "patience 0"),
        ({"learning_rate": 0.0}, r"learning_rate 0\.0: expected more than 0"),
        ({"held_out": 1.0}, r"held_out 1\.0: expected a share"),
        ({"latent": 0, "noise": -1}, "latent 0.*noise -1"),
        ({"modality_dropout": 1.0}, "modality_dropout"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        registry.create("vae", arguments)


def test_two_fits_give_the_same_bits():
    items = two_modalities()
    first, second = (registry.create("vae", SMALL) for _ in range(2))
    first.fit(items, seed=7)
    second.fit(items, seed=7)
    np.testing.assert_array_equal(first.predict(items, "image"), second.predict(items, "image"))


@pytest.mark.slow
def test_a_modality_is_told_from_another():
    items = two_modalities(400)
    train_on, rest = items.where(np.arange(300)), items.where(np.arange(300, 400))
    settings = {"hidden": 32, "noise": 0.1, "epochs": 40, "batch_size": 32, "learning_rate": 0.01}
    translator = registry.create("vae", settings)
    translator.fit(train_on, seed=0)
    assert r_squared(translator.predict(rest, "image"), rest.x["image"]) > 0.8
    nothing = items_of(text=np.zeros((2, 6)), image=np.ones((2, 5)), masks={"text": [False, False]})
    assert not translator.predict(nothing, "image").any()


def test_what_is_no_better_than_the_mean_is_the_mean():
    """The modalities have nothing to do with each other, and the steps are far too long."""
    random = np.random.default_rng(0)
    items = items_of(text=random.normal(size=(60, 3)), image=random.normal(size=(60, 3)))
    translator = registry.create("vae", {"hidden": 4, "epochs": 2, "learning_rate": 10.0})
    translator.fit(items, seed=0)
    assert not translator.predict(items, "image").any()


def test_with_too_few_items_the_mean_is_predicted():
    items = two_modalities(12)
    translator = registry.create("vae", SMALL)
    translator.fit(items, seed=0)
    assert not translator.predict(items, "image").any()
