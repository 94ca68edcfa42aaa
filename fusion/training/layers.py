"""Layers that several Keras models share: a GRU over the audio and video sequences of items, the standardisation of
those sequences, and a masked softmax. Functions take `xp`: NumPy for inference, `keras.ops` for training.

Arrays are float32; T is the number of steps of a sequence, w the width of a step, g the number of GRU units and d the
width of the vector that the sequence features are added to. The weights of a modality:

| name | shape | of |
| --- | --- | --- |
| `<modality>/input`, `/input_bias`, `/gates`, `/candidate` | [w, 3 g], [3 g], [g, 2 g], [g, g] | the GRU |
| `<modality>/course` | [g, d] | last state of the GRU → sequence features |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, Sequences

Arrays = Mapping[str, Any]

SEQUENCE_MODALITIES = ("audio", "video")
"""The modalities whose sequences are read where the catalog has them."""
NOISE = 0.01
_SCALES = "scales/"


def sequence_features(weights: Arrays, modality: str, inputs: Arrays, base: Any, *, xp: Any) -> Any:
    """[n, d]: a linear map of the GRU's last state, 0 for an item without a sequence.

    Args:
        inputs: the arrays of `sequence_inputs`, c sequences for n items.
        base: [n, d], the vectors that the features are added to; gives the width and the dtype of the zeros.
    """
    state = gru(weights, modality, inputs[f"{modality}/values"], inputs[f"{modality}/lengths"], xp=xp)
    features = xp.matmul(state, weights[f"{modality}/course"])
    # [1 + c, d]: row 0 is zeros, for the items whose index `at` is 0
    padded = xp.concatenate([xp.zeros_like(base[:1]), features], axis=0)
    return xp.take(padded, inputs[f"{modality}/at"], axis=0)


def gru(weights: Arrays, modality: str, values: Any, lengths: Any, *, xp: Any) -> Any:
    """[c, g]: the state of a gated recurrent unit after each sequence's last step (Cho et al. 2014, "Learning Phrase
    Representations using RNN Encoder-Decoder", eqs. 5 to 8, with biases):

    r = sigmoid(W_r x + U_r h), z = sigmoid(W_z x + U_z h), h' = tanh(W x + U (r * h)), h <- z h + (1 - z) h'.

    `input` holds W_r, W_z and W side by side, `gates` U_r and U_z, `candidate` U.

    Args:
        values: [c, T, w].
        lengths: [c], at most T.
    """
    # [c, T, 3 g]: the input's part of r, z and h' for all steps at once
    projected = xp.matmul(values, weights[f"{modality}/input"]) + weights[f"{modality}/input_bias"]
    units = weights[f"{modality}/candidate"].shape[0]
    state = xp.zeros_like(projected[:, 0, :units])
    for step in range(values.shape[1]):
        x = projected[:, step]
        gates = sigmoid(x[:, : 2 * units] + xp.matmul(state, weights[f"{modality}/gates"]), xp=xp)
        reset, update = gates[:, :units], gates[:, units:]
        candidate = xp.tanh(x[:, 2 * units :] + xp.matmul(reset * state, weights[f"{modality}/candidate"]))
        # a sequence that has ended keeps its state
        active = xp.expand_dims(lengths > step, 1)
        state = xp.where(active, update * state + (1 - update) * candidate, state)
    return state


def sigmoid(x: Any, *, xp: Any) -> Any:
    """1 / (1 + e^-x), by tanh, which does not overflow."""
    return 0.5 * (1 + xp.tanh(0.5 * x))


def sequence_inputs(sequences: Mapping[str, Sequences], rows: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
    """The sequences of the items at `rows`, for each modality of which any of them has one: `<modality>/values`
    [c, T, w], `<modality>/lengths` [c], and `<modality>/at` int32 [n]: 1 + the item's row in the other two, or 0."""
    found: dict[str, NDArray[Any]] = {}
    for modality, catalog_sequences in sequences.items():
        place = catalog_sequences.place[rows]
        has = place >= 0
        if has.any():
            found[f"{modality}/values"] = catalog_sequences.values[place[has]]
            found[f"{modality}/lengths"] = catalog_sequences.lengths[place[has]]
            found[f"{modality}/at"] = np.where(has, np.cumsum(has), 0).astype(np.int32)
    return found


