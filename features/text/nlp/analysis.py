"""Linguistic analysis of texts in any mix of languages: each part is given to the analyser of its language."""

import hashlib
from dataclasses import dataclass
from functools import cache

from features.text.nlp import chinese, english
from features.text.nlp.language import detect_language, may_be_english
from features.text.nlp.scripts import script_runs
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


def analyse(*texts: str) -> list[Analysis]:
    """Tokens and named entities of texts, each by itself.

    Chinese is parsed by LAC, English by spaCy. Other languages are split into words by their letters, without parts of
    speech and entities.

    A text is cut into runs of script. All runs in Han characters and kana are taken to be in one language, and so are
    all others, since a single line is often too short for detection. What may be English is parsed as English.
    """
    wholes: list[str] = []
    parts: list[tuple[str, str]] = []
    for text in texts:  # one after the other, since the last texts' languages are remembered
        wholes.append(detect_language(text))
        parts += [(part, _language(part)) for part in _parts(text)]
    in_english = iter(english.parse([part for part, language in parts if language == "en"]))
    parsed = [next(in_english) if language == "en" else _parsed(part, language) for part, language in parts]
    return [_joined(*each) for each in zip(texts, wholes, parsed[::2], parsed[1::2], strict=True)]


def _parts(text: str) -> tuple[str, str]:
    """The runs of `text` in Han characters and kana, and all others; what isn't in a part is blanked out by line ends,
    so that offsets stay those of the whole text."""
    parts = [list("\n" * len(text)), list("\n" * len(text))]
    for run in script_runs(text):
        parts[0 if run.east else 1][run.start : run.end] = text[run.start : run.end]
    east, other = map("".join, parts)
    return east, other


def _language(part: str) -> str:
    """The language that a part is parsed as: "zh", "en", or "" for another."""
    words = " ".join(part.split())
    if detect_language(words) == "zh":
        return "zh"
    return "en" if may_be_english(words) else ""


def _parsed(part: str, language: str) -> Parsed:
    if language == "zh":
        return chinese.parse(part)
    return Parsed([Token(start, end, part[start:end], "") for start, end in word_spans(part)], [])


def _joined(text: str, language: str, *parts: Parsed) -> Analysis:
    tokens = sorted(token for part in parts for token in part.tokens)
    entities = sorted(entity for part in parts for entity in part.entities)
    return Analysis(text, language, tokens, entities)
