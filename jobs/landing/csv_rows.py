"""Reading CSV so that a damaged record costs itself.

Records are framed on physical lines. A quoted cell may span lines; where it does not end as a quoted cell should, its
first line is refused and reading goes on with the next one. A quote that is closed far away by another row's quote
swallows whole rows: it is noticed by the lines in between, which are records of their own, and all of them are refused.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Self

from jobs.landing.formats import Reader
from jobs.landing.refusal import Refusal
from jobs.landing.text import NOT_UTF8, SPACE, Tally, lines
from jobs.landing.values import MISSING
from schemas.config import RecordFiles

DELIMITERS = ",;\t|"
MOST_PIECES = 4
"""Lines that a record may be cut into by lone CRs in its cells."""
STAND_IN = "\ufdd0"
"""A code point that is no character, in place of a lone CR."""

_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)


class _Damaged(str):
    """A line with bytes that are no UTF-8, which stand in it as surrogates."""


class _Lines:
    """The lines of a text one by one, with those ahead to be looked at first.

    Attributes:
        number: number of the line that was taken last, from 1.
    """

    def __init__(self, source: Iterator[str]) -> None:
        self.number = 0
        self._source = source
        self._ahead: list[str] = []
        self._head = 0

    def take(self) -> str | None:
        """Return the next line, None at the end."""
        self.number += 1
        if self._head == len(self._ahead):
            return next(self._source, None)
        line = self._ahead[self._head]
        self._head += 1
        if self._head > 1000 and 2 * self._head > len(self._ahead):
            del self._ahead[: self._head]
            self._head = 0
        return line

    def ahead(self, number: int) -> str | None:
        """Return the line that many lines after the next one, None beyond the end."""
        while len(self._ahead) - self._head <= number:
            if (line := next(self._source, None)) is None:
                return None
            self._ahead.append(line)
        return self._ahead[self._head + number]


class _Fed:
    """An iterator over the line that it was given last, once."""

    line: str | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if (line := self.line) is None:
            raise StopIteration
        self.line = None
        return line


class _Form:
    """How the cells of one file are written.

    Attributes:
        width: how many cells a record has; None while the header is read.
    """

    def __init__(self, header: str, delimiter: str | None, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        unquoted = re.sub(r'"[^"]*"', "", header)
        self.delimiter = delimiter or max(DELIMITERS, key=unquoted.count)
        between = unquoted.count(self.delimiter)
        self.padded = 0 < between == unquoted.count(f"{self.delimiter} ")
        self._dialect = csv.reader((), delimiter=self.delimiter, skipinitialspace=self.padded, strict=True).dialect
        self._fed = _Fed()
        self._lone = self._reader(self._fed)  # of lines by themselves: one for all costs less than one each
        self.width: int | None = None
        self._mac = header.endswith("\r")  # where lines end so, a lone CR is no part of a cell
        self._escaped = re.compile(rf'"((?:[^"\\]|\\.)*)"|([^"{re.escape(self.delimiter)}]*)')

    def record(self, line: str, text: _Lines) -> tuple[list[str] | None, list[str]]:
        """Return the cells of the record that begins at a line, None where they are damaged, and its lines.

        Lines after the first are looked at and not taken.
        """
        cells, span = (self._split(line), [line]) if '"' not in line else self._quoted(line, text)
        if self.width is None or len(cells) == self.width:
            return cells or None, span
        if '\\"' in line and (escaped := self._with_escapes(line)):
            return escaped, [line]
        if line.endswith("\r") and not self._mac and (pieces := self._pieces(line, text)):
            return pieces
        return cells or None, span

    def swallows(self, cells: list[str], span: list[str]) -> bool:
        """Return whether the lines after the first, most of them, are records of their own and no part of a cell.

        Of the last line that is judged by what stands before the quote that ends the cell.
        """
        *inner, last = [line for line in span[1:] if not _blank(line)] or [""]
        place = next((place for place, cell in enumerate(cells) if "\n" in cell or "\r" in cell), 0)
        whole = (self.width or 0) - 1
        alike = sum(self._is_record(line, like=span[0], delimiters=whole) for line in inner)
        alike += self._is_record(last.partition('"')[0], like=span[0], delimiters=place)
        return len(span) > 1 and len(inner) + 1 <= 2 * alike

    def _split(self, line: str) -> list[str]:
        cells = line.rstrip("\r\n").split(self.delimiter)
        return [cell.lstrip(" ") for cell in cells] if self.padded else cells

    def _quoted(self, line: str, text: _Lines) -> tuple[list[str], list[str]]:
        """Cells and lines of a record with quotes, RFC 4180; no cells and its first line where it is damaged."""
        if line.count('"') % 2 == 0:
            self._fed.line = line
            with suppress(csv.Error):
                return next(self._lone), [line]
        span: list[str] = []
        try:
            return next(self._reader(self._supply(line, text, span))), span
        except csv.Error:
            return [], [line]

    def _reader(self, source: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(source, self._dialect)

    def _pieces(self, line: str, text: _Lines) -> tuple[list[str], list[str]] | None:
        """Cells and lines of a record that lone CRs in its cells, which pandas does not quote, have cut; else None."""
        span = [line]
        while span[-1].endswith("\r") and len(span) < MOST_PIECES:
            if (following := text.ahead(len(span) - 1)) is None:
                break
            span.append(following)
        record = "".join(span).rstrip("\r\n")
        if STAND_IN in record or "\n" in record:
            return None
        try:
            cells = next(self._reader([record.replace("\r", STAND_IN)]))
        except csv.Error:
            return None
        return ([cell.replace(STAND_IN, "\r") for cell in cells], span) if len(cells) == self.width else None

    def _supply(self, line: str, text: _Lines, span: list[str]) -> Iterator[str]:
        """The lines of a record, noted in `span`, as far as a record may go: each turn from quoted text to other costs
        a cell, so that an unclosed quote is not followed through all quoted cells after it."""
        size = turns = 0
        following: str | None = line
        while following is not None:
            size += len(following)
            turns += bool(span) and '"' in following.replace('""', "")
            if size > self._max_bytes or turns > (self.width or len(line)):
                return
            span.append(following)
            yield following
            following = text.ahead(len(span) - 1)

    def _with_escapes(self, line: str) -> list[str] | None:
        """The cells of one line in which quotes are escaped by a backslash, None unless that makes a record."""
        line, cells, at = line.rstrip("\r\n"), list[str](), 0
        while found := self._escaped.match(line, at):
            cells.append(found[2] if found[1] is None else found[1].replace('\\"', '"'))
            at = found.end() + 1
            if at > len(line):
                return cells if len(cells) == self.width else None
            if line[at - 1] != self.delimiter:
                break
        return None

    def _is_record(self, line: str, *, like: str, delimiters: int) -> bool:
        first, other = (one.partition(self.delimiter)[0] for one in (line, like))
        return line.count(self.delimiter) == delimiters and _kinds(first) == _kinds(other)


def csv_rows(source: Iterator[bytes], limits: RecordFiles) -> Reader:
    """Read CSV with a header: comma, semicolon, tab or bar between cells, quotes doubled or, as Spark writes, escaped.

    Cells are strings; those that stand for a missing value are left out.
    """
    tally = Tally()
    text = _Lines(_decoded(lines(tally.tap(source), limits.max_record_bytes)))
    top, above, delimiter = _top(text)
    if top is None:
        return 0
    csv.field_size_limit(limits.max_record_bytes)
    form = _Form(top, delimiter, limits.max_record_bytes)
    header, span = form.record(top, text)
    names = [name.strip().encode("utf-8", "replace").decode() for name in header or ()]
    twice = {name for name, times in Counter(names).items() if name and times > 1}
    form.width = len(names)
    if header is None or twice or form.swallows(header, span):
        while text.take() is not None:
            continue
        rows = max(1, tally.lines - above - 1)
        cause = f"columns with one name: {', '.join(sorted(twice))}" if twice else "a quote in it is not closed"
        yield 0, Refusal("not_csv", f"its header cannot be read: {cause}", rows=rows)
        return rows
    inner = above + _take(text, span)  # filled lines that are no record of their own
    while (line := text.take()) is not None:
        if _blank(line):
            continue
        position = text.number
        if len(line) > limits.max_record_bytes:
            detail = f"more than {limits.max_record_bytes} bytes without a line end"
            yield position, Refusal("record_too_long", detail)
            continue
        cells, span = form.record(line, text)
        if len(span) > 1:
            filled = _take(text, span)
            if cells and form.swallows(cells, span):
                detail = f"a quote is closed {len(span) - 1} lines later, and between are records of their own"
                yield position, Refusal("not_csv", detail, rows=filled)
                continue
            inner += filled - 1
        if cells == header:
            yield position, Refusal("not_csv", "the header again")
        else:
            yield position, _record(names, cells, span)
    return tally.lines - inner


def _top(text: _Lines) -> tuple[str | None, int, str | None]:
    """The line that the header begins at, how many filled lines stand above it, and the delimiter that Excel names."""
    above, delimiter = 0, None
    while (line := text.take()) is not None:
        if found := _SEPARATOR.fullmatch(line):
            above, delimiter = above + 1, found[1]
        elif not _blank(line):
            break
    return line, above, delimiter


def _take(text: _Lines, span: list[str]) -> int:
    """Take the lines of a record after its first; returns how many of all its lines are not blank."""
    for _ in span[1:]:
        text.take()
    return len(span) if len(span) == 1 else sum(not _blank(line) for line in span)


def _record(names: list[str], cells: list[str] | None, span: list[str]) -> dict[str, Any] | Refusal:
    if cells is None:
        return Refusal("not_csv", "a quoted cell that is not closed, or is followed by more than a delimiter")
    if len(cells) != len(names):
        return Refusal("not_csv", f"{len(cells)} fields where the header names {len(names)}")
    if _Damaged in map(type, span):
        damaged = [name for name, cell in zip(names, cells, strict=True) if _encodable(cell) is False]
        return Refusal("not_utf8", f"columns {', '.join(damaged)}: bytes that are {NOT_UTF8}")
    if MISSING.isdisjoint(cells):
        return dict(zip(names, cells, strict=True))
    return {name: cell for name, cell in zip(names, cells, strict=True) if cell not in MISSING}


def _decoded(source: Iterator[bytes]) -> Iterator[str]:
    for line in source:
        try:
            yield line.decode()
        except UnicodeDecodeError:
            yield _Damaged(line.decode("utf-8", "surrogateescape"))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _blank(line: str) -> bool:
    return not line.strip(SPACE)


def _kinds(cell: str) -> frozenset[str]:
    """Which kinds of characters a cell has: digits, letters, and every other one by itself."""
    return frozenset("9" if c.isdigit() else "a" if c.isalpha() else c for c in cell if c != '"')
