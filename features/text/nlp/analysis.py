"""Texts in any mix of languages → language, words and names, each part by the analyser of its language."""

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
"""Raised by whoever changes what `analyse` or a readable column computes."""


@dataclass(frozen=True)
class Analysis:
    """A text and what is in it. `language` is an ISO 639-1 code or "und"; tokens and entities are in the text's order,
    with offsets into `text`."""

    text: str
    language: str
    tokens: list[Token]
    entities: list[Entity]

    def words(self) -> list[str]:
        """The tokens as they stand in the text."""
        return [self.text[token.start : token.end] for token in self.tokens]


@cache
def weights_hash() -> str:
    """SHA-256 over the analysers' files, hex."""
    files = [*chinese.weight_files(), *english.weight_files()]
    return hashlib.sha256(" ".join(map(file_sha256, files)).encode()).hexdigest()


def analyse(text: str) -> Analysis:
    """What is in `text`: Chinese goes to LAC, English to spaCy, and of other languages the words are told apart by
    their letters alone, with no parts of speech and no names.

    The text is cut into runs of script. All runs in Han characters and kana are in one language, all others in one,
    since a single line is often too short to tell. What may be English counts as English.
    """
    runs = script_runs(text)
    sides = [_parsed(text, [run for run in runs if run.east == east]) for east in (True, False)]
    tokens = sorted(token for side in sides for token in side.tokens)
    entities = sorted(entity for side in sides for entity in side.entities)
    return Analysis(text, detect_language(text), tokens, entities)


def _parsed(text: str, runs: Sequence[Run]) -> Parsed:
    """What is in the runs of `text`, all in one language."""
    only = list("\n" * len(text))
    for run in runs:
        only[run.start : run.end] = text[run.start : run.end]
    alone = "".join(only)
    words = " ".join(alone.split())
    if detect_language(words) == "zh":
        return chinese.parse(alone)
    if may_be_english(words):
        return english.parse(alone)
    return Parsed([Token(start, end, text[start:end], "") for start, end in word_spans(alone)], [])
