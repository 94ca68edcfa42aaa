"""The phrases that a text is about, from the text alone."""

from collections import Counter
from collections.abc import Iterator, Sequence

from features.text.nlp.tokens import Token

MAX_PHRASES = 10
_HEADS = frozenset(("NOUN", "PROPN"))
_PARTS = _HEADS | {"ADJ"}


def key_phrases(text: str, tokens: Sequence[Token]) -> list[str]:
    """At most ten phrases of `text`, the most telling first, each as the text has it the first time.

    Candidates are the longest runs of adjectives and nouns that end with a noun (Justeson and Katz 1995, without their
    prepositions), with nothing but spaces and hyphens between the words. They are ranked as RAKE ranks (Rose et al.
    2010): a word scores its degree (the words of all candidates that it is in, with repetition) over its frequency, a
    phrase the sum of its words. Of equal ones the first in the text comes first. Tokens without a part of speech make
    no candidates.

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
            yield from _ended(phrase)
            phrase = []
        if token.pos in _PARTS:
            phrase.append(token)
    yield from _ended(phrase)


def _ended(phrase: list[Token]) -> Iterator[list[Token]]:
    """The phrase up to its last noun, if it has one."""
    last = max((index for index, token in enumerate(phrase) if token.pos in _HEADS), default=-1)
    if last >= 0:
        yield phrase[: last + 1]


def _form(token: Token) -> str:
    return token.lemma.casefold()
