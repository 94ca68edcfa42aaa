"""The results of an analyser: words with their part of speech, and named entities."""

from typing import NamedTuple

UPOS = frozenset(
    ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "SCONJ", "VERB", "X")
)
"""Universal parts of speech (de Marneffe et al. 2021) of words; PUNCT and SYM are left out, as they aren't words."""

ENTITY_TYPES = ("PERSON", "ORG", "LOC", "TIME", "WORK", "MISC")
"""The entity types, the same for every language. LOC: places, countries, buildings; TIME: dates and times of day;
WORK: titles of works; MISC: other names (products, events, peoples, laws, languages), as in CoNLL-2003."""


class Token(NamedTuple):
    """The word `text[start:end]`; `lemma` is its dictionary form, or the word itself, `pos` is "" where unknown."""

    start: int
    end: int
    lemma: str
    pos: str


class Entity(NamedTuple):
    """The entity `text[start:end]`; `type` is one of `ENTITY_TYPES`."""

    start: int
    end: int
    type: str


class Parsed(NamedTuple):
    """The result of an analyser; tokens and entities are in the order of the text."""

    tokens: list[Token]
    entities: list[Entity]


def is_word(text: str) -> bool:
    """Whether a token has a letter or a digit, so isn't punctuation or a symbol.

    >>> is_word("3D"), is_word("…")
    (True, False)
    """
    return any(character.isalnum() for character in text)
