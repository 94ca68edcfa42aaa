"""Films and sounds read step by step: a gated recurrent unit a modality, whose last state adds to what their mean
vector tells. Functions take `xp`, which is NumPy where a model is used and `keras.ops` where it is trained.

Arrays are float32; g is the units, d the width of what a reading adds to. A modality's weights:

| name | shape | of |
| --- | --- | --- |
| `<modality>/input`, `/input_bias`, `/gates`, `/candidate` | [w, 3 g], [3 g], [g, 2 g], [g, g] | its GRU |
| `<modality>/course` | [g, d] | last state of the GRU → what is added |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, Sequences

Arrays = Mapping[str, Any]

RECURRENT = ("audio", "video")
"""The modalities that are read step by step where the catalog has sequences of them."""
NOISE = 0.01
_SCALES = "scales/"


def sigmoid(x: Any, *, xp: Any) -> Any:
    return 0.5 * (1 + xp.tanh(0.5 * x))


def recur(weights: Arrays, modality: str, values: Any, lengths: Any, *, xp: Any) -> Any:
    """[c, g]: the state of a gated recurrent unit after each sequence's last step (Cho et al. 2014, "Learning Phrase
    Representations using RNN Encoder-Decoder", eqs. 5 to 8, with biases):

    r = sigmoid(W_r x + U_r h), z = sigmoid(W_z x + U_z h), h' = tanh(W x + U (r * h)), h <- z h + (1 - z) h'.

    `input` holds W_r, W_z and W side by side, `gates` U_r and U_z, `candidate` U.

    Args:
        values: [c, T, w].
        lengths: [c], at most T.
    """
    entered = xp.matmul(values, weights[f"{modality}/input"]) + weights[f"{modality}/input_bias"]
    units = weights[f"{modality}/candidate"].shape[0]
    state = xp.zeros_like(entered[:, 0, :units])
    for step in range(values.shape[1]):
        x = entered[:, step]
        gates = sigmoid(x[:, : 2 * units] + xp.matmul(state, weights[f"{modality}/gates"]), xp=xp)
        reset, update = gates[:, :units], gates[:, units:]
        candidate = xp.tanh(x[:, 2 * units :] + xp.matmul(reset * state, weights[f"{modality}/candidate"]))
        going = xp.expand_dims(lengths > step, 1)
        state = xp.where(going, update * state + (1 - update) * candidate, state)
    return state


def course(weights: Arrays, modality: str, given: Arrays, like: Any, *, xp: Any) -> Any:
    """[n, d]: what the items' sequences add, 0 where an item has none.

    Args:
        given: what `steps` made.
        like: [n, d], what it is to be added to.
    """
    state = recur(weights, modality, given[f"{modality}/values"], given[f"{modality}/lengths"], xp=xp)
    added = xp.matmul(state, weights[f"{modality}/course"])
    padded = xp.concatenate([xp.zeros_like(like[:1]), added], axis=0)
    return xp.take(padded, given[f"{modality}/at"], axis=0)


def steps(sequences: Mapping[str, Sequences], rows: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
    """Of each modality of which any of the items at `rows` has a sequence: `<modality>/values` [c, T, w],
    `<modality>/lengths` [c] and `<modality>/at` int32 [n], 1 + the row of the item's sequence, or 0."""
    found: dict[str, NDArray[Any]] = {}
    for modality, all_of_it in sequences.items():
        place = all_of_it.place[rows]
        has = place >= 0
        if has.any():
            found[f"{modality}/values"] = all_of_it.values[place[has]]
            found[f"{modality}/lengths"] = all_of_it.lengths[place[has]]
            found[f"{modality}/at"] = np.where(has, np.cumsum(has), 0).astype(np.int32)
    return found


def start(
    modality: str, inputs: int, *, units: int, width: int, random: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """The weights before training: random (Glorot and Bengio 2010; recurrent kernels orthogonal, Saxe et al. 2014),
    with a last layer so small that it changes next to nothing yet."""
    turns = [np.linalg.qr(random.normal(size=(units, units)))[0] for _ in range(3)]
    return {
        f"{modality}/input": np.hstack([glorot(random, inputs, units) for _ in range(3)]),
        f"{modality}/input_bias": np.zeros(3 * units),
        f"{modality}/gates": np.hstack(turns[:2]),
        f"{modality}/candidate": turns[2],
        f"{modality}/course": random.normal(0, NOISE / np.sqrt(units), (units, width)),
    }


def glorot(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    return random.normal(0, np.sqrt(2 / (rows + columns)), (rows, columns))


@dataclass(frozen=True)
class Scale:
    """x → (x - mean) / deviation, a column.

    Attributes:
        mean, deviation: float32 [w]; the deviation of a column that never varied is infinity.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def fit(cls, sequences: Sequences) -> "Scale":
        """Over all steps of all sequences."""
        there = np.arange(sequences.values.shape[1]) < sequences.lengths[:, None]
        steps = sequences.values[there].astype(np.float64)
        deviation = steps.std(axis=0)
        deviation = np.where(deviation > 1e-6, deviation, np.inf)
        return cls(steps.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def __call__(self, sequences: Sequences) -> Sequences:
        """
        Raises:
            ValueError: the steps are of another width than those fitted.
        """
        if sequences.values.shape[2:] != self.mean.shape:
            raise ValueError(
                f"sequences of shape {sequences.values.shape}: expected [K, T, {len(self.mean)}], as fitted"
            )
        there = np.arange(sequences.values.shape[1]) < sequences.lengths[:, None]
        values = (sequences.values - self.mean) / self.deviation * there[..., None]
        return replace(sequences, values=values.astype(np.float32))


def learn_scales(catalog: Catalog, modalities: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The scales of those of the modalities that have a sequence to learn from, as named arrays."""
    readable = [m for m in RECURRENT if m in modalities and m in catalog.sequences]
    readable = [m for m in readable if len(catalog.sequences[m].lengths)]
    scales = {m: Scale.fit(catalog.sequences[m]) for m in readable}
    return {f"{_SCALES}{m}/{name}": array for m, scale in scales.items() for name, array in vars(scale).items()}


def scaled(catalog: Catalog, learnt: Mapping[str, NDArray[Any]]) -> dict[str, Sequences]:
    """Modality → the catalog's sequences standardised, of those whose scales `learn_scales` named."""
    found = [m for m in RECURRENT if f"{_SCALES}{m}/mean" in learnt and m in catalog.sequences]
    names = ("mean", "deviation")
    return {m: Scale(*(learnt[f"{_SCALES}{m}/{name}"] for name in names))(catalog.sequences[m]) for m in found}


def masked_softmax(logits: Any, mask: Any, *, xp: Any) -> Any:
    """Softmax over the last axis, of the entries whose mask is 1 alone; exactly 0 elsewhere, and where there is none.

    Args:
        logits, mask: of shapes that broadcast.
    """
    hidden = (1 - mask) * -1e9
    top = xp.max(logits + hidden, axis=-1, keepdims=True)
    odds = xp.exp(xp.minimum(logits - top, 0)) * mask
    return odds / xp.maximum(xp.sum(odds, axis=-1, keepdims=True), 1e-30)
