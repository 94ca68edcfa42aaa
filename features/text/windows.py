"""Token sequences of any length through a network with a limited window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.keras_forward import forward

if TYPE_CHECKING:
    import keras

    from features.onnx_session import Network

BATCH = 4
# A sequence is padded to the next of these lengths, so that short ones cost little and the shapes are few.
_LENGTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
_AT_LENGTH = 32


@dataclass(frozen=True)
class SentenceNetwork:
    """A network that makes one vector of a window of tokens.

    `inputs` maps token ids, int32 [n, length], and a mask, bool [n, length], False for padding, to the inputs of
    `network`, whose output is [n, dim]. A window is the tokens `begin`, tokens of text, the tokens `end`, at most
    `longest` in all. It is filled up with `padding`, to the full length if it is `padded`; not at all if the network
    takes windows `one_by_one`, each at its own length.
    """

    network: "keras.Model | Network"
    inputs: Callable[[np.ndarray, np.ndarray], list[np.ndarray]]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    padding: int
    longest: int
    padded: bool = False
    one_by_one: bool = False

    def vectors(self, texts: Sequence[Sequence[int]], *, batch: int) -> np.ndarray:
        """Vectors of tokenised texts.

        A text longer than a window is cut into windows, whose vectors are averaged, weighted by their number of tokens.

        Args:
            texts: token ids of each text, without special tokens.
            batch: windows of up to 32 tokens a call of the network; fewer of longer ones.

        Returns: float32 [len(texts), dim], rows of length 1.
        """
        special = len(self.begin) + len(self.end)
        room = self.longest - special
        windows = [
            (row, [*self.begin, *text[start : start + room], *self.end])
            for row, text in enumerate(texts)
            for start in range(0, max(len(text), 1), room)
        ]
        pooled = self._pooled([window for _, window in windows], batch=batch)
        sums = np.zeros((len(texts), pooled.shape[1]), np.float64)
        for (row, window), vector in zip(windows, pooled, strict=True):
            sums[row] += max(len(window) - special, 1) * vector.astype(np.float64)
        return (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def _pooled(self, windows: Sequence[list[int]], *, batch: int) -> np.ndarray:
        """The network's vectors float32 [len(windows), dim]; a row depends on its own window alone.

        Windows are grouped by padded length, and rows a call follow from the length, so that neither the shape of a
        call nor the row's bits depend on the other windows.
        """
        lengths = np.array([self._length(len(window)) for window in windows], int)
        pooled = np.zeros((len(windows), self.network.output_shape[-1]), np.float32)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            at_once = 1 if self.one_by_one else max(1, batch * _AT_LENGTH // length)
            # Inputs may be embeddings, which are large: they are made for one call of the network at a time.
            for start in range(0, len(rows), at_once):
                chunk = rows[start : start + at_once]
                ids, mask = self._padded([windows[row] for row in chunk.tolist()], length)
                pooled[chunk] = forward(self.network, self.inputs(ids, mask), batch=at_once)[0]
        return pooled

    def _padded(self, windows: Sequence[list[int]], length: int) -> tuple[np.ndarray, np.ndarray]:
        """Windows padded to `length`: ids, int32 [n, length], and the mask, bool [n, length], False for padding."""
        sizes = np.array([len(window) for window in windows])
        ids = np.array([window + [self.padding] * (length - len(window)) for window in windows], np.int32)
        return ids, np.arange(length) < sizes[:, None]

    def _length(self, tokens: int) -> int:
        if self.one_by_one:
            return tokens
        if self.padded:
            return self.longest
        return next((length for length in _LENGTHS if tokens <= length < self.longest), self.longest)
