"""Linguistic analysis of texts in any mix of languages: each part is given to the analyser of its language."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from features.text.nlp import chinese, english
from features.text.nlp.language import detect_language, may_be_english
from features.text.nlp.scripts import Run, script_runs
from features.text.nlp.tokens import Entity, Parsed, Token
from features.text.nlp.words import word_spans
from features.weights import file_sha256

VERSION = 1
"""To be raised with every change of what `analyse` or a readable column computes."""


@dataclass(frozen=True)
class Analysis:
    """An analysed text.

    `language` is an ISO 639-1 code or "und"; tokens and entities are in the text's order, with offsets into `text`.
    """

    text: str
    language: str
    tokens: list[Token]
    entities: list[Entity]

    def words(self) -> list[str]:
        """The tokens as they are written in the text."""
        return [self.text[token.start : token.end] for token in self.tokens]


@cache
def weights_hash() -> str:
    """SHA-256 over the analysers' files, hex."""
    files = [*chinese.weight_files(), *english.weight_files()]
    return hashlib.sha256(" ".join(map(file_sha256, files)).encode()).hexdigest()


def analyse(text: str) -> Analysis:
    """Tokens and named entities of `text`.

    Chinese is parsed by LAC, English by spaCy. Other languages are split into words by their letters, without parts of
    speech and entities.

    The text is cut into runs of script. All runs in Han characters and kana are taken to be in one language, and so are
    all others, since a single line is often too short for detection. What may be English is parsed as English.
    """
    runs = script_runs(text)
    parts = [_parsed(text, [run for run in runs if run.east == east]) for east in (True, False)]
    tokens = sorted(token for part in parts for token in part.tokens)
    entities = sorted(entity for part in parts for entity in part.entities)
    return Analysis(text, detect_language(text), tokens, entities)


def _parsed(text: str, runs: Sequence[Run]) -> Parsed:
    """Tokens and entities in the `runs` of `text`, which are taken to be in one language."""
    # The rest of the text is blanked out by line ends, so that offsets stay those of the whole text.
    characters = list("\n" * len(text))
    for run in runs:
        characters[run.start : run.end] = text[run.start : run.end]
    masked = "".join(characters)
    words = " ".join(masked.split())
    if detect_language(words) == "zh":
        return chinese.parse(masked)
    if may_be_english(words):
        return english.parse(masked)
    return Parsed([Token(start, end, text[start:end], "") for start, end in word_spans(masked)], [])
