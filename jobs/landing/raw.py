"""Reading a landing zone: a night's record files, the records in them, and media files within RAW."""

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lake import storage
from schemas.errors import NightweaveError

FORMATS = (".jsonl", ".csv", ".parquet")
MAX_RECORD_BYTES = 16 * 2**20
MEDIA_ATTEMPTS = 3
_REFUSED_ERRORS = {errno.ENAMETOOLONG: "media_missing", errno.EACCES: "media_unreadable"}
"""Reason of a refusal by the system's error number; any other error is not the file's fault and is raised."""


class Refusal(Exception):
    """A record, a file or a field is refused. `reason` is a stable slug, `detail` names what arrived."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail[:500]


class LandingZoneError(NightweaveError):
    """A landing zone cannot be read or written; the message names what was found, what was expected and what to do."""


class RawChangedError(NightweaveError):
    """A file of records changed while it was read: what was read is neither the old file nor the new one."""


@dataclass(frozen=True)
class Raw:
    """A landing zone under one path or URI (`file`, `s3`, `gs`, `hdfs`)."""

    uri: str

    def _root(self) -> tuple[pafs.FileSystem, str]:
        return storage.filesystem(storage.as_uri(self.uri))

    def nights(self, kind: str) -> list[str]:
        """Return the nights, ISO dates ascending, that have a partition of `items` or `interactions`."""
        filesystem, root = self._root()
        found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{kind}", allow_not_found=True))
        return sorted(info.base_name[3:] for info in found if info.base_name.startswith("ds="))

    def files(self, kind: str, night: str) -> list[str]:
        """Return the record files of a night, relative to RAW, in the order in which they are read.

        Raises:
            LandingZoneError: RAW itself does not exist.
        """
        filesystem, root = self._root()
        if filesystem.get_file_info(root).type == pafs.FileType.NotFound:
            raise LandingZoneError(
                f"--raw {self.uri}: no such folder; expected a landing zone with items/ds=YYYY-MM-DD/"
            )
        selector = pafs.FileSelector(f"{root}/{kind}/ds={night}", recursive=True, allow_not_found=True)
        paths = (info.path for info in filesystem.get_file_info(selector) if info.is_file)
        return sorted(path[len(root) + 1 :] for path in paths if path.endswith(FORMATS))

    def records(self, path: str) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
        """Yield the records of a file with their position: the line of a text file, the row of a Parquet file, from 1.

        What cannot be read as a record is yielded as a `Refusal` in its place; a file that cannot be read at all is
        one refusal at position 0.

        Raises:
            RawChangedError: the file changed meanwhile; records yielded until then are to be discarded.
        """
        filesystem, root = self._root()
        reader = {".jsonl": _json_lines, ".csv": _csv_rows, ".parquet": _parquet_rows}[PurePosixPath(path).suffix]
        before = _stamp(filesystem, f"{root}/{path}")
        with filesystem.open_input_file(f"{root}/{path}") as file:
            yield from reader(file)
        if _stamp(filesystem, f"{root}/{path}") != before:
            raise RawChangedError(
                f"{path} changed while it was read; put files into RAW whole, then run the step again"
            )

    def media(self, uri: str, *, max_bytes: int) -> str:
        """Return the SHA-256 of the file that an item points to, hex.

        Raises:
            Refusal: the path leaves RAW, nothing is there, it is no file, it may not be read, it is empty or larger
                than `max_bytes`, or it changed during each of `MEDIA_ATTEMPTS` readings.
        """
        filesystem, path = self._media_path(uri)
        try:
            for _ in range(MEDIA_ATTEMPTS):
                info = filesystem.get_file_info(path)
                if info.type != pafs.FileType.File:
                    raise Refusal("media_missing", uri)
                if not 0 < info.size <= max_bytes:
                    raise Refusal("media_size", f"{uri}: {info.size} bytes; expected 1 to {max_bytes}")
                with filesystem.open_input_stream(path) as stream:
                    digest = hashlib.file_digest(io.BufferedReader(stream), "sha256").hexdigest()
                if _stamp(filesystem, path) == (info.size, info.mtime_ns):
                    return digest
            raise Refusal("media_changed", f"{uri}: it changed each of the {MEDIA_ATTEMPTS} times that it was read")
        except OSError as error:
            if error.errno not in _REFUSED_ERRORS:
                raise
            raise Refusal(_REFUSED_ERRORS[error.errno], f"{uri:.200}: {os.strerror(error.errno)}") from None

    def stamp(self, uri: str) -> tuple[int | None, int | None]:
        """Return size in bytes and time of change in nanoseconds of the file that an item points to.

        They differ where its content was changed.

        Raises:
            Refusal: the path leaves RAW.
        """
        return _stamp(*self._media_path(uri))

    @contextmanager
    def local(self, uri: str) -> Iterator[Path]:
        """Yield the file that an item points to as a local path: the file itself, or a copy for that time.

        Raises:
            Refusal: the path leaves RAW.
        """
        filesystem, path = self._media_path(uri)
        if isinstance(filesystem, pafs.LocalFileSystem):
            yield Path(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"media{PurePosixPath(path).suffix}"
            with filesystem.open_input_stream(path) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            yield copy

    def _media_path(self, uri: str) -> tuple[pafs.FileSystem, str]:
        """File system and path of a media file: relative to RAW, without scheme or `..`, and no link out of RAW."""
        pure = PurePosixPath(uri)
        if not uri or "\0" in uri or "\\" in uri or pure.is_absolute() or ".." in pure.parts:
            raise Refusal("media_outside_raw", f"{uri!r}: expected a path relative to RAW without '..'")
        if _names_a_host(uri) or "://" in unquote(uri):
            raise Refusal("media_outside_raw", f"{uri!r}: expected a path relative to RAW, not a URL")
        filesystem, root = self._root()
        path = f"{root}/{pure}"
        if isinstance(filesystem, pafs.LocalFileSystem) and not _inside(path, root):
            raise Refusal("media_outside_raw", f"{uri!r}: a link that leads out of RAW")
        return filesystem, path


def _stamp(filesystem: pafs.FileSystem, path: str) -> tuple[int | None, int | None]:
    info = filesystem.get_file_info(path)
    return info.size, info.mtime_ns


def _inside(path: str, root: str) -> bool:
    return os.path.realpath(path).startswith(os.path.realpath(root) + os.sep)


def _names_a_host(uri: str) -> bool:
    try:
        return bool(urlsplit(uri).netloc)
    except ValueError:  # brackets that hold no address
        return True


def _json_lines(file: pa.NativeFile) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
    lines = io.BufferedReader(file, 2**20)
    position = 0
    while line := lines.readline(MAX_RECORD_BYTES):
        position += 1
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            yield position, Refusal("record_too_long", f"more than {MAX_RECORD_BYTES} bytes without a line end")
            while (rest := lines.readline(MAX_RECORD_BYTES)) and not rest.endswith(b"\n"):
                continue
        elif line.strip():
            yield position, _json_record(line)


def _json_record(line: bytes) -> dict[str, Any] | Refusal:
    try:
        record = _json_value(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Refusal("not_json", f"{error}: {line[:200].decode('utf-8', 'replace').strip()}")
    if not isinstance(record, dict):
        return Refusal("not_an_object", f"expected a JSON object, got {type(record).__name__}")
    return record


def _json_value(text: str) -> Any:
    """The value of a JSON text; an unpaired surrogate, as of an emoji cut in two, is left out, for it is no Unicode.

    Raises:
        ValueError: it is no JSON, or has a number of more digits than Python reads.
        RecursionError: it is nested too deeply.
    """
    value = json.loads(text)
    if "\\ud" in text.lower():
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "ignore"))
    return value


def _csv_rows(file: pa.NativeFile) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
    rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline=""), strict=True)
    try:
        # A name that is no UTF-8 is that of an unknown column; the others can be read.
        header = [name.encode("utf-8", "replace").decode() for name in next(rows, [])]
    except csv.Error as error:
        yield 0, Refusal("not_csv", f"its header cannot be read: {error}")
        return
    while True:
        position = rows.line_num + 1
        try:
            values = next(rows, None)
        except csv.Error as error:
            yield position, Refusal("not_csv", str(error))
            continue
        if values is None:
            return
        if not values:
            continue
        yield position, _csv_record(header, values)


def _csv_record(header: list[str], values: list[str]) -> dict[str, Any] | Refusal:
    if len(values) != len(header):
        return Refusal("not_csv", f"{len(values)} fields where the header names {len(header)}")
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return Refusal("not_utf8", repr(values)[:200])
    return {name: _csv_value(value) for name, value in zip(header, values, strict=True) if value != ""}


def _csv_value(value: str) -> Any:
    """A list or an object travels in CSV as JSON text; anything else is the string that it is."""
    if value[0] in "[{" and value[-1] in "]}":
        try:
            return _json_value(value)
        except (ValueError, RecursionError):
            return value
    return value


def _parquet_rows(file: pa.NativeFile) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
    try:
        batches = pq.ParquetFile(file).iter_batches(batch_size=4096)
        position = 0
        for batch in batches:
            for record in batch.to_pylist():
                position += 1
                yield position, {name: value for name, value in record.items() if value is not None}
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        yield 0, Refusal("not_parquet", str(error))
