"""What a Parquet file claims of its sizes, in its footer and in the header before each page: read without decoding a
page. Arrow's Python shows no page header, and ends the process over a footer whose columns are damaged.

Both are structs of Thrift's compact protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
The numbers of fields are those of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

MAX_FOOTER_BYTES = 64 << 20
MAX_HEADER_BYTES = 16 << 20
FIRST_BYTES = 1 << 12
MAX_DEPTH = 32
BYTE_ARRAY, DICTIONARY_PAGE, DELTA_BYTE_ARRAY = 6, 2, 7
"""A physical type, a type of page and an encoding, by their numbers in Parquet."""

Struct = dict[int, Any]


@dataclass(frozen=True)
class Column:
    """A column of a row group, as the footer has it.

    Attributes:
        path: its name; of what is nested all names, between dots.
        values: how many it has, those in lists each.
        bytes: its pages', decompressed.
        start, end: where its pages are in the file.
    """

    path: str
    is_bytes: bool
    values: int
    bytes: int
    start: int
    end: int


@dataclass(frozen=True)
class RowGroup:
    rows: int
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Pages:
    """The pages of a column in a row group, by their headers.

    Attributes:
        bytes: all of them decompressed.
        values: how many they have together.
        largest: bytes of the largest, decompressed.
        has_dictionary: whether values are stored once and stand in the pages by their places.
        has_prefixes: whether a value is stored as what it has beyond the value before it.
    """

    bytes: int
    values: int
    largest: int
    has_dictionary: bool
    has_prefixes: bool


def footer(file: pa.NativeFile) -> tuple[int, list[RowGroup]]:
    """Return how many rows a file has, and its row groups.

    Raises:
        ValueError, LookupError: it is no footer, or damaged.
    """
    tail = bytes(file.read_at(8, max(0, file.size() - 8)))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length + 8 > file.size():
        raise ValueError("the file does not end as Parquet does")
    if length > MAX_FOOTER_BYTES:
        raise ValueError(f"{length} bytes; expected at most {MAX_FOOTER_BYTES}")
    found, _ = _struct(bytes(file.read_at(length, file.size() - 8 - length)), 0)
    with _typed():
        groups = [RowGroup(group[3], tuple(_column(column[3]) for column in group[1])) for group in found[4]]
        return int(found[3]), groups


def pages(file: pa.NativeFile, column: Column) -> Pages:
    """Return what the headers of a column's pages say.

    Raises:
        ValueError, LookupError: one is damaged.
    """
    sizes, values, has_dictionary, has_prefixes = [0], 0, False, False
    with _typed():
        for header in _headers(file, column):
            sizes.append(header[2])
            has_dictionary |= header[1] == DICTIONARY_PAGE
            for data, encoding in ((header.get(5), 2), (header.get(8), 4)):  # data pages of version 1 and 2
                if data:
                    values += _size(data[1])
                    has_prefixes |= data[encoding] == DELTA_BYTE_ARRAY
    return Pages(sum(sizes), values, max(sizes), has_dictionary, has_prefixes)


def _column(chunk: Struct) -> Column:
    data, dictionary = _size(chunk[9]), _size(chunk.get(11, 0))
    start = dictionary if 0 < dictionary < data else data
    path = ".".join(name.decode() for name in chunk[3])
    return Column(path, chunk[1] == BYTE_ARRAY, _size(chunk[5]), _size(chunk[6]), start, start + _size(chunk[7]))


@contextmanager
def _typed() -> Iterator[None]:
    """Make it a ValueError that a field has another type than it should."""
    try:
        yield
    except (TypeError, AttributeError) as error:
        raise ValueError(f"a field of another type: {error}") from None


def _size(number: int) -> int:
    if number < 0:
        raise ValueError(f"a size of {number}")
    return number


def _headers(file: pa.NativeFile, column: Column) -> Iterator[Struct]:
    at = column.start
    while at < column.end:
        header, length = _header(file, at)
        _size(header[2])
        yield header
        at += length + _size(header[3])


def _header(file: pa.NativeFile, at: int) -> tuple[Struct, int]:
    """The header at a place in the file, and its length."""
    size = FIRST_BYTES
    while True:
        data = bytes(file.read_at(size, at))
        try:
            return _struct(data, 0)
        except LookupError:  # it goes on
            if len(data) < size or size >= MAX_HEADER_BYTES:
                raise
            size *= 8


def _struct(data: bytes, at: int, depth: int = 0) -> tuple[Struct, int]:
    """The fields of a struct by their numbers, and where it ends.

    Raises:
        ValueError: it is none.
        LookupError: it goes on beyond the data.
    """
    fields: Struct = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        if number in fields:
            raise ValueError(f"field {number} twice")
        fields[number], at = (head & 15 == 1, at) if head & 15 in (1, 2) else _value(head & 15, data, at, depth)
    return fields, at + 1


def _value(kind: int, data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """A value of a type, and where it ends."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if kind in (1, 2, 3):  # a byte, or a flag in a list
        return data[at], at + 1
    if kind in (4, 5, 6):
        return _integer(data, at)
    if kind == 7:
        return _taken(data, at, 8)
    if kind == 8:
        length, at = _unsigned(data, at)
        return _taken(data, at, length)
    if kind in (9, 10):
        head, at = data[at], at + 1
        length, at = (head >> 4, at) if head >> 4 < 15 else _unsigned(data, at)
        values = []
        for _ in range(length):
            value, at = _value(head & 15, data, at, depth + 1)
            values.append(value)
        return values, at
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise ValueError(f"a value of type {kind}")  # 11, a map, is in no struct of Parquet's


def _taken(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise IndexError(length)
    return data[at : at + length], at + length


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number of more than 10 bytes")
