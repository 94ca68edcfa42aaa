"""What an analyser finds in a text: words with their part of speech, and named entities."""

from typing import NamedTuple

UPOS = frozenset(
    ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "SCONJ", "VERB", "X")
)
"""Universal parts of speech (de Marneffe et al. 2021) of words; punctuation and symbols are no words here."""

ENTITY_TYPES = ("PERSON", "ORG", "LOC", "TIME", "WORK", "MISC")
"""The one set of entity types, whatever the language. LOC: places, countries, buildings; TIME: dates and times of day;
WORK: titles of works; MISC: other names (products, events, peoples, laws, languages), as in CoNLL-2003."""


class Token(NamedTuple):
    """The word `text[start:end]`: its dictionary form or itself (`lemma`), and its part of speech, "" if not known."""

    start: int
    end: int
    lemma: str
    pos: str


class Entity(NamedTuple):
    """The name `text[start:end]`, of one of `ENTITY_TYPES`."""

    start: int
    end: int
    type: str


class Parsed(NamedTuple):
    """What an analyser found, both in the order of the text."""

    tokens: list[Token]
    entities: list[Entity]


def is_word(text: str) -> bool:
    """Whether a token is a word or a number, not punctuation or a symbol."""
    return any(character.isalnum() for character in text)
