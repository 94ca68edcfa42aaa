"""Token sequences of any length through a network that reads so many tokens at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.keras_forward import forward

if TYPE_CHECKING:
    import keras

BATCH = 4
# A sequence is filled up to the next of these, so that short ones cost little and the shapes are few.
_LENGTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
_AT_LENGTH = 32


@dataclass(frozen=True)
class SentenceNetwork:
    """A network that makes one vector of a window of tokens.

    `network` takes what `inputs` makes of token ids, int32 [n, length], and a mask of the same shape, bool, that says
    which of them are there; its output is [n, dim]. A window is `begin`, at most `longest - 2` tokens, `end`; after it
    comes `padding`.
    """

    network: "keras.Model"
    inputs: Callable[[np.ndarray, np.ndarray], list[np.ndarray]]
    begin: int
    end: int
    padding: int
    longest: int

    def vectors(self, texts: Sequence[Sequence[int]], *, batch: int) -> np.ndarray:
        """The tokens of texts as float32 [len(texts), dim], rows of length 1.

        A text longer than a window is cut into windows, whose vectors are averaged by their number of tokens.
        `batch` is how many windows of 32 tokens the network reads at once; of longer ones it reads fewer.
        """
        room = self.longest - 2
        windows = [
            (row, [self.begin, *text[start : start + room], self.end])
            for row, text in enumerate(texts)
            for start in range(0, max(len(text), 1), room)
        ]
        pooled = self._pooled([window for _, window in windows], batch=batch)
        sums = np.zeros((len(texts), pooled.shape[1]), np.float64)
        for (row, window), vector in zip(windows, pooled, strict=True):
            sums[row] += max(len(window) - 2, 1) * vector.astype(np.float64)
        return (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def _pooled(self, windows: Sequence[list[int]], *, batch: int) -> np.ndarray:
        """The network's vectors [len(windows), dim]: a window's follows from its own length and tokens alone."""
        lengths = np.array([self._length(len(window)) for window in windows], int)
        pooled = np.zeros((len(windows), self.network.output_shape[-1]), np.float32)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            at_once = max(1, batch * _AT_LENGTH // length)
            # The inputs may be large, so they are made for one call of the network at a time.
            for start in range(0, len(rows), at_once):
                chunk = rows[start : start + at_once]
                ids, mask = self._padded([windows[row] for row in chunk.tolist()], length)
                pooled[chunk] = forward(self.network, self.inputs(ids, mask), batch=at_once)[0]
        return pooled

    def _padded(self, windows: Sequence[list[int]], length: int) -> tuple[np.ndarray, np.ndarray]:
        """Windows filled up to `length`: ids, int32 [n, length], and which of them are there, bool [n, length]."""
        sizes = np.array([len(window) for window in windows])
        ids = np.array([window + [self.padding] * (length - len(window)) for window in windows], np.int32)
        return ids, np.arange(length) < sizes[:, None]

    def _length(self, tokens: int) -> int:
        return next((length for length in _LENGTHS if tokens <= length < self.longest), self.longest)
