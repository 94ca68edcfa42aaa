"""Records of a user or an item taken out of a landing zone, and the media files that no other item names."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs.landing import records
from jobs.landing.columns import Columns
from jobs.landing.confinement import opened
from jobs.landing.formats import is_document
from jobs.landing.parquet import UNREADABLE
from jobs.landing.raw import COMPRESSED, PARQUET, LandingZoneError, Raw
from jobs.landing.refusal import Refusal
from jobs.landing.text import blocks, compression_of
from lake import storage
from lake.forgotten import Subject
from schemas.config import Clean

_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True)
class Holdings:
    """What a landing zone has of a user or an item.

    Attributes:
        records: file, relative to RAW → how many of its records are of it.
        media: paths of media files that its records name, and those of no other item.
    """

    records: Mapping[str, int]
    media: tuple[str, ...]


def find(raw: Raw, subject: Subject, config: Clean) -> Holdings:
    """Return what a landing zone has of a user or an item, over all nights: records that are refused are among it, as
    long as they can be read.

    Raises:
        LandingZoneError: RAW does not exist.
    """
    raw.check_there()
    found: Counter[str] = Counter()
    theirs, others = set[str](), set[str]()
    for kind, path in _files(raw):
        columns = records.columns_of(kind, config)
        for _, fields in _fields(raw, path, columns):
            found[path] += (named := subject in records.subjects(fields, columns))
            if kind == "items" and subject.kind == "item":
                (theirs if named else others).update(str(PurePosixPath(uri)) for uri in records.uris(fields))
    return Holdings({path: number for path, number in sorted(found.items()) if number}, tuple(sorted(theirs - others)))


def remove(raw: Raw, subject: Subject, config: Clean, holdings: Holdings) -> None:
    """Take what `find` has found out of the landing zone. A file of records is there as it was, or without them; media
    go first, since the records name them.

    Raises:
        LandingZoneError: a file that has such records cannot be read to its end, so that it can't be written anew.
    """
    for uri in holdings.media:
        raw.remove_media(uri)
    filesystem, root = storage.filesystem(storage.as_uri(raw.uri))
    for path in holdings.records:
        columns = records.columns_of(path.partition("/ds=")[0], config)
        try:
            places = list(_places(raw, path, columns, subject))
            _write(filesystem, root, path, _without(raw, filesystem, root, path, places))
        except (Refusal, *UNREADABLE) as error:
            raise LandingZoneError(
                f"{path}: it has records of the {subject.kind}, and cannot be written without them, as it cannot be "
                f"read whole: {error}; mend the file or take it out of RAW, then run this again"
            ) from error


def _files(raw: Raw) -> Iterator[tuple[str, str]]:
    """The kind and the path of every file of records."""
    for kind in ("items", "interactions", *(f"vectors/{name}" for name in raw.names("vectors"))):
        for night in raw.nights(kind):
            yield from ((kind, path) for path in raw.files(kind, night))


def _fields(raw: Raw, path: str, columns: Columns) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The position of each record of a file, and its fields under the contract's names; none of what is refused."""
    for position, record in raw.records(path, known=columns.read):
        fields: Mapping[str, Any] = {}
        if not isinstance(record, Refusal):
            with suppress(Refusal):
                fields = columns.renamed(record)
        yield position, fields


def _places(raw: Raw, path: str, columns: Columns, subject: Subject) -> Iterator[tuple[int, bool]]:
    """The position of each record of a file, and whether it is to go."""
    for position, fields in _fields(raw, path, columns):
        yield position, subject in records.subjects(fields, columns)


def _without(
    raw: Raw, filesystem: pafs.FileSystem, root: str, path: str, places: list[tuple[int, bool]]
) -> Callable[[pa.NativeFile], None]:
    """What writes a file of records anew, without those that are to go; a text as UTF-8, compressed as it was."""
    gone = {position for position, goes in places if goes}
    with opened(filesystem, root, path) as (file, _):
        if path.lower().endswith(PARQUET):
            rows = pq.read_table(file)
            kept = rows.filter(pa.array(number not in gone for number in range(1, len(rows) + 1)))
            return lambda sink: pq.write_table(kept, sink, compression="zstd")
        compression = compression_of(file)
        text = b"".join(blocks(file, compressed=path.lower().endswith(COMPRESSED), limits=raw.limits))
    left = _elements(text, gone) if _is_document(path, text) else _lines(text, places)
    return lambda sink: _put(sink, left, compression)


def _is_document(path: str, text: bytes) -> bool:
    name = PurePosixPath(path.lower())
    plain = PurePosixPath(name.stem) if name.suffix in COMPRESSED else name
    return plain.suffix == ".json" and is_document(text)


def _elements(text: bytes, gone: Set[int]) -> bytes:
    """A document without the elements of its array at these places, from 1; the others as they are written."""
    document = text.decode()
    at = _after(document, 0)
    if document[at] == "{":
        return b"[]" if gone else text
    at, number, kept = _after(document, at + 1), 0, list[str]()
    while document[at] != "]":
        _, end = json.JSONDecoder().raw_decode(document, at)
        number += 1
        kept += [document[at:end]] if number not in gone else []
        at = _after(document, end)
    return "[{}]\n".format(",\n".join(kept)).encode()


def _after(document: str, at: int) -> int:
    """Where the next element begins, or the array ends."""
    found = _BETWEEN.match(document, at)
    assert found
    return found.end()


def _lines(text: bytes, places: list[tuple[int, bool]]) -> bytes:
    """A text without the records that are to go: each reaches to the line at which the next one begins."""
    lines = text.splitlines(keepends=True)
    ends = [position for position, _ in places[1:]] + [len(lines) + 1]
    kept = lines[: places[0][0] - 1]
    for (position, goes), end in zip(places, ends, strict=True):
        kept += [] if goes else lines[position - 1 : end - 1]
    return b"".join(kept)


def _put(sink: pa.NativeFile, data: bytes, compression: str | None) -> None:
    if compression is None:
        sink.write(data)
        return
    with pa.CompressedOutputStream(sink, compression) as packed:
        packed.write(data)


def _write(filesystem: pafs.FileSystem, root: str, path: str, put: Callable[[pa.NativeFile], None]) -> None:
    """Write a file of RAW under a hidden name, which no night reads, then move it into its place."""
    local = isinstance(filesystem, pafs.LocalFileSystem)
    place = os.path.realpath(f"{root}/{path}") if local else f"{root}/{path}"
    folder, _, name = place.rpartition("/")
    beside = f"{folder}/.{name}.partial"
    with filesystem.open_output_stream(beside) as sink:
        put(sink)
    if local:
        shutil.copymode(place, beside)
    filesystem.move(beside, place)
