"""Key phrases of a text, extracted from the text alone."""

from collections import Counter
from collections.abc import Iterator, Sequence

from features.text.nlp.tokens import Token

MAX_PHRASES = 10
_HEADS = frozenset(("NOUN", "PROPN"))
_PARTS = _HEADS | {"ADJ"}


def key_phrases(text: str, tokens: Sequence[Token]) -> list[str]:
    """At most ten phrases of `text`, those with the highest scores first, each as it is written at its first
    occurrence.

    Candidates are the longest runs of adjectives and nouns that end with a noun (Justeson and Katz 1995, without their
    prepositions), with nothing but spaces and hyphens between the words. They are ranked as by RAKE (Rose et al. 2010):
    a word's score is its degree (the number of words, with repetition, in all candidates that contain it) over its
    frequency, a phrase's the sum over its words. Of equal scores, the first in the text comes first. Tokens without a
    part of speech are in no candidate.

    >>> words = [Token(0, 5, "green", "ADJ"), Token(6, 10, "frog", "NOUN"), Token(14, 18, "pond", "NOUN")]
    >>> key_phrases("green frog in pond", words)
    ['green frog', 'pond']
    """
    found = list(_candidates(text, tokens))
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for phrase in found:
        for word in phrase:
            frequency[_form(word)] += 1
            degree[_form(word)] += len(phrase)
    scores: dict[str, float] = {}
    surface: dict[str, str] = {}
    for phrase in found:
        key = " ".join(map(_form, phrase))
        scores[key] = sum(degree[_form(word)] / frequency[_form(word)] for word in phrase)
        surface.setdefault(key, text[phrase[0].start : phrase[-1].end])
    return [surface[key] for key in sorted(scores, key=lambda key: -scores[key])[:MAX_PHRASES]]


def _candidates(text: str, tokens: Sequence[Token]) -> Iterator[list[Token]]:
    phrase: list[Token] = []
    for token in tokens:
        if token.pos not in _PARTS or (phrase and text[phrase[-1].end : token.start].strip(" -")):
            yield from _up_to_noun(phrase)
            phrase = []
        if token.pos in _PARTS:
            phrase.append(token)
    yield from _up_to_noun(phrase)


def _up_to_noun(phrase: list[Token]) -> Iterator[list[Token]]:
    """The phrase up to its last noun; nothing if it has none."""
    last = max((index for index, token in enumerate(phrase) if token.pos in _HEADS), default=-1)
    if last >= 0:
        yield phrase[: last + 1]


def _form(token: Token) -> str:
    return token.lemma.casefold()
