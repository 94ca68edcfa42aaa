"""Base class of the text encoders: cleaning, linguistic analysis and the readable columns."""

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
from features.text.nlp.columns import readable_columns
from features.text.nlp.normalise import plain_line
from features.weights import file_sha256

MAX_CHARACTERS = 8192


class TextEncoder(Encoder):
    """Base class of the text encoders; a subclass adds `name`, `version`, `dim`, its parameters and `vectors`.

    Args:
        max_characters: number of characters at the beginning of a text that are analysed and encoded.

    Raises:
        ValueError: `max_characters` is below 1.
    """

    modality = "text"

    def __init__(self, *, max_characters: int = MAX_CHARACTERS) -> None:
        if max_characters < 1:
            raise ValueError(f"max_characters is {max_characters}; expected a number of characters, 1 or more")
        self.max_characters = max_characters

    @abstractmethod
    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """Vectors of analysed texts, float32 [n, dim], in order; a row must not depend on the other texts."""

    def weight_files(self) -> Sequence[Path]:
        """The files that the vectors depend on, beside those of the analysers."""
        return ()

    def parameters(self) -> dict[str, Any]:
        return {"max_characters": self.max_characters, "analysis": analysis.VERSION}

    def weights_hash(self) -> str:
        """SHA-256 over the hashes of the analysers' files and of `weight_files`, hex."""
        hashes = [analysis.weights_hash(), *map(file_sha256, self.weight_files())]
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()

    def decode(self, content: str) -> str:
        """The text in lines of valid Unicode (see `plain_line`), without empty lines.

        Raises:
            MediaError: "empty" when the text has only white space and control characters.
        """
        lines = "\n".join(line for line in map(plain_line, content.splitlines()) if line)
        if not lines:
            raise MediaError("empty", "the text has no characters")
        return lines

    def encode(self, decoded: Sequence[str]) -> pa.RecordBatch:
        """Features of texts, in order; `schemas.features.FeaturesText` describes the columns."""
        texts = analysis.analyse(*(text[: self.max_characters] for text in decoded))
        rows = [readable_columns(whole, text) for whole, text in zip(decoded, texts, strict=True)]
        return feature_batch(self.schema(), self.vectors(texts), rows)
