"""Generation of a missing modality by a conditional variational autoencoder, trained by Keras."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems, held_out, training_rows
from fusion.crossmodal.translator import Translator
from fusion.training.fitting import deterministic

MIN_ROWS = 20
"""With fewer items in the fit, nothing is trained and the mean is predicted."""
MIN_STEPS = 6
"""Least steps of an epoch: after fewer, the held-out error has hardly changed."""
LIMIT = 8.0
"""Clipping limit of log variances, either way, so that their exponentials neither overflow nor vanish."""


class GivenModalities(layers.Layer):
    """What a modality is predicted from: [x; mask] of the item's O other modalities, in training with noise, which acts
    like a ridge (Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization"), and with gaps.

    Args:
        widths: columns of each of them; their vectors have variance 1 on average.
        noise: standard deviation of the noise.
        gaps: share of the items that each modality is dropped for; one that would lose all of them keeps all.
    """

    def __init__(self, widths: Sequence[int], *, noise: float, gaps: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noise, self.gaps = noise, gaps
        self.random = keras.random.SeedGenerator()
        self.repeat = np.repeat(np.eye(len(widths), dtype=np.float32), widths, axis=1)  # [O, P]

    def call(self, x: Any, present: Any, training: bool = False) -> Any:
        """[n, P + O]

        Args:
            x: [n, P], side by side, 0 where missing.
            present: [n, O], 1 where the item has the modality, else 0.
        """
        if training:
            x = x + self.noise * keras.random.normal(ops.shape(x), seed=self.random)
            kept = keras.random.uniform(ops.shape(present), seed=self.random) >= self.gaps
            left = present * ops.cast(kept, present.dtype)
            present = ops.where(ops.any(left > 0, axis=1, keepdims=True), left, present)
        return ops.concatenate([x * ops.matmul(present, self.repeat), present], axis=1)


class ConditionalVAE(keras.Model):
    """A prior p(z | c), a recognition network q(z | y, c) and a decoder p(y | z, c), where c is the item's other
    modalities and y the one to predict (Sohn, Lee and Yan 2015, "Learning Structured Output Representation using Deep
    Conditional Generative Models", eq. 4). The prediction is the decoder's at the prior's mean (section 4.1), 0 before
    training. The decoder's single variance is learnt (Rybkin et al. 2021, σ-VAE), which weighs the loss's two terms.

    Args:
        widths: of c.
        outputs: width of y.
        latent: width of z.
        hidden: units of the hidden layer of each of the three.
        noise, gaps: of `GivenModalities`.
    """

    def __init__(
        self, widths: Sequence[int], *, outputs: int, latent: int, hidden: int, noise: float, gaps: float
    ) -> None:
        super().__init__()

        def perceptron(inputs: int, columns: int, last: str) -> keras.Sequential:
            return keras.Sequential(
                [
                    keras.Input((inputs,)),
                    layers.Dense(hidden, "relu", kernel_initializer="he_normal"),
                    layers.Dense(columns, kernel_initializer=last),
                ]
            )

        given = sum(widths) + len(widths)
        self.given = GivenModalities(widths, noise=noise, gaps=gaps)
        self.prior = perceptron(given, 2 * latent, "lecun_normal")
        self.recognition = perceptron(outputs + given, 2 * latent, "lecun_normal")
        self.decoder = perceptron(latent + given, outputs, "zeros")
        self.log_variance = self.add_weight(shape=(), initializer="zeros", name="log_variance")
        self.random = keras.random.SeedGenerator()
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """y [n, p], predicted from `x` [n, P] and `present` [n, O] of `GivenModalities`. Where `y` [n, p] is given too,
        the negative evidence lower bound is added as loss, a mean over items with one draw of z each."""
        given = self.given(inputs["x"], inputs["present"], training=training)
        mean, log_variance = gaussian(self.prior(given))
        if "y" in inputs:
            posterior, log_spread = gaussian(self.recognition(ops.concatenate([inputs["y"], given], axis=1)))
            spread = ops.exp(log_spread / 2)
            code = posterior + spread * keras.random.normal(ops.shape(posterior), seed=self.random)
            decoded = self.decoder(ops.concatenate([code, given], axis=1))
            variance = ops.clip(self.log_variance, -LIMIT, LIMIT)
            bound = negative_log_likelihood(inputs["y"], decoded, variance)
            self.add_loss(ops.mean(bound + kl_divergence(posterior, spread, log_spread, mean, log_variance)))
        return self.decoder(ops.concatenate([mean, given], axis=1))


def gaussian(both: Any) -> tuple[Any, Any]:
    """Means and log variances [n, d] each, the latter clipped, given them side by side [n, 2 d]."""
    mean, log_variance = ops.split(both, 2, axis=1)
    return mean, ops.clip(log_variance, -LIMIT, LIMIT)


def kl_divergence(mean: Any, spread: Any, log_variance: Any, prior_mean: Any, prior_log_variance: Any) -> Any:
    """KL(q || p) [n] of Gaussians with diagonal covariance, all [n, d] (Kingma and Welling 2014, appendix B, with any
    p): 1/2 sum of log σ_p² - log σ_q² + (σ_q² + (μ_q - μ_p)²) / σ_p² - 1.

    Args:
        spread: σ_q, of which `log_variance` is log σ_q².
    """
    apart = (ops.square(spread) + ops.square(mean - prior_mean)) / ops.exp(prior_log_variance)
    return 0.5 * ops.sum(prior_log_variance - log_variance + apart - 1, axis=1)


def negative_log_likelihood(wanted: Any, decoded: Any, log_variance: Any) -> Any:
    """-log p(y | z, c) [n] without its constant, of [n, p] under one variance: 1/2 sum of (y - ŷ)² / σ² + log σ²."""
    return 0.5 * ops.sum(ops.square(wanted - decoded) / ops.exp(log_variance) + log_variance, axis=1)


class Variational(Translator):
    """A `ConditionalVAE` for each modality, trained on the items that have it and another. Of its epochs and the start,
    the one with the least squared error of held-out items is kept.

    Args:
        latent, hidden, noise: of the network.
        modality_dropout: its `gaps`.
        epochs: most epochs.
        patience: epochs without a lower held-out error before stopping.
        batch_size: items a step, at most.
        learning_rate: of Adam (Kingma and Ba 2015).
        held_out: share of the items that is held out for early stopping.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        latent: int = 16,
        hidden: int = 128,
        noise: float = 2.0,
        modality_dropout: float = 0.2,
        epochs: int = 60,
        patience: int = 8,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        held_out: float = 0.1,
    ) -> None:
        counts = {"latent": latent, "hidden": hidden, "epochs": epochs, "patience": patience, "batch_size": batch_size}
        shares = {"modality_dropout": modality_dropout, "held_out": held_out}
        positive = {"noise": noise, "learning_rate": learning_rate}
        wrong = [f"{name} {value}: expected 1 or more" for name, value in counts.items() if value < 1]
        wrong += [f"{name} {value}: expected more than 0" for name, value in positive.items() if not value > 0]
        wrong += [
            f"{name} {value}: expected a share from 0 to 1" for name, value in shares.items() if not 0 < value < 1
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        self.latent, self.hidden, self.noise, self.gaps = latent, hidden, noise, modality_dropout
        self.epochs, self.patience, self.batch_size = epochs, patience, batch_size
        self.learning_rate, self.held_out = learning_rate, held_out

    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        self._networks = {modality: self._trained(items, modality, seed=seed) for modality in items.x}

    def predict(self, items: ProjectedItems, modality: str) -> NDArray[np.float32]:
        inputs = _inputs(items, modality)
        tensors = {name: ops.convert_to_tensor(array) for name, array in inputs.items()}
        predicted = ops.convert_to_numpy(self._networks[modality](tensors))
        return np.where(inputs["present"].any(axis=1, keepdims=True), predicted, 0).astype(np.float32)

    def _trained(self, items: ProjectedItems, modality: str, *, seed: int) -> ConditionalVAE:
        deterministic(seed)
        widths, wanted = [items.x[o].shape[1] for o in items.others(modality)], items.x[modality]
        network = ConditionalVAE(
            widths,
            outputs=wanted.shape[1],
            latent=self.latent,
            hidden=self.hidden,
            noise=self.noise,
            gaps=self.gaps,
        )
        inputs = {**_inputs(items, modality), "y": wanted}
        rows = training_rows(items.masks[modality] & inputs["present"].any(axis=1))
        if len(rows) < MIN_ROWS:
            return network
        validated = held_out(len(rows), share=self.held_out, seed=seed)
        train, valid = ({n: a[part] for n, a in inputs.items()} for part in (rows[~validated], rows[validated]))
        start, error_at_start = network.get_weights(), np.mean(valid["y"] ** 2)
        network.compile(keras.optimizers.Adam(self.learning_rate), metrics=[keras.metrics.MeanSquaredError("error")])
        fitted = network.fit(
            train,
            train["y"],
            validation_data=(valid, valid["y"]),
            batch_size=min(self.batch_size, max(2, len(train["y"]) // MIN_STEPS)),
            epochs=self.epochs,
            verbose=0,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    "val_error", mode="min", patience=self.patience, restore_best_weights=True
                )
            ],
        )
        if min(fitted.history["val_error"]) >= error_at_start:
            network.set_weights(start)
        return network


def _inputs(items: ProjectedItems, modality: str) -> dict[str, NDArray[np.float32]]:
    """The inputs of `ConditionalVAE` but for `y`."""
    others = items.others(modality)
    x = np.hstack([np.zeros((len(items), 0), np.float32), *(items.x[o] for o in others)])
    return {"x": x, "present": items.mask_matrix(others).astype(np.float32)}
