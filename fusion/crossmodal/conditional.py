"""The base of translators trained by gradient descent: one network a modality, conditioned on the item's others."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems, held_out, training_rows
from fusion.crossmodal.training import Batch, TranslatorConfig, Weights, shuffled, train
from fusion.crossmodal.translator import Translator

MIN_ROWS = 20
"""With fewer items in the fit, nothing is trained and the mean is predicted."""


@dataclass(frozen=True)
class Condition:
    """The O other modalities of n items, from which one modality is predicted.

    Attributes:
        x: float32 [n, P], side by side, zeros where missing.
        present: bool [n, O], which of them the item has.
        widths: columns of each, adding up to P.
    """

    x: NDArray[np.float32]
    present: NDArray[np.bool_]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, items: ProjectedItems, modality: str) -> "Condition":
        others = items.others(modality)
        blocks = [np.zeros((len(items), 0), np.float32), *[items.x[o] for o in others]]
        return cls(np.hstack(blocks), items.mask_matrix(others), tuple(items.x[o].shape[1] for o in others))

    def where(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "Condition":
        return replace(self, x=self.x[rows], present=self.present[rows])

    def inputs(self) -> NDArray[np.float32]:
        """float32 [n, P + O]: the vectors, then 1 or 0 for each modality that is present or missing."""
        return np.hstack([self.x * np.repeat(self.present, self.widths, axis=1), self.present]).astype(np.float32)

    def with_noise(self, random: np.random.Generator, *, deviation: float) -> "Condition":
        """The condition with normal noise of that standard deviation added to every entry."""
        return replace(self, x=self.x + deviation * random.normal(size=self.x.shape).astype(np.float32))

    def with_gaps(self, random: np.random.Generator, *, share: float) -> "Condition":
        """The condition with each modality dropped for a share of the items, drawn independently; an item that would
        lose all of them keeps all."""
        present = self.present & (random.random(self.present.shape) >= share)
        return replace(self, present=np.where(present.any(axis=1, keepdims=True), present, self.present))


class Conditional(Translator):
    """A network a modality, trained on the items that have it and another, with early stopping on a held-out share.

    Args:
        hidden: units of every hidden layer.
        noise: standard deviation of the noise added to the condition in training, which acts like a ridge (Bishop 1995,
            "Training with Noise is Equivalent to Tikhonov Regularization"); vectors have variance 1 on average.
        modality_dropout: see `Condition.with_gaps`.
        epochs, patience, batch_size, learning_rate, held_out: see `fusion.crossmodal.training.TranslatorConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, hidden: int = 128, noise: float = 2.0, modality_dropout: float = 0.2, **config: Any) -> None:
        if hidden < 1 or noise < 0 or not 0 <= modality_dropout < 1:
            raise ValueError(
                f"hidden {hidden}, noise {noise} and modality_dropout {modality_dropout}: expected 1 or more, 0 or "
                "more, and a share below 1"
            )
        self.hidden, self.noise, self.modality_dropout = hidden, noise, modality_dropout
        self.config = TranslatorConfig(**config)

    @abstractmethod
    def _initial_weights(self, random: np.random.Generator, *, inputs: int, outputs: int) -> Weights:
        """The weights of one modality's network before training; with them it predicts 0."""

    @abstractmethod
    def _loss(self, weights: Mapping[str, Any], batch: Batch) -> Any:
        """A scalar in `keras.ops`; the batch holds `given` [B, inputs], `wanted` [B, outputs] and the arrays of
        `_noise`."""

    @abstractmethod
    def _predict(self, weights: Weights, given: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, inputs] → [n, outputs], without randomness."""

    def _noise(self, random: np.random.Generator, n: int) -> dict[str, NDArray[np.float32]]:
        """Random arrays for a batch of n items, by name; none unless overridden."""
        return {}

    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        self._weights = {m: self._trained(items, m, seed=seed) for m in items.x}

    def predict(self, items: ProjectedItems, modality: str) -> NDArray[np.float32]:
        condition = Condition.of(items, modality)
        predicted = self._predict(self._weights[modality], condition.inputs())
        return np.where(condition.present.any(axis=1, keepdims=True), predicted, 0).astype(np.float32)

    def _trained(self, items: ProjectedItems, modality: str, *, seed: int) -> Weights:
        condition = Condition.of(items, modality)
        rows = training_rows(items.masks[modality] & condition.present.any(axis=1))
        condition, wanted = condition.where(rows), items.x[modality][rows]
        inputs = condition.inputs().shape[1]
        start = self._initial_weights(np.random.default_rng(seed), inputs=inputs, outputs=wanted.shape[1])
        if len(rows) < MIN_ROWS:
            return start
        validation = held_out(len(rows), share=self.config.held_out, seed=seed)
        return train(
            start,
            self._loss,
            draw=self._batches(condition.where(~validation), wanted[~validation]),
            figure=self._error(condition.where(validation).inputs(), wanted[validation]),
            config=self.config,
            seed=seed,
        )

    def _batches(
        self, condition: Condition, wanted: NDArray[np.float32]
    ) -> Callable[[np.random.Generator], Iterable[Mapping[str, NDArray[Any]]]]:
        def draw(random: np.random.Generator) -> Iterable[Mapping[str, NDArray[Any]]]:
            for rows in shuffled(len(wanted), random, size=self.config.batch_size):
                given = condition.where(rows).with_gaps(random, share=self.modality_dropout)
                given = given.with_noise(random, deviation=self.noise)
                yield {"given": given.inputs(), "wanted": wanted[rows], **self._noise(random, len(rows))}

        return draw

    def _error(self, given: NDArray[np.float32], wanted: NDArray[np.float32]) -> Callable[[Weights], float]:
        """The mean squared error of the prediction, as a function of the weights."""
        return lambda weights: float(np.mean((self._predict(weights, given) - wanted) ** 2, dtype=np.float64))
