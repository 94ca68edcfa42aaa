"""What all encoders of text have in common: the reading, and the readable features."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder, MediaError
from features.text.nlp import analysis
from features.text.nlp.analysis import Analysis
from features.text.nlp.columns import readable
from features.text.nlp.normalise import plain_line
from features.weights import file_sha256

MAX_CHARACTERS = 8192


class TextEncoder(Encoder):
    """Base of the encoders of text. A new one is a name, a version, a width, parameters and `vectors`.

    Args:
        max_characters: only so much of the beginning of a text is analysed and encoded.
    """

    modality = "text"

    def __init__(self, *, max_characters: int = MAX_CHARACTERS) -> None:
        if max_characters < 1:
            raise ValueError(f"max_characters is {max_characters}; expected a number of characters, 1 or more")
        self.max_characters = max_characters

    @abstractmethod
    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [len(texts), dim]; a row follows from its own text alone."""

    def weight_files(self) -> Sequence[Path]:
        """The files that the vectors depend on."""
        return ()

    def parameters(self) -> dict[str, Any]:
        return {"max_characters": self.max_characters, "analysis": analysis.VERSION}

    def weights_hash(self) -> str:
        """SHA-256 over the hashes of the analysers' files and the vectors' own, hex."""
        hashes = [analysis.weights_hash(), *map(file_sha256, self.weight_files())]
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()

    def decode(self, content: str) -> str:
        """The text in lines of valid Unicode, without empty ones.

        Raises:
            MediaError: "empty" when nothing but white space and control characters is in it.
        """
        lines = "\n".join(line for line in map(plain_line, content.splitlines()) if line)
        if not lines:
            raise MediaError("empty", "the text has no characters")
        return lines

    def encode(self, decoded: Sequence[str]) -> pa.RecordBatch:
        """Vectors and readable features of texts, in order."""
        texts = [analysis.analyse(text[: self.max_characters]) for text in decoded]
        rows = [readable(whole, text) for whole, text in zip(decoded, texts, strict=True)]
        return feature_batch(self.schema(), self.vectors(texts), rows)
