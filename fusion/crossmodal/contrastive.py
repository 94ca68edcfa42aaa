"""Alignment by contrastive learning: a tower a modality, trained to match the modalities of one item."""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.alignment import Alignment
from fusion.crossmodal.layers import initial_perceptron, perceptron
from fusion.crossmodal.projected_items import ProjectedItems, held_out, training_rows
from fusion.crossmodal.training import Batch, TranslatorConfig, Weights, shuffled, train
from fusion.ranking.nearest_neighbours import unit_rows

MIN_ROWS = 20
"""With fewer items that have two modalities, nothing is trained."""
FIRST_TEMPERATURE = 0.2
MIN_TEMPERATURE = 0.01
"""As in Radford et al. 2021, section 2.5."""
MASK_PENALTY = 1e4
"""Subtracted from the logits of missing targets, whose softmax is then 0."""
MAX_HELD_OUT = 2048
"""Most items that the held-out loss is computed over."""


class Contrastive(Alignment):
    """InfoNCE (van den Oord et al. 2018, arXiv:1807.03748, eq. 4) in both directions (Radford et al. 2021,
    arXiv:2103.00020, figure 3), summed over all pairs of modalities, in one space for all, with a learnt temperature.

    Args:
        dims: columns of the space.
        hidden: units of a tower's hidden layer; 0 for a linear tower.
        noise: standard deviation of the noise added to the vectors in training; they have variance 1 on average.
        epochs, patience, batch_size, learning_rate, held_out: see `fusion.crossmodal.training.TranslatorConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, dims: int = 64, hidden: int = 0, noise: float = 1.0, **config: Any) -> None:
        if dims < 1 or hidden < 0 or noise < 0:
            raise ValueError(f"dims {dims}, hidden {hidden} and noise {noise}: expected at least 1, 0 and 0")
        self.dims, self.hidden, self.noise, self.config = dims, hidden, noise, TranslatorConfig(**config)

    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        items = items.where(training_rows(items.mask_matrix(list(items.x)).sum(axis=1) >= 2))
        random = np.random.default_rng(seed)
        self._weights: Weights = {"log_temperature": np.array(np.log(FIRST_TEMPERATURE), np.float32)}
        for m, x in items.x.items():
            self._weights |= initial_perceptron(random, m, inputs=x.shape[1], hidden=self.hidden, outputs=self.dims)
        if len(items) < MIN_ROWS:
            return
        validation = held_out(len(items), share=self.config.held_out, seed=seed)
        modalities = list(items.x)
        self._weights = train(
            self._weights,
            lambda weights, batch: _loss(weights, batch, modalities),
            draw=self._batches(items.where(~validation)),
            figure=_held_out_loss(items.where(np.nonzero(validation)[0][:MAX_HELD_OUT]), modalities),
            config=self.config,
            seed=seed,
        )

    def embed(self, items: ProjectedItems, first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        one, other = (
            unit_rows(perceptron(self._weights, m, items.x[m], xp=np)) * items.masks[m][:, None]
            for m in (first, second)
        )
        return one, other

    @property
    def temperature(self) -> float:
        return max(MIN_TEMPERATURE, float(np.exp(self._weights["log_temperature"])))

    def _batches(self, items: ProjectedItems) -> Callable[[np.random.Generator], Iterable[Batch]]:
        def draw(random: np.random.Generator) -> Iterable[Batch]:
            for rows in shuffled(len(items), random, size=self.config.batch_size):
                yield _batch(items.where(rows), {m: self._with_noise(x[rows], random) for m, x in items.x.items()})

        return draw

    def _with_noise(self, x: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        return x + self.noise * random.normal(size=x.shape).astype(np.float32)


def info_nce(logits: Any, queries: Any, targets: Any, *, xp: Any) -> Any:
    """InfoNCE [] of logits [B, B], in which column i is the right one for row i: the mean of -log softmax(row)[i] over
    the rows that have both query and target, the softmax being over the targets that exist.

    Args:
        queries, targets: [B], 1 where the query of row i, or the target of column i, exists and 0 where it is missing.
    """
    shown = logits + (targets - 1) * MASK_PENALTY
    # log-sum-exp [B], with the maximum taken out so that nothing overflows.
    top = xp.max(shown, axis=1, keepdims=True)
    total = top[:, 0] + xp.log(xp.sum(xp.exp(shown - top), axis=1))
    both = queries * targets
    return xp.sum(both * (total - xp.diagonal(logits))) / xp.maximum(xp.sum(both), 1.0)


def symmetric_info_nce(one: Any, other: Any, masks: tuple[Any, Any], temperature: Any, *, xp: Any) -> Any:
    """The mean of both directions [], of rows of length 1, [B, d] each, and their masks [B]."""
    logits = xp.matmul(one, xp.transpose(other)) / temperature
    forward = info_nce(logits, *masks, xp=xp)
    return (forward + info_nce(xp.transpose(logits), *masks[::-1], xp=xp)) / 2


def _loss(weights: Mapping[str, Any], batch: Batch, modalities: list[str]) -> Any:
    from keras import ops

    return _total(weights, batch, modalities, xp=ops)


def _total(weights: Mapping[str, Any], batch: Batch, modalities: list[str], *, xp: Any) -> Any:
    """The sum over pairs of modalities of `symmetric_info_nce` []."""
    temperature = xp.maximum(xp.exp(weights["log_temperature"]), MIN_TEMPERATURE)
    rows = {}
    for m in modalities:
        row = perceptron(weights, m, batch[f"x/{m}"], xp=xp)
        rows[m] = row / xp.sqrt(xp.sum(row**2, axis=1, keepdims=True) + 1e-12)
    return sum(
        symmetric_info_nce(rows[a], rows[b], (batch[f"mask/{a}"], batch[f"mask/{b}"]), temperature, xp=xp)
        for a, b in combinations(modalities, 2)
    )


def _batch(items: ProjectedItems, x: Mapping[str, NDArray[np.float32]]) -> Batch:
    masks = {f"mask/{m}": mask.astype(np.float32) for m, mask in items.masks.items()}
    return {f"x/{m}": rows for m, rows in x.items()} | masks


def _held_out_loss(items: ProjectedItems, modalities: list[str]) -> Callable[[Weights], float]:
    batch = _batch(items, items.x)
    return lambda weights: float(_total(weights, batch, modalities, xp=np))
