"""Translation by a conditional variational autoencoder."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.conditional import Conditional
from fusion.crossmodal.layers import LIMIT, gaussian, initial_perceptron, perceptron
from fusion.crossmodal.training import Batch, Weights


class Variational(Conditional):
    """A conditional VAE (Sohn, Lee and Yan 2015, "Learning Structured Output Representation using Deep Conditional
    Generative Models", eq. 4): a prior p(z | c), a recognition network q(z | y, c) and a decoder p(y | z, c), where c
    is the condition, the modalities that the item has, and y the one to predict. The prediction is the decoder's at the
    prior's mean (section 4.1).

    The decoder's single variance is learnt (Rybkin et al. 2021, σ-VAE), which sets the weight of the two terms.

    Args:
        latent: width of z.
        settings: see `Conditional`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, latent: int = 16, **settings: Any) -> None:
        super().__init__(**settings)
        if latent < 1:
            raise ValueError(f"latent {latent}: expected 1 or more")
        self.latent = latent

    def _initial_weights(self, random: np.random.Generator, *, inputs: int, outputs: int) -> Weights:
        perceptron_of = partial(initial_perceptron, random, hidden=self.hidden)
        return {
            **perceptron_of("prior", inputs=inputs, outputs=2 * self.latent),
            **perceptron_of("recognition", inputs=inputs + outputs, outputs=2 * self.latent),
            **perceptron_of("decoder", inputs=inputs + self.latent, outputs=outputs, zero_output=True),
            "log_variance": np.zeros((), np.float32),
        }

    def _loss(self, weights: Mapping[str, Any], batch: Batch) -> Any:
        """The negative evidence lower bound, a mean over items, with one draw of z each."""
        from keras import ops

        given, wanted = batch["given"], batch["wanted"]
        prior = gaussian(weights, "prior", given, xp=ops)
        mean, log_variance = gaussian(weights, "recognition", ops.concatenate([wanted, given], axis=1), xp=ops)
        code = mean + ops.exp(log_variance / 2) * batch["noise"]
        decoded = perceptron(weights, "decoder", ops.concatenate([code, given], axis=1), xp=ops)
        spread = ops.clip(weights["log_variance"], -LIMIT, LIMIT)
        reconstruction = negative_log_likelihood(wanted, decoded, spread, xp=ops)
        return ops.mean(reconstruction + kl_divergence(mean, log_variance, *prior, xp=ops))

    def _noise(self, random: np.random.Generator, n: int) -> dict[str, NDArray[np.float32]]:
        return {"noise": random.normal(size=(n, self.latent)).astype(np.float32)}

    def _predict(self, weights: Weights, given: NDArray[np.float32]) -> NDArray[np.float32]:
        code, _ = gaussian(weights, "prior", given, xp=np)
        return perceptron(weights, "decoder", np.hstack([code, given]), xp=np)


def kl_divergence(mean: Any, log_variance: Any, prior_mean: Any, prior_log_variance: Any, *, xp: Any) -> Any:
    """KL(q || p) [n] of Gaussians with diagonal covariance, all [n, d] (Kingma and Welling 2014, appendix B, with any
    p): 1/2 sum of log σ_p² - log σ_q² + (σ_q² + (μ_q - μ_p)²) / σ_p² - 1."""
    spread = (xp.exp(log_variance) + (mean - prior_mean) ** 2) / xp.exp(prior_log_variance)
    return 0.5 * xp.sum(prior_log_variance - log_variance + spread - 1, axis=1)


def negative_log_likelihood(wanted: Any, decoded: Any, log_variance: Any, *, xp: Any) -> Any:
    """-log p(y | z, c) [n] without its constant, of [n, p] under one variance: 1/2 sum of (y - ŷ)² / σ² + log σ²."""
    return 0.5 * xp.sum((wanted - decoded) ** 2 / xp.exp(log_variance) + log_variance, axis=1)
