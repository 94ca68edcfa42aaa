"""Films as the states of a recurrent network that reads their frames in order."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from features.arrays import stacked
from features.keras_forward import Precision, check_options, forward, told
from features.video.base import VideoEncoder
from features.video.decode import Film
from features.video.motion.frame_motion import DIM as MOTION_DIM
from features.video.motion.frame_motion import motion

if TYPE_CHECKING:
    import keras

SEED = 20261123
CONTRACTION = 0.9


class FrameRnn(VideoEncoder):
    """Last and mean state of a recurrent network over the frames' embeddings, then motion statistics [34].

    The network isn't trained: its weights are fixed random numbers, an echo state network (Jaeger 2001, "The echo state
    approach to analysing and training recurrent neural networks"). What it adds to a mean of frames is their order: a
    film that runs backwards has another vector. Its readings of order are as random as its weights; layers that learn
    what matters in it belong to the model, which has the column `sequence` for that.

    h_t = tanh(W x_t / |x_t| + U h_(t-1)), W normal with standard deviation 1, U orthogonal times 0.9: since tanh
    contracts, old frames fade from the state (the echo state property, for which a largest singular value below 1 is
    enough).

    Args:
        units: width of the state.
        batch: films a call of the network; not part of the fingerprint.
        precision: Keras' dtype policy. The mixed ones are for GPUs.
        reading: as in `VideoEncoder`.

    Raises:
        ValueError: a parameter is out of its range.
    """

    name = "frame-rnn"
    version = 1
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
        return super().parameters() | own | told(self.precision)

    def vectors(self, decoded: Sequence[Film], sequences: Sequence[np.ndarray]) -> np.ndarray:
        if not decoded:
            return stacked((), self.dim)
        frames = np.zeros((len(decoded), self.moments, self.appearance.dim), np.float32)
        there = np.zeros((len(decoded), self.moments), np.float32)
        for row, sequence in enumerate(sequences):
            frames[row, : len(sequence)] = sequence
            there[row, : len(sequence)] = 1.0
        network = _network(self.moments, self.appearance.dim, self.units, self.precision)
        last, mean = forward(network, [frames, there], batch=self.batch)
        motions = stacked((motion(film.pairs, film.gaps) for film in decoded), MOTION_DIM)
        return np.concatenate([last, mean, motions], axis=1)


@cache
def _network(frames: int, width: int, units: int, precision: Precision) -> "keras.Model":
    """[n, frames, width] and which frames are there (1 or 0) [n, frames] → last and mean state, each [n, units]."""
    import keras

    sequence, there = keras.Input((frames, width)), keras.Input((frames,))
    length = keras.ops.sqrt(keras.ops.sum(keras.ops.square(sequence), axis=-1, keepdims=True))
    length = keras.ops.maximum(length, 1e-9)
    layer = keras.layers.SimpleRNN(units, use_bias=False, return_sequences=True, return_state=True, dtype=precision)
    states, last = layer(sequence / length, mask=keras.ops.cast(there, "bool"))
    random = np.random.default_rng(SEED)
    kernel, recurrent = random.normal(size=(width, units)), _orthogonal(random.normal(size=(units, units)))
    layer.set_weights([kernel, CONTRACTION * recurrent])
    weights = there / keras.ops.maximum(keras.ops.sum(there, axis=1, keepdims=True), 1.0)
    mean = keras.ops.sum(states * keras.ops.expand_dims(weights, -1), axis=1)
    return keras.Model([sequence, there], [last, mean])


def _orthogonal(square: np.ndarray) -> np.ndarray:
    """The orthogonal factor of a matrix of normal numbers, uniformly distributed (Mezzadri 2007, section 5)."""
    q, r = np.linalg.qr(square)
    return q * np.sign(np.diag(r))
