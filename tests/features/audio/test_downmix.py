"""Mixing channels to one."""

import numpy as np
import pytest

from features.audio.downmix import CANCELLED, downmix


def noise(count: int, samples: int = 20_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (samples, count)).astype(np.float32)


def test_mean_by_hand() -> None:
    channels = np.array([[1.0, 1.0, -0.5], [1.0, 0.25, 0.25], [-1.0, -0.25, -0.25]], np.float32)
    np.testing.assert_array_equal(downmix(channels), np.array([0.5, 0.5, -0.5], np.float32))


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9, 60])
def test_equal_channels_keep_their_bits(count: int) -> None:
    one = noise(1)
    np.testing.assert_array_equal(downmix(np.repeat(one, count, axis=1)), one[:, 0])


@pytest.mark.parametrize("count", [2, 6, 16, 64])
def test_sound_in_one_channel_or_in_independent_ones_is_averaged(count: int) -> None:
    alone = np.zeros((20_000, count), np.float32)
    alone[:, count - 1] = noise(1)[:, 0]
    np.testing.assert_allclose(downmix(alone), alone[:, -1] / count, rtol=1e-6)
    independent = noise(count)
    np.testing.assert_allclose(downmix(independent), independent.mean(axis=1, dtype=np.float64), atol=1e-7)


@pytest.mark.parametrize(("correlation", "averaged"), [(-0.85, True), (-0.95, False)])
def test_stereo_cancels_below_a_correlation_of_a_tenth_from_minus_one(correlation: float, averaged: bool) -> None:
    """Of two channels of equal power with correlation r the mean has (1 + r) / 2 of their power."""
    assert CANCELLED == 0.1
    one, other = noise(2).T
    left, right = one, correlation * one + (1 - correlation**2) ** 0.5 * other
    expected = (left + right) / 2 if averaged else left if left.var() >= right.var() else right
    np.testing.assert_allclose(downmix(np.stack([left, right], axis=1)), expected, atol=1e-6)


def test_an_offset_is_no_sound() -> None:
    """Both channels are shifted by the same constant, which their mean keeps; the sound would be gone."""
    one = 0.1 * noise(1)[:, 0]
    found = downmix(np.stack([0.5 + one, 0.5 - 0.9 * one], axis=1))
    np.testing.assert_array_equal(found, 0.5 + one)


def test_silence_stays_silent() -> None:
    np.testing.assert_array_equal(downmix(np.zeros((9, 2), np.float32)), np.zeros(9, np.float32))
