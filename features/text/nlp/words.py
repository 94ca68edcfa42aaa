"""Splitting a text into words by its scripts, without a dictionary."""

from collections.abc import Iterator

import regex

# Characters for a set in a pattern; the long vowel mark is listed because Unicode assigns it to no script.
EAST_ASIAN = r"\p{Han}\p{Hiragana}\p{Katakana}ー"
# Chinese and Japanese have no spaces between words: each of their characters counts as a word.
_WORD = regex.compile(rf"(?V1)[{EAST_ASIAN}]|[\p{{L}}\p{{M}}\p{{N}}--[{EAST_ASIAN}]]+")


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each word in `text`, in order; each Chinese or Japanese character is a word."""
    return (found.span() for found in _WORD.finditer(text))


def count_words(text: str) -> int:
    """The number of words; each Chinese or Japanese character is a word.

    >>> count_words("two words"), count_words("iPhone 手机壳")
    (2, 4)
    """
    return sum(1 for _ in word_spans(text))
