"""Video encoder: the states of a recurrent network over frame embeddings, and motion statistics."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from features.arrays import stacked
from features.keras_forward import Precision, check_options, forward, precision_parameter
from features.video.base import VideoEncoder
from features.video.decode import Film
from features.video.motion.frame_motion import DIM as MOTION_DIM
from features.video.motion.frame_motion import motion_statistics

if TYPE_CHECKING:
    import keras

SEED = 20261123
CONTRACTION = 0.9


class FrameRnn(VideoEncoder):
    """Last and mean state of a recurrent network over the frames' embeddings, then motion statistics [34].

    The network isn't trained: its weights are fixed random numbers, an echo state network (Jaeger 2001, "The echo state
    approach to analysing and training recurrent neural networks"). It adds the order of frames to their mean: a film
    that runs backwards has another vector. How order is encoded is as random as the weights; layers that learn from
    order belong to the model, which is given the column `sequence`.

    h_t = tanh(W x_t / |x_t| + U h_(t-1)), W normal with standard deviation 1, U orthogonal times 0.9: since tanh
    contracts, the influence of old frames on the state decays (the echo state property, for which a largest singular
    value below 1 is sufficient).

    Args:
        units: width of the state.
        batch: films a call of the network; not part of the fingerprint.
        precision: Keras' dtype policy. The mixed ones are for GPUs.
        reading: keyword arguments of `VideoEncoder`.

    Raises:
        ValueError: a parameter is out of its range.
    """

    name = "frame-rnn"
    version = 2
    untrained = True

    def __init__(self, *, units: int = 512, batch: int = 8, precision: Precision = "float32", **reading: Any) -> None:
        check_options(batch=batch, precision=precision)
        if units < 1:
            raise ValueError(f"units is {units!r}; give 1 or more")
        self.units = units
        self.batch = batch
        self.precision = precision
        super().__init__(**reading)

    @property
    def dim(self) -> int:
        return 2 * self.units + MOTION_DIM

    def parameters(self) -> dict[str, Any]:
        own = {"units": self.units, "seed": SEED, "contraction": CONTRACTION}
        return super().parameters() | own | precision_parameter(self.precision)

    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        if not decoded:
            return stacked((), self.dim)
        frames = np.zeros((len(decoded), self.moments, self.appearance.dim), np.float32)
        mask = np.zeros((len(decoded), self.moments), np.float32)
        for row, sequence in enumerate(sequences):
            frames[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1.0
        network = _network(self.moments, self.appearance.dim, self.units, self.precision)
        last, mean = forward(network, [frames, mask], batch=self.batch)
        motions = stacked((motion_statistics(film.pairs, film.gaps) for film in decoded), MOTION_DIM)
        return np.concatenate([last, mean, motions], axis=1)


@cache
def _network(frames: int, width: int, units: int, precision: Precision) -> "keras.Model":
    """[n, frames, width] and a mask [n, frames] (1, or 0 for padding) → last and mean state, each [n, units]."""
    import keras

    sequence, mask = keras.Input((frames, width)), keras.Input((frames,))
    length = keras.ops.sqrt(keras.ops.sum(keras.ops.square(sequence), axis=-1, keepdims=True))
    length = keras.ops.maximum(length, 1e-9)
    layer = keras.layers.SimpleRNN(units, use_bias=False, return_sequences=True, return_state=True, dtype=precision)
    states, last = layer(sequence / length, mask=keras.ops.cast(mask, "bool"))
    random = np.random.default_rng(SEED)
    kernel, recurrent = random.normal(size=(width, units)), _orthogonal(random.normal(size=(units, units)))
    layer.set_weights([kernel, CONTRACTION * recurrent])
    weights = mask / keras.ops.maximum(keras.ops.sum(mask, axis=1, keepdims=True), 1.0)
    mean = keras.ops.sum(states * keras.ops.expand_dims(weights, -1), axis=1)
    return keras.Model([sequence, mask], [last, mean])


def _orthogonal(square: np.ndarray) -> np.ndarray:
    """The orthogonal factor of a square matrix; uniformly distributed if its numbers are normal (Mezzadri 2007)."""
    q, r = np.linalg.qr(square)
    # Without the signs, the distribution would depend on the convention of the decomposition.
    return q * np.sign(np.diag(r))
