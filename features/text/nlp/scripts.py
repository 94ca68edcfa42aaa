"""A text of several scripts as runs that one analyser can read."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import regex

from features.text.nlp.words import EAST_ASIAN

# A sentence ends with a line, with a mark of its own, or with a full stop before a space.
_SENTENCE = regex.compile(r"(?:[^\n。！？!?.]|\.(?!\s))+[。！？!?.\s]*")
_PIECE = regex.compile(rf"(?V1)(?P<east>[{EAST_ASIAN}]+)|[\p{{L}}\p{{M}}\p{{N}}--[{EAST_ASIAN}]]+")
# So many words in other letters can be a sentence; fewer are a name or a model within the Chinese around them.
_FEW_WORDS = 5


@dataclass(frozen=True)
class Run:
    """`text[start:end]`, in Han characters and kana (`east`) or in all other scripts."""

    start: int
    end: int
    east: bool


def script_runs(text: str) -> list[Run]:
    """The runs of `text` in order: an East Asian one is a sentence at most, the others are a line at most.

    Fewer than five foreign words within an East Asian sentence stay with it ("使用 iPhone 15 拍照"). A sentence is
    East Asian by the weights of `detect_language`: one character counts as much as two words. What has neither
    letters nor digits belongs to the run before it, or to none.

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
    pieces = [(piece.start(), piece["east"]) for piece in _PIECE.finditer(text, start, end)]
    foreign = sum(1 for _, east in pieces if not east)
    mostly_east = 2 * sum(len(east) for _, east in pieces if east) >= max(1, foreign)
    marks: list[tuple[int, bool]] = []
    for is_east, group in groupby(pieces, key=lambda piece: bool(piece[1])):
        (begin, _), *more = group
        east = is_east or (mostly_east and len(more) + 1 < _FEW_WORDS)
        if not marks:
            marks.append((start, east))
        elif marks[-1][1] != east:
            marks.append((begin, east))
    for (begin, east), (stop, _) in pairwise([*marks, (end, False)]):
        yield Run(begin, stop, east)
