"""Whether files still hold the id of a user or an item: as readers of their formats see them, and byte by byte.

Parquet is searched by its values, archives by their members, arrays of NumPy by their elements, what is compressed by
what it expands to; and every file by its bytes, in the ways in which text is written in them.
"""

import bz2
import gzip
import html
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake import parquet
from lake.damage import words
from lake.forgotten import KINDS, Subject

SHORTEST = 5
"""Characters of an id that is looked for wherever text is. A shorter one, such as `7`, stands there for much else, and
is looked for in columns of ids alone."""
BLOCK_BYTES, OVERLAP_BYTES = 8 << 20, 64 << 10
DEEP = 3
"""Archives, and what is compressed, in one another that are opened."""
ZIP, NUMPY, ZSTD = b"PK\x03\x04", b"\x93NUMPY", b"\x28\xb5\x2f\xfd"
EXPANDED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    ZSTD: lambda data: bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()),
}
UNREADABLE = (OSError, ValueError, EOFError, pa.ArrowException, zipfile.BadZipFile)


@dataclass(frozen=True)
class Found:
    """A file that holds the id, where in it, and how often; or one that could not be searched, and why."""

    path: str
    where: str
    times: int


@dataclass(frozen=True)
class Searched:
    """How many files of how many bytes were searched, and what was found."""

    files: int
    size: int
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Id:
    """What is looked for: in a column of ids of its kind a value that is it, in texts and bytes the word."""

    subject: Subject

    @property
    def in_texts(self) -> bool:
        """Whether it is looked for in more than columns of ids."""
        return len(self.subject.id) >= SHORTEST

    @cached_property
    def _word(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){re.escape(self.subject.id)}(?!\w)", re.ASCII)

    @cached_property
    def _in_bytes(self) -> re.Pattern[bytes]:
        """The word as UTF-8, as JSON, JSON in JSON, HTML or a URI writes it, and as UTF-16 and UTF-32."""
        text = self.subject.id
        escaped = json.dumps(text)[1:-1]
        ways = {text, escaped, json.dumps(escaped)[1:-1], html.escape(text), quote(text, safe="")}
        patterns = [_bounded(way.encode(), b"") for way in sorted(ways)]
        patterns += [_bounded(text.encode(f"utf-{8 * (n + 1)}-le"), b"\0" * n) for n in (1, 3)]
        return re.compile(b"|".join(patterns))

    def in_column(self, name: str, values: Iterable[str]) -> int:
        """Return how many values of a column hold it."""
        if (kind := next((kind for kind in KINDS if name.endswith(f"{kind}_id")), None)) is not None:
            return sum(value == self.subject.id for value in values) if kind == self.subject.kind else 0
        return sum(bool(self._word.search(value)) for value in values) if self.in_texts else 0

    def in_data(self, data: bytes) -> int:
        """Return how often bytes hold it."""
        return len(self._in_bytes.findall(data)) if self.in_texts else 0

    def in_stream(self, source: pa.NativeFile) -> int:
        """Return how often a file's bytes hold it; they are read block by block."""
        carried, times, after, at, left = b"", 0, 0, 0, source.size() if self.in_texts else 0
        while left:
            block = source.read(min(left, BLOCK_BYTES))
            left -= len(block)
            data = carried + block
            for match in self._in_bytes.finditer(data):
                # What lies at an edge is judged in the block that has what stands before and after it.
                inside = (match.start() >= 4 or not at) and (match.end() + 4 <= len(data) or not left)
                if inside and at + match.start() >= after:
                    times, after = times + 1, at + match.end()
            carried = data[-OVERLAP_BYTES:]
            at += len(data) - len(carried)
        return times


def search(filesystem: pafs.FileSystem, root: str, folders: Iterable[str], subject: Subject) -> Searched:
    """Search all files in folders below `root`, at any depth; a folder that is not there has none."""
    number, size, found, wanted = 0, 0, list[Found](), Id(subject)
    for folder in folders:
        selector = pafs.FileSelector(f"{root}/{folder}".rstrip("/"), recursive=True, allow_not_found=True)
        for info in sorted(filesystem.get_file_info(selector), key=lambda info: info.path):
            if info.is_file:
                number, size = number + 1, size + info.size
                path = info.path[len(root) + 1 :]
                found += (Found(path, where, times) for where, times in _in_file(filesystem, info.path, path, wanted))
    return Searched(number, size, tuple(found))


