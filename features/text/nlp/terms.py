"""A bag of words hashed into a space that is the same every night."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np

from schemas.features import TERM_SPACE

_SLOTS = 4


def term_counts(terms: Iterable[str]) -> tuple[list[int], list[int]]:
    """The hashed terms of a text, ascending, and how often each occurs.

    A term's number is the low 20 bits of its BLAKE2b hash (the hashing trick of Weinberger et al. 2009): no
    vocabulary to keep, and a term has the same number in every text, night and process. Two given terms share a
    number with a chance of one in a million.

    >>> numbers, counts = term_counts(["frog", "pond", "frog"])
    >>> sorted(counts)
    [1, 2]
    """
    counts = Counter(int(_hashes(term)[0] % TERM_SPACE) for term in terms)
    numbers = sorted(counts)
    return numbers, [counts[number] for number in numbers]


def hashed_vector(terms: Iterable[str], dim: int) -> np.ndarray:
    """Terms as float32 [dim] of length 1: the sum of ln(1 + count) times the term's own sparse vector.

    A term's vector holds +-1 in four places that its hash decides, a sparse Johnson-Lindenstrauss transform (Kane
    and Nelson 2014): inner products are those of the full bag of words up to a small error, and no two terms cancel
    each other.

    >>> vector = hashed_vector(["frog"], 1024)
    >>> int(np.count_nonzero(vector)), round(float(np.linalg.norm(vector)), 6)
    (4, 1.0)
    """
    vector = np.zeros(dim, np.float64)
    for term, count in sorted(Counter(terms).items()):
        hashes = _hashes(term)
        # The sign is one bit, the place is told by the others.
        np.add.at(vector, (hashes >> 1) % dim, np.log1p(count) * np.where(hashes & 1, 1.0, -1.0))
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


def normal_form(word: str) -> str:
    """A word as a term: compatibility forms resolved (full width is half width), case folded.

    >>> normal_form("Ｌｉｎｕｘ")
    'linux'
    """
    return unicodedata.normalize("NFKC", word).casefold()


def _hashes(term: str) -> np.ndarray:
    """Four hashes of a term, uint32 [4], the same on every machine."""
    return np.frombuffer(hashlib.blake2b(term.encode(), digest_size=4 * _SLOTS).digest(), "<u4")
