"""Hashed bags of words: term numbers and vectors that are the same every night and need no vocabulary."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np

from schemas.features import TERM_SPACE

_SLOTS = 4


def term_counts(terms: Iterable[str]) -> tuple[list[int], list[int]]:
    """The hashed terms of a text, ascending, and the count of each.

    A term's number is the low 20 bits of its BLAKE2b hash (the hashing trick of Weinberger et al. 2009): no vocabulary
    has to be stored, and a term has the same number in every text, night and process. Two given terms share a number
    with a probability of one in a million.

    >>> numbers, counts = term_counts(["frog", "pond", "frog"])
    >>> sorted(counts)
    [1, 2]
    """
    counts = Counter(int(_hashes(term)[0] % TERM_SPACE) for term in terms)
    numbers = sorted(counts)
    return numbers, [counts[number] for number in numbers]


def hashed_vector(terms: Iterable[str], dim: int) -> np.ndarray:
    """Terms as float32 [dim] of length 1: the sum over distinct terms of ln(1 + count) times the term's sparse vector.

    A term's vector has +-1 in four places that follow from its hash, a sparse Johnson-Lindenstrauss transform (Kane
    and Nelson 2014): inner products are those of the full bag of words up to a small error. Without terms, all is 0.

    >>> vector = hashed_vector(["frog"], 1024)
    >>> int(np.count_nonzero(vector)), round(float(np.linalg.norm(vector)), 6)
    (4, 1.0)
    """
    vector = np.zeros(dim, np.float64)
    for term, count in sorted(Counter(terms).items()):
        hashes = _hashes(term)
        # The lowest bit is the sign, the others are the place; `add.at` adds up where two places of a term coincide.
        np.add.at(vector, (hashes >> 1) % dim, np.log1p(count) * np.where(hashes & 1, 1.0, -1.0))
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


def normal_form(word: str) -> str:
    """A word as a term: in NFKC (full-width letters become half-width), case folded.

    >>> normal_form("Ｌｉｎｕｘ")
    'linux'
    """
    return unicodedata.normalize("NFKC", word).casefold()


def _hashes(term: str) -> np.ndarray:
    """Four hashes of a term, uint32 [4], the same on every machine."""
    return np.frombuffer(hashlib.blake2b(term.encode(), digest_size=4 * _SLOTS).digest(), "<u4")