def _in_file(filesystem: pafs.FileSystem, place: str, path: str, wanted: Id) -> Iterator[tuple[str, int]]:
    """Where a file holds the id, and how often; one that cannot be read to its end is told too."""
    if wanted.in_column("", [path]):
        yield "its name", 1
    with filesystem.open_input_file(place) as source:
        if times := wanted.in_stream(source):
            yield "its bytes", times
        source.seek(0)
        head = source.read(8)
        try:
            if head.startswith(b"PAR1"):
                yield from _in_parquet(filesystem, place, wanted)
            elif head.startswith((ZIP, NUMPY, *EXPANDED)):
                source.seek(0)
                yield from _in_data(source.read(), "", wanted, DEEP)
        except UNREADABLE as error:
            yield f"it cannot be read: {words(error)}", 1


def _in_parquet(filesystem: pafs.FileSystem, place: str, wanted: Id) -> Iterator[tuple[str, int]]:
    times: Counter[str] = Counter()
    with filesystem.open_input_file(place) as source:
        columns = [field.name for field in pq.read_schema(source) if _has_texts(field.type, field.name)]
    for batch in parquet.batches(filesystem, place, columns=columns):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for part, values in _texts(name, column):
                near = values.filter(pc.fill_null(pc.match_substring(values, wanted.subject.id), False))
                times[part] += wanted.in_column(part, near.to_pylist())
    yield from ((f"column {part}", found) for part, found in times.items() if found)


def _has_texts(kind: pa.DataType, name: str) -> bool:
    """Whether `_texts` finds anything in a column: most bytes of a lake are numbers of vectors, which are not read."""
    return any(True for _ in _texts(name, pa.array([], kind)))


def _texts(name: str, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """The texts in a column, and ids that are numbers; those of maps and structs under the names of their parts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _texts(name, column.dictionary)
    elif pa.types.is_map(kind):
        yield from (*_texts(f"{name}.key", column.keys), *_texts(f"{name}.value", column.items))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _texts(name, column.flatten())
    elif pa.types.is_struct(kind):
        for part, values in zip(kind, column.flatten(), strict=True):
            yield from _texts(f"{name}.{part.name}", values)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield name, column
    elif pa.types.is_integer(kind) and name.endswith("_id"):
        yield name, column.cast(pa.string())


def _in_data(data: bytes, name: str, wanted: Id, deep: int) -> Iterator[tuple[str, int]]:
    """Where an archive, an array or what is compressed holds the id, and how often; `name` is that of a member."""
    place = f"{name}: " if name else ""
    expand = next((expand for magic, expand in EXPANDED.items() if data.startswith(magic)), None)
    if data.startswith(NUMPY):
        array = np.load(io.BytesIO(data), allow_pickle=False)
        if array.dtype.kind in "SU" and (times := wanted.in_column(_column(name), _elements(array))):
            yield f"{place}its elements", times
    elif data.startswith(ZIP) and deep:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from _in_data(archive.read(member), f"{place}{member}", wanted, deep - 1)
    elif expand and deep:
        yield from _in_data(expand(data), f"{place}expanded", wanted, deep - 1)
    elif times := wanted.in_data(data):
        yield f"{place}its bytes", times


def _column(member: str) -> str:
    """What an array in an archive is of: `item_id` for `item_ids.npy`."""
    return member.removesuffix(".npy").removesuffix("s")


def _elements(array: NDArray[np.str_] | NDArray[np.bytes_]) -> Iterator[str]:
    for value in array.ravel().tolist():
        yield value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _bounded(word: bytes, zeros: bytes) -> bytes:
    """A pattern of the word where no letter, digit or underline, each followed by so many zeros, stands beside it."""
    letter = rb"[0-9A-Za-z_]" + re.escape(zeros)
    return b"(?:(?<!" + letter + b")" + re.escape(word) + b"(?!" + letter + b"))"
