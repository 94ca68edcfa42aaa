"""Reading a landing zone: a night's record files, the records in them, and media files within RAW."""

import errno
import hashlib
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from jobs.landing.confinement import files_under, names_in, opened
from jobs.landing.csv_rows import csv_rows
from jobs.landing.formats import Reader, json_lines, json_text
from jobs.landing.parquet import parquet_rows
from jobs.landing.refusal import Refusal
from jobs.landing.text import BLOCK_BYTES, blocks
from lake import storage
from schemas.config import RecordFiles
from schemas.errors import NightweaveError

TEXTS = {
    ".jsonl": json_lines, ".ndjson": json_lines, ".jl": json_lines, ".json": json_text, ".csv": csv_rows,
    ".tsv": csv_rows,
}  # fmt: skip
PARQUET = (".parquet", ".parq", ".pq")
COMPRESSED = (".gz", ".gzip", ".zst", ".zstd", ".bz2")
MEDIA_ATTEMPTS = 3
LONGEST_SUFFIX = 16
_REFUSED_ERRORS = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG), "media_missing"),
    errno.EACCES: "media_unreadable",
}
"""Reason of a refusal by the system's error number; any other error is not the file's fault and is raised."""


class LandingZoneError(NightweaveError):
    """A landing zone cannot be read or written; the message names what was found, what was expected and what to do."""


class RawChangedError(NightweaveError):
    """A file of records changed while it was read: what was read is neither the old file nor the new one."""


