"""What translators that are trained share: one network a modality, told what the item has of the others."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.training import Batch, TranslatorConfig, Weights, shuffled, train
from fusion.crossmodal.translator import Translator
from fusion.crossmodal.views import Views, held_out, spaced

MIN_ROWS = 20
"""With fewer items to learn from, nothing is trained and the mean is predicted."""


@dataclass(frozen=True)
class Condition:
    """What items have of the modalities from which another is told.

    Attributes:
        x: float32 [n, P], side by side, 0 where missing.
        shown: bool [n, O], which of them the item has.
        widths: columns of each, adding up to P.
    """

    x: NDArray[np.float32]
    shown: NDArray[np.bool_]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, views: Views, modality: str) -> "Condition":
        others = views.others(modality)
        blocks = [np.zeros((len(views), 0), np.float32), *[views.x[o] for o in others]]
        return cls(np.hstack(blocks), views.shown(others), tuple(views.x[o].shape[1] for o in others))

    def where(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "Condition":
        return replace(self, x=self.x[rows], shown=self.shown[rows])

    def inputs(self) -> NDArray[np.float32]:
        """float32 [n, P + O]: the vectors, then 1 or 0 for what is there."""
        return np.hstack([self.x * np.repeat(self.shown, self.widths, axis=1), self.shown]).astype(np.float32)

    def blurred(self, random: np.random.Generator, *, noise: float) -> "Condition":
        """Normal noise of so large a standard deviation on every entry."""
        return replace(self, x=self.x + noise * random.normal(size=self.x.shape).astype(np.float32))

    def with_gaps(self, random: np.random.Generator, *, share: float) -> "Condition":
        """Each modality hidden for so large a share of the items, drawn for each alone; never the last of an item."""
        shown = self.shown & (random.random(self.shown.shape) >= share)
        return replace(self, shown=np.where(shown.any(axis=1, keepdims=True), shown, self.shown))


class Conditional(Translator):
    """A network a modality, trained on the items that have it and another, stopped by those of them held out.

    Args:
        hidden: units of every hidden layer.
        noise: standard deviation of what is added to the condition in training, which acts like a ridge (Bishop 1995,
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
    def _start(self, random: np.random.Generator, *, inputs: int, outputs: int) -> Weights:
        """The weights of one modality's network, which begins by predicting 0."""

    @abstractmethod
    def _loss(self, weights: Mapping[str, Any], batch: Batch) -> Any:
        """A scalar in `keras.ops`; the batch holds `given` [B, inputs], `wanted` [B, outputs] and what `_chance`
        adds."""

    @abstractmethod
    def _use(self, weights: Weights, given: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, inputs] → [n, outputs], without chance."""

    def _chance(self, random: np.random.Generator, n: int) -> dict[str, NDArray[np.float32]]:
        """What chance adds to a batch of n items."""
        return {}

    def fit(self, views: Views, *, seed: int) -> None:
        self._weights = {m: self._trained(views, m, seed=seed) for m in views.x}

    def predict(self, views: Views, modality: str) -> NDArray[np.float32]:
        condition = Condition.of(views, modality)
        predicted = self._use(self._weights[modality], condition.inputs())
        return np.where(condition.shown.any(axis=1, keepdims=True), predicted, 0).astype(np.float32)

    def _trained(self, views: Views, modality: str, *, seed: int) -> Weights:
        condition = Condition.of(views, modality)
        rows = spaced(views.masks[modality] & condition.shown.any(axis=1))
        condition, wanted = condition.where(rows), views.x[modality][rows]
        inputs = condition.inputs().shape[1]
        start = self._start(np.random.default_rng(seed), inputs=inputs, outputs=wanted.shape[1])
        if len(rows) < MIN_ROWS:
            return start
        late = held_out(len(rows), share=self.config.held_out, seed=seed)
        return train(
            start,
            self._loss,
            draw=self._batches(condition.where(~late), wanted[~late]),
            figure=self._error(condition.where(late).inputs(), wanted[late]),
            config=self.config,
            seed=seed,
        )

    def _batches(
        self, condition: Condition, wanted: NDArray[np.float32]
    ) -> Callable[[np.random.Generator], Iterable[Mapping[str, NDArray[Any]]]]:
        def draw(random: np.random.Generator) -> Iterable[Mapping[str, NDArray[Any]]]:
            for rows in shuffled(len(wanted), random, size=self.config.batch_size):
                given = condition.where(rows).with_gaps(random, share=self.modality_dropout)
                given = given.blurred(random, noise=self.noise)
                yield {"given": given.inputs(), "wanted": wanted[rows], **self._chance(random, len(rows))}

        return draw

    def _error(self, given: NDArray[np.float32], wanted: NDArray[np.float32]) -> Callable[[Weights], float]:
        """Mean squared error on those items, of what is used."""
        return lambda weights: float(np.mean((self._use(weights, given) - wanted) ** 2, dtype=np.float64))