def initial_weights(
    modality: str, inputs: int, *, units: int, width: int, random: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """The weights before training: random (Glorot and Bengio 2010; recurrent kernels orthogonal, Saxe et al. 2014),
    with a last layer near 0, so that the sequence features are near 0 at first.

    Args:
        inputs: w.
        units: g.
        width: d.
    """
    orthogonal = [np.linalg.qr(random.normal(size=(units, units)))[0] for _ in range(3)]
    return {
        f"{modality}/input": np.hstack([glorot(random, inputs, units) for _ in range(3)]),
        f"{modality}/input_bias": np.zeros(3 * units),
        f"{modality}/gates": np.hstack(orthogonal[:2]),
        f"{modality}/candidate": orthogonal[2],
        f"{modality}/course": random.normal(0, NOISE / np.sqrt(units), (units, width)),
    }


def glorot(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    """[rows, columns], normal with variance 2 / (rows + columns) (Glorot and Bengio 2010)."""
    return random.normal(0, np.sqrt(2 / (rows + columns)), (rows, columns))


@dataclass(frozen=True)
class Scale:
    """x → (x - mean) / deviation, by column.

    Attributes:
        mean, deviation: float32 [w]; the deviation of a column that never varied is infinity.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def fit(cls, sequences: Sequences) -> "Scale":
        """Over all steps of all sequences, without the padding."""
        steps = sequences.values[_is_step(sequences)].astype(np.float64)
        deviation = steps.std(axis=0)
        deviation = np.where(deviation > 1e-6, deviation, np.inf)
        return cls(steps.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def __call__(self, sequences: Sequences) -> Sequences:
        """The standardised sequences; padding is 0.

        Raises:
            ValueError: the steps are of another width than those fitted.
        """
        if sequences.values.shape[2:] != self.mean.shape:
            raise ValueError(
                f"sequences of shape {sequences.values.shape}: expected [K, T, {len(self.mean)}], as fitted"
            )
        values = (sequences.values - self.mean) / self.deviation * _is_step(sequences)[..., None]
        return replace(sequences, values=values.astype(np.float32))


def _is_step(sequences: Sequences) -> NDArray[np.bool_]:
    """bool [K, T]: False for padding."""
    return np.arange(sequences.values.shape[1]) < sequences.lengths[:, None]


def fit_scales(catalog: Catalog, modalities: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The scales of those of the modalities that have at least one sequence, as named arrays."""
    readable = [m for m in SEQUENCE_MODALITIES if m in modalities and m in catalog.sequences]
    readable = [m for m in readable if len(catalog.sequences[m].lengths)]
    scales = {m: Scale.fit(catalog.sequences[m]) for m in readable}
    return {f"{_SCALES}{m}/{name}": array for m, scale in scales.items() for name, array in vars(scale).items()}


def scaled_sequences(catalog: Catalog, learnt: Mapping[str, NDArray[Any]]) -> dict[str, Sequences]:
    """Modality → the catalog's sequences standardised, where `learnt` has the arrays of `fit_scales`."""
    found = [m for m in SEQUENCE_MODALITIES if f"{_SCALES}{m}/mean" in learnt and m in catalog.sequences]
    names = ("mean", "deviation")
    return {m: Scale(*(learnt[f"{_SCALES}{m}/{name}"] for name in names))(catalog.sequences[m]) for m in found}


def masked_softmax(logits: Any, mask: Any, *, xp: Any) -> Any:
    """Softmax over the entries of the last axis whose mask is 1; exactly 0 for the others, also where all are masked.

    Args:
        logits, mask: of shapes that broadcast.
    """
    hidden = (1 - mask) * -1e9
    largest = xp.max(logits + hidden, axis=-1, keepdims=True)
    # a masked logit may exceed the largest unmasked one: without the minimum its exponential could be inf, and inf * 0
    exponentials = xp.exp(xp.minimum(logits - largest, 0)) * mask
    return exponentials / xp.maximum(xp.sum(exponentials, axis=-1, keepdims=True), 1e-30)