@dataclass(frozen=True)
class Raw:
    """A landing zone under one path or URI (`file`, `s3`, `gs`, `hdfs`).

    Attributes:
        limits: how large record files may become in memory.
    """

    uri: str
    limits: RecordFiles = field(default_factory=RecordFiles)

    def _root(self) -> tuple[pafs.FileSystem, str]:
        return storage.filesystem(storage.as_uri(self.uri))

    def check_there(self) -> None:
        """See that there is a folder of that name.

        Raises:
            LandingZoneError: there is none.
        """
        filesystem, root = self._root()
        if filesystem.get_file_info(root).type == pafs.FileType.NotFound:
            raise LandingZoneError(
                f"--raw {self.uri}: no such folder; expected a landing zone with items/ds=YYYY-MM-DD/"
            )

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder of RAW that are not hidden, sorted; none where there is no such folder."""
        return [name for name, _ in names_in(*self._root(), folder)]

    def nights(self, kind: str) -> list[str]:
        """Return the nights, ISO dates ascending, that have a partition of a kind: `items`, `interactions` or
        `vectors/MODALITY`."""
        return [name[3:] for name, is_folder in names_in(*self._root(), kind) if is_folder and _is_night(name)]

    def strays(self, kind: str) -> list[str]:
        """Return the names in the folder of a kind that are no night and are not read."""
        return [name for name, is_folder in names_in(*self._root(), kind) if not (is_folder and _is_night(name))]

    def files(self, kind: str, night: str) -> list[str]:
        """Return the record files of a night, relative to RAW, in the order in which they are read.

        Raises:
            LandingZoneError: RAW itself does not exist.
        """
        return [path for path in self._night_files(kind, night)[0] if _format(path)]

    def unread(self, kind: str, night: str) -> list[tuple[str, Refusal]]:
        """Return the files of a night that are not read, relative to RAW, each with the reason.

        Raises:
            LandingZoneError: RAW itself does not exist.
        """
        files, refused = self._night_files(kind, night)
        known = ", ".join((*TEXTS, *PARQUET))
        other = Refusal("unknown_format", f"its name ends in none of {known}, with .gz, .zst or .bz2", rows=0)
        return [(path, other) for path in files if not _format(path)] + refused

    def holds(self, path: str) -> bool:
        """Return whether there is a file of that path, relative to RAW."""
        filesystem, root = self._root()
        return bool(filesystem.get_file_info(f"{root}/{path}").type == pafs.FileType.File)

    def size(self, paths: Sequence[str]) -> int:
        """Return the bytes of files, by their paths relative to RAW; 0 for one that is gone."""
        return sum(size or 0 for size, _ in self.stamps(paths).values())

    def stamps(self, paths: Sequence[str]) -> dict[str, list[int | None]]:
        """Return size in bytes and time of change in nanoseconds of files, by their paths relative to RAW; null where
        it is not known, as of one that is gone."""
        filesystem, root = self._root()
        found = filesystem.get_file_info([f"{root}/{path}" for path in paths])
        return {path: [info.size, info.mtime_ns] for path, info in zip(paths, found, strict=True)}

    def records(self, path: str, *, known: frozenset[str] | None = None) -> "Records":
        """Return the records of a file with their positions: the line of a text file, the row of a Parquet file,
        from 1.

        What cannot be read as a record is a `Refusal` in its place. A file that cannot be read at all is one refusal
        at position 0, and so is what is left of a file that cannot be read to its end.

        Args:
            known: columns of which a value that Python cannot hold costs its row, in formats that have types; None
                for all.
        """
        return Records(self.read(path, known=known))

    def read(self, path: str, *, known: frozenset[str] | None) -> Reader:
        """As `records`, as a generator that returns `Records.counted`.

        Raises:
            RawChangedError: the file changed meanwhile; records yielded until then are to be discarded.
        """
        rows = None
        try:
            with opened(*self._root(), path) as (file, stamp):
                before = stamp()
                try:
                    if _format(path) in PARQUET:
                        rows = yield from parquet_rows(file, known=known, limits=self.limits)
                    else:
                        packed = path.lower().endswith(COMPRESSED)
                        text = blocks(file, compressed=packed, limits=self.limits)
                        rows = yield from TEXTS[_format(path)](text, self.limits)
                except Refusal as refusal:
                    yield 0, refusal
                if stamp() != before:
                    raise _changed(path)
        except Refusal as refusal:
            yield 0, refusal
        except PermissionError:
            yield 0, Refusal("unreadable_file", "it may not be read", rows=None)
        except (FileNotFoundError, NotADirectoryError):
            raise _changed(path) from None
        return rows

    def _night_files(self, kind: str, night: str) -> tuple[list[str], list[tuple[str, Refusal]]]:
        """As `files_under`."""
        self.check_there()
        return files_under(*self._root(), f"{kind}/ds={night}")

    def media(self, uri: str, *, max_bytes: int) -> str:
        """Return the SHA-256 of the file that an item points to, hex.

        Raises:
            Refusal: the path leaves RAW, nothing is there, it is no file, it may not be read, it is empty or larger
                than `max_bytes`, or it changed during each of `MEDIA_ATTEMPTS` readings.
        """
        for _ in range(MEDIA_ATTEMPTS):
            digest, rested = self._digest(uri, max_bytes=max_bytes)
            if rested:
                return digest
        raise Refusal("media_changed", f"{uri}: it changed each of the {MEDIA_ATTEMPTS} times that it was read")

    @contextmanager
    def local(self, uri: str, *, key: str, max_bytes: int) -> Iterator[Path]:
        """Yield the content that an item points to as a local file, private and for that time; its suffix is kept.

        The file in RAW is opened once: what is checked, hashed and yielded are the same bytes. They lie in a file
        without a name in the folder for temporary files (TMPDIR), so that no kill leaves them behind; the path is a
        link to it, which every process of the same user can follow.

        Args:
            key: the SHA-256 that the content must have, hex.

        Raises:
            Refusal: as `media`, or its bytes are others than those of `key`.
        """
        with tempfile.TemporaryFile() as copy:
            if self._digest(uri, max_bytes=max_bytes, copy=copy)[0] != key:
                raise Refusal("media_changed", f"{uri}: its bytes are not those that were cleaned")
            copy.flush()
            suffix = PurePosixPath(uri).suffix[:LONGEST_SUFFIX]
            path = Path(tempfile.gettempdir()) / f"nightweave-{uuid.uuid4().hex}{suffix}"
            path.symlink_to(f"/proc/{os.getpid()}/fd/{copy.fileno()}")
            try:
                yield path
            finally:
                path.unlink()

    def remove_media(self, uri: str) -> bool:
        """Delete the file that an item points to; return whether it was there and within RAW."""
        try:
            place = self._media_path(uri)
            with _refused(uri), opened(*place, outside="media_outside_raw", no_file="media_missing"):
                pass
        except Refusal:
            return False
        filesystem, root, path = place
        filesystem.delete_file(f"{root}/{path}")
        return True

    def _digest(self, uri: str, *, max_bytes: int, copy: IO[bytes] | None = None) -> tuple[str, bool]:
        """SHA-256 of a media file, hex, and whether the file rested meanwhile; its bytes are written to `copy` too.

        Raises:
            Refusal: the path leaves RAW, it is no file of 1 to `max_bytes` bytes, or it may not be read.
        """
        place, digest = self._media_path(uri), hashlib.sha256()
        with _refused(uri), opened(*place, outside="media_outside_raw", no_file="media_missing") as (file, stamp):
            before, left = stamp(), file.size()
            if not 0 < left <= max_bytes:
                raise Refusal("media_size", f"{uri}: {left} bytes; expected 1 to {max_bytes}")
            while block := file.read(min(left, BLOCK_BYTES)):
                digest.update(block)
                left -= len(block)
                if copy:
                    copy.write(block)
            return digest.hexdigest(), stamp() == before

    def _media_path(self, uri: str) -> tuple[pafs.FileSystem, str, str]:
        """File system, RAW in it, and the path of a media file in RAW, without scheme or `..`."""
        pure = PurePosixPath(uri)
        if not uri or "\0" in uri or "\\" in uri or pure.is_absolute() or ".." in pure.parts:
            raise Refusal("media_outside_raw", f"{uri!r}: expected a path relative to RAW without '..'")
        if _names_a_host(uri) or "://" in unquote(uri):
            raise Refusal("media_outside_raw", f"{uri!r}: expected a path relative to RAW, not a URL")
        filesystem, root = self._root()
        return filesystem, root, str(pure)


class Records:
    """The records of one file, an iterator.

    Attributes:
        counted: how many records the file holds, counted apart from the parser, once all were read; None where that
            cannot be known.
    """

    def __init__(self, rows: Reader) -> None:
        self.counted: int | None = None
        self._rows = self._all(rows)

    def _all(self, rows: Reader) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
        self.counted = yield from rows

    def __iter__(self) -> "Records":
        return self

    def __next__(self) -> tuple[int, dict[str, Any] | Refusal]:
        return next(self._rows)


@contextmanager
def _refused(uri: str) -> Iterator[None]:
    """Make errors of the system that are a media file's own a `Refusal`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED_ERRORS:
            raise
        raise Refusal(_REFUSED_ERRORS[error.errno], f"{uri:.200}: {os.strerror(error.errno)}") from None


def _changed(path: str) -> RawChangedError:
    return RawChangedError(f"{path} changed while it was read; put files into RAW whole, then run the step again")


def _is_night(name: str) -> bool:
    try:
        return re.fullmatch(r"ds=\d{4}-\d\d-\d\d", name, re.ASCII) is not None and bool(date.fromisoformat(name[3:]))
    except ValueError:
        return False


def _format(path: str) -> str:
    """The format that a file's name ends in, a key of `TEXTS` or one of `PARQUET`; empty where it is not read."""
    name = PurePosixPath(path.lower())
    if name.suffix in PARQUET:
        return name.suffix
    plain = PurePosixPath(name.stem if name.suffix in COMPRESSED else name.name)
    return plain.suffix if plain.suffix in TEXTS else ""


def _names_a_host(uri: str) -> bool:
    try:
        return bool(urlsplit(uri).netloc)
    except ValueError:  # brackets that hold no address
        return True
