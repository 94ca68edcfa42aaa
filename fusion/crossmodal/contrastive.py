"""Alignment by contrast: a tower a modality, taught to tell an item's other modality among those of other items."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.alignment import Alignment
from fusion.crossmodal.layers import perceptron, start_perceptron
from fusion.crossmodal.measures import unit
from fusion.crossmodal.training import Batch, TranslatorConfig, Weights, shuffled, train
from fusion.crossmodal.views import Views, held_out, spaced

MIN_ROWS = 20
"""With fewer items that have two modalities, nothing is trained."""
FIRST_TEMPERATURE = 0.2
LEAST_TEMPERATURE = 0.01
"""As in Radford et al. 2021, section 2.5."""
HIDDEN = 1e4
"""Taken off the logit of what is not there."""
FIGURED = 2048
"""The held-out figure is computed over at most so many items at once."""


class Contrastive(Alignment):
    """InfoNCE (van den Oord et al. 2018, arXiv:1807.03748, eq. 4) in both directions (Radford et al. 2021,
    arXiv:2103.00020, figure 3), summed over all pairs of modalities, in one space for all, with a learnt temperature.

    Args:
        dims: columns of the space.
        hidden: units of a tower's hidden layer; 0 for a linear tower.
        noise: standard deviation of what is added to the vectors in training; they have variance 1 on average.
        epochs, patience, batch_size, learning_rate, held_out: see `fusion.crossmodal.training.TranslatorConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, dims: int = 64, hidden: int = 0, noise: float = 1.0, **config: Any) -> None:
        if dims < 1 or hidden < 0 or noise < 0:
            raise ValueError(f"dims {dims}, hidden {hidden} and noise {noise}: expected at least 1, 0 and 0")
        self.dims, self.hidden, self.noise, self.config = dims, hidden, noise, TranslatorConfig(**config)

    def fit(self, views: Views, *, seed: int) -> None:
        views = views.where(spaced(views.shown(list(views.x)).sum(axis=1) >= 2))
        random = np.random.default_rng(seed)
        self._weights: Weights = {"log_temperature": np.array(np.log(FIRST_TEMPERATURE), np.float32)}
        for m, x in views.x.items():
            self._weights |= start_perceptron(random, m, inputs=x.shape[1], hidden=self.hidden, outputs=self.dims)
        if len(views) < MIN_ROWS:
            return
        late = held_out(len(views), share=self.config.held_out, seed=seed)
        modalities = list(views.x)
        self._weights = train(
            self._weights,
            lambda weights, batch: _loss(weights, batch, modalities),
            draw=self._batches(views.where(~late)),
            figure=_figure(views.where(np.nonzero(late)[0][:FIGURED]), modalities),
            config=self.config,
            seed=seed,
        )

    def embed(self, views: Views, first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        one, other = (
            unit(perceptron(self._weights, m, views.x[m], xp=np)) * views.masks[m][:, None] for m in (first, second)
        )
        return one, other

    @property
    def temperature(self) -> float:
        return max(LEAST_TEMPERATURE, float(np.exp(self._weights["log_temperature"])))

    def _batches(self, views: Views) -> Callable[[np.random.Generator], Iterable[Batch]]:
        def draw(random: np.random.Generator) -> Iterable[Batch]:
            for rows in shuffled(len(views), random, size=self.config.batch_size):
                yield _batch(views.where(rows), {m: self._blur(x[rows], random) for m, x in views.x.items()})

        return draw

    def _blur(self, x: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        return x + self.noise * random.normal(size=x.shape).astype(np.float32)


def contrast(logits: Any, queries: Any, targets: Any, *, xp: Any) -> Any:
    """InfoNCE [] of logits [B, B], whose row i asks for column i: the mean over rows that have both of
    -log softmax(row)[i], over the columns that there are.

    Args:
        queries, targets: [B], 1 where row i, and column i, is there and 0 where it is not.
    """
    shown = logits + (targets - 1) * HIDDEN
    top = xp.max(shown, axis=1, keepdims=True)
    total = top[:, 0] + xp.log(xp.sum(xp.exp(shown - top), axis=1))
    both = queries * targets
    return xp.sum(both * (total - xp.diagonal(logits))) / xp.maximum(xp.sum(both), 1.0)


def symmetric(one: Any, other: Any, masks: tuple[Any, Any], temperature: Any, *, xp: Any) -> Any:
    """The mean of both directions [] over rows of length 1, [B, d] each."""
    logits = xp.matmul(one, xp.transpose(other)) / temperature
    there = contrast(logits, *masks, xp=xp)
    return (there + contrast(xp.transpose(logits), *masks[::-1], xp=xp)) / 2


def _loss(weights: Mapping[str, Any], batch: Batch, modalities: list[str]) -> Any:
    from keras import ops

    return _total(weights, batch, modalities, xp=ops)


def _total(weights: Mapping[str, Any], batch: Batch, modalities: list[str], *, xp: Any) -> Any:
    """The sum over pairs of modalities of `symmetric` []."""
    temperature = xp.maximum(xp.exp(weights["log_temperature"]), LEAST_TEMPERATURE)
    rows = {}
    for m in modalities:
        row = perceptron(weights, m, batch[f"x/{m}"], xp=xp)
        rows[m] = row / xp.sqrt(xp.sum(row**2, axis=1, keepdims=True) + 1e-12)
    pairs = [(a, b) for place, a in enumerate(modalities) for b in modalities[place + 1 :]]
    return sum(
        symmetric(rows[a], rows[b], (batch[f"mask/{a}"], batch[f"mask/{b}"]), temperature, xp=xp) for a, b in pairs
    )


def _batch(views: Views, x: Mapping[str, NDArray[np.float32]]) -> Batch:
    masks = {f"mask/{m}": mask.astype(np.float32) for m, mask in views.masks.items()}
    return {f"x/{m}": rows for m, rows in x.items()} | masks


def _figure(views: Views, modalities: list[str]) -> Callable[[Weights], float]:
    batch = _batch(views, views.x)
    return lambda weights: float(_total(weights, batch, modalities, xp=np))
