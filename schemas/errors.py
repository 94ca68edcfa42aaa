"""The errors that people see, and the hint that a wrong name gets."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class NightweaveError(Exception):
    """Base of every error whose message is for people: one line with what arrived, what was expected and what to do.

    Attributes:
        exit_code: of a process that the error ends: 2 for a mistake of the user's, 1 for work that failed.
    """

    exit_code: ClassVar[int] = 2


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """`"did you mean NAME? "` with the nearest of the known names (by `difflib`), empty where none is near.

    >>> did_you_mean("dceision", ["decision", "stack"])
    'did you mean decision? '
    >>> did_you_mean("oracle", ["decision", "stack"])
    ''
    """
    near = get_close_matches(str(name), [str(one) for one in known], n=1)
    return f"did you mean {near[0]}? " if near else ""
