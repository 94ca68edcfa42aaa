"""Words by the scripts that they are written in, without a dictionary."""

from collections.abc import Iterator

import regex

# The characters of a set in a pattern; the long vowel mark is in no script of its own.
EAST_ASIAN = r"\p{Han}\p{Hiragana}\p{Katakana}ー"
# Chinese and Japanese don't put spaces between words: each of their characters counts as one.
_WORD = regex.compile(rf"(?V1)[{EAST_ASIAN}]|[\p{{L}}\p{{M}}\p{{N}}--[{EAST_ASIAN}]]+")


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each word in `text`, in order; each Chinese or Japanese character is one."""
    return (found.span() for found in _WORD.finditer(text))


def count_words(text: str) -> int:
    """Number of words; each Chinese or Japanese character is one.

    >>> count_words("two words"), count_words("iPhone 手机壳")
    (2, 4)
    """
    return sum(1 for _ in word_spans(text))
