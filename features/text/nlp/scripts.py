"""Splitting a text of several scripts into runs for one analyser each."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import regex

from features.text.nlp.words import EAST_ASIAN

# A sentence ends at a line's end, at a sentence mark, or at a full stop before white space.
_SENTENCE = regex.compile(r"(?:[^\n。！？!?.]|\.(?!\s))+[。！？!?.\s]*")
_PIECE = regex.compile(rf"(?V1)(?P<east>[{EAST_ASIAN}]+)|[\p{{L}}\p{{M}}\p{{N}}--[{EAST_ASIAN}]]+")
# Fewer words than this in other letters are taken for a name or a model within the Chinese around them.
_FEW_WORDS = 5


@dataclass(frozen=True)
class Run:
    """The run `text[start:end]`, in Han characters and kana (`east`) or in any other script."""

    start: int
    end: int
    east: bool


def script_runs(text: str) -> list[Run]:
    """The runs of `text` in order: an East Asian one is at most a sentence, any other at most a line.

    Fewer than five foreign words within an East Asian sentence stay with it ("使用 iPhone 15 拍照"). A sentence is
    East Asian by the weights of `detect_language`: one character counts as much as two words. Characters that are
    neither letters nor digits belong to the run before them, or to none.

    >>> text = "A frog. 青蛙。"
    >>> [text[run.start : run.end] for run in script_runs(text)]
    ['A frog. ', '青蛙。']
    """
    runs: list[Run] = []
    for sentence in _SENTENCE.finditer(text):
        for run in _sentence_runs(text, *sentence.span()):
            last = runs[-1] if runs else run
            if not run.east and not last.east and last.end == run.start and text[last.end - 1] != "\n":
                runs[-1] = Run(last.start, run.end, east=False)
            else:
                runs.append(run)
    return runs


def _sentence_runs(text: str, start: int, end: int) -> Iterator[Run]:
    """The runs of the sentence `text[start:end]`; none if it has neither letters nor digits."""
    pieces = [(piece.start(), piece["east"]) for piece in _PIECE.finditer(text, start, end)]
    foreign = sum(1 for _, east in pieces if not east)
    mostly_east = 2 * sum(len(east) for _, east in pieces if east) >= max(1, foreign)
    # Where each run begins, and whether it is East Asian.
    borders: list[tuple[int, bool]] = []
    for is_east, group in groupby(pieces, key=lambda piece: bool(piece[1])):
        (begin, _), *more = group
        east = is_east or (mostly_east and len(more) + 1 < _FEW_WORDS)
        if not borders:
            borders.append((start, east))
        elif borders[-1][1] != east:
            borders.append((begin, east))
    for (begin, east), (stop, _) in pairwise([*borders, (end, False)]):
        yield Run(begin, stop, east)
