"""Texts as the weighted mean of static word vectors."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from features.arrays import stacked
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.e5_file import e5_file, e5_path
from features.text.e5_tokenizer import token_ids
from features.text.nlp.analysis import Analysis

_A = 1e-3
MAX_WORDS = 200_000


class WordVectors(TextEncoder):
    """The mean of a text's static word vectors, each weighted by a / (a + p); vectors of length 1.

    p is the word's relative frequency in any text and a is 1e-3: the smooth inverse frequency of Arora, Liang and Ma
    (2017, "A simple but tough-to-beat baseline for sentence embeddings"). Their second step, removing the direction
    that all texts have in common, needs a set of texts, so it isn't part of an encoder.

    Args:
        vectors: a text file of word vectors in the format of word2vec and GloVe: a word and its numbers a line,
            frequent words first, with or without a first line that holds the two sizes. Words are looked up as they
            are and in lower case; p follows from a word's rank in the file by Zipf's law. By default the vectors are
            the input embeddings, 384 wide, of multilingual-e5-small's tokens, and p comes from its vocabulary.
        max_words: number of words that are read from the top of the file.
        max_characters: as in `TextEncoder`.

    Raises:
        ValueError: a parameter is out of its range, or `vectors` isn't a file.
    """

    name = "word-vectors"
    version = 1

    def __init__(
        self, *, vectors: str | None = None, max_words: int = MAX_WORDS, max_characters: int = MAX_CHARACTERS
    ) -> None:
        super().__init__(max_characters=max_characters)
        if vectors is not None and not Path(vectors).is_file():
            raise ValueError(f"vectors is {vectors!r}, which is no file; give the path of a text file of word vectors")
        if max_words < 1:
            raise ValueError(f"max_words is {max_words}; expected a number of words, 1 or more")
        self.path = None if vectors is None else Path(vectors)
        self.max_words = max_words

    @property
    def dim(self) -> int:
        return e5_file().width if self.path is None else _width(self.path)

    def parameters(self) -> dict[str, Any]:
        """Without the file's path: its content is part of the weights' hash, so a copy has the same fingerprint."""
        source = {"vectors": "e5-small"} if self.path is None else {"vectors": "file", "max_words": self.max_words}
        return super().parameters() | source | {"a": _A}

    def weight_files(self) -> Sequence[Path]:
        return (self.path or e5_path(),)

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, dim], rows of length 1; a text without a known word has the mean of all words' vectors.

        Raises:
            ValueError: the file of word vectors is malformed.
        """
        if self.path is None:
            return stacked((_of_tokens(text) for text in texts), self.dim)
        table = _table(self.path, self.max_words)
        return stacked((_of_words(text, table) for text in texts), self.dim)


def sif_mean(vectors: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The mean weighted by a / (a + p) (Arora et al. 2017, equation 3), float32 [dim], scaled to length 1.

    Args:
        vectors: [n, dim], n > 0.
        probabilities: p of each, [n].

    >>> [round(float(value), 3) for value in sif_mean(np.eye(2), np.array([0.001, 0.003]))]
    [0.894, 0.447]
    """
    mean = (_A / (_A + probabilities)) @ vectors.astype(np.float64)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)


def _of_tokens(text: Analysis) -> np.ndarray:
    """The vector of a text by the tokens of multilingual-e5-small."""
    ids = token_ids(text.text) or [e5_file().vocabulary.unknown]
    return sif_mean(e5_file().embeddings(np.array(ids)), _probabilities()[ids])


@cache
def _probabilities() -> np.ndarray:
    """Relative frequency of each token, float64 [tokens].

    Special tokens have the log-probability 0, hence p = 1 and a weight of nearly 0.
    """
    return np.exp([score for _, score in e5_file().vocabulary.pieces])


class _Table(NamedTuple):
    """Words of a file: the row of each, vectors float32 [n, dim], probabilities float64 [n], and the mean [dim]."""

    rows: dict[str, int]
    vectors: np.ndarray
    probabilities: np.ndarray
    mean: np.ndarray


def _of_words(text: Analysis, table: _Table) -> np.ndarray:
    """The vector of a text by its words."""
    found = [table.rows.get(word, table.rows.get(word.lower())) for word in text.words()]
    rows = [row for row in found if row is not None]
    return sif_mean(table.vectors[rows], table.probabilities[rows]) if rows else table.mean


@cache
def _table(path: Path, max_words: int) -> _Table:
    """The words of a file, read once a process. By Zipf's law the r-th of n has p = 1 / (r * (1 + 1/2 + ... + 1/n))."""
    rows: dict[str, int] = {}
    vectors: list[np.ndarray] = []
    for word, vector in islice(_lines(path), max_words):
        if word not in rows:
            rows[word] = len(vectors)
            vectors.append(vector)
    ranks = np.arange(1, len(vectors) + 1, dtype=np.float64)
    table = np.stack(vectors)
    return _Table(rows, table, 1 / (ranks * np.sum(1 / ranks)), sif_mean(table, np.zeros(len(table))))


@cache
def _width(path: Path) -> int:
    return len(next(_lines(path))[1])


def _lines(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Words with their vectors float32 [dim], in the file's order. A word may contain spaces.

    Raises:
        ValueError: a line isn't a word and as many numbers as the first line has, or the file has no lines.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        width = 0
        for number, line in enumerate(file, start=1):
            fields = line.rstrip().split(" ")
            # word2vec's first line: the number of words and the width.
            if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                continue
            width = width or len(fields) - 1
            try:
                vector = np.array(fields[-width:], np.float32)
            except ValueError:
                vector = np.empty(0, np.float32)
            if len(fields) <= width or len(vector) != width or not np.isfinite(vector).all():
                raise ValueError(f"{path}, line {number}: expected a word and {width} numbers, not {line[:60]!r}")
            yield " ".join(fields[:-width]), vector
    if not width:
        raise ValueError(f"{path} holds no word vectors; expected a word and its numbers a line")
