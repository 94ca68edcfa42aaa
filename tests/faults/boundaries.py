"""The boundaries of a process's writes to a lake: before each file, folder, name and commit that changes, and in the
middle of each file and commit. At one of them the process can be made to end.

Nothing of the lake's code knows of them. `lake.storage.filesystem`, through which Arrow writes, is replaced by one in
Python that does the same; Python's own auditing then tells of every change beneath the lake, whoever makes it. Delta's
commits, which Rust makes, are named where they are asked for.
"""

import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NoReturn
from unittest import mock

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.table import TableAlterer

from lake import damage, storage

DRAWN = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
"""What differs from run to run in the names of files."""


class Killed(BaseException):
    """The process ends here; nothing of it writes any more."""


def kill(boundary: str) -> NoReturn:
    """End as a process ends that is killed, within one that goes on."""
    raise Killed(boundary)


@dataclass
class Boundaries:
    """The boundaries that were reached, in words, in their order.

    Attributes:
        lake: the lake's folder.
        at: the number of the boundary, from 1, at which the process ends; None for none.
        end: how it ends, given the boundary.
        dead: whether it has; what still asks to write is then ended again.
        silent: whether nothing is a boundary, as where half of a change is left behind.
    """

    lake: Path
    at: int | None = None
    end: Callable[[str], NoReturn] = kill
    reached: list[str] = field(default_factory=list)
    dead: bool = False
    silent: bool = False

    def reach(self, what: str, path: str | os.PathLike = "", *, torn: Callable[[], object] | None = None) -> None:
        """Reach a boundary.

        Args:
            path: what is about to change, beneath the lake.
            torn: leaves half of the change behind, where the process ends in the middle of it.
        """
        if self.silent:
            return
        if self.dead:
            self.end(self.reached[-1])
        place = DRAWN.sub("*", os.path.relpath(path, self.lake)) if path else ""
        self.reached.append(f"{what} {place}".strip())
        if len(self.reached) == self.at:
            self.silent = True
            if torn:
                torn()
            self.dead, self.silent = True, False
            self.end(self.reached[-1])

    def beneath(self, path: Any, folder: int | None = None) -> str | None:
        """The absolute path, if it lies in the lake; `folder` is that of a relative one, by its descriptor."""
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        found = os.fsdecode(path)
        if folder is not None and folder >= 0 and not os.path.isabs(found):
            found = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), found)
        found = os.path.abspath(found)
        return found if found.startswith(f"{self.lake}/") else None


_watching: list[Boundaries] = []
"""The one that watches, if any: what Python's auditing calls cannot be taken back."""
_audited = False
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir": "folder", "os.rename": "rename", "os.remove": "delete", "os.rmdir": "delete folder"}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    here = _watching[-1]
    if event == "open" and arguments[2] & _WRITES and (path := here.beneath(arguments[0])):
        here.reach("write", path)
    elif event in CHANGES:
        # the last argument of each is a folder's descriptor, of `os.rename` the last two
        folder = arguments[2] if event in ("os.mkdir", "os.rename") else arguments[1]
        if path := here.beneath(arguments[0], folder):
            here.reach(CHANGES[event], path)


class _File(io.RawIOBase):
    """A file that Arrow writes; when it is closed it has been written half, and then whole."""

    def __init__(self, path: str, here: Boundaries) -> None:
        self._file, self._path, self._here = io.FileIO(path, "w"), path, here

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data) if self._here.dead else self._file.write(data)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if not self._here.dead:
            self._here.reach("half of", self._path, torn=self._tear)
        self._file.close()

    def _tear(self) -> None:
        self._file.close()
        os.truncate(self._path, os.path.getsize(self._path) // 2)


class WatchedFileSystem(pafs.LocalFileSystem):
    """Arrow's local file system; what changes files is done in Python."""

    def __init__(self, here: Boundaries) -> None:
        super().__init__()
        self._here = here

    def __reduce__(self) -> Any:
        return pafs.LocalFileSystem, ()

    def create_dir(self, path: str, *, recursive: bool = True) -> None:
        if not os.path.isdir(path):
            os.makedirs(path, exist_ok=True)

    def delete_file(self, path: str) -> None:
        os.remove(path)

    def delete_dir(self, path: str) -> None:
        """The files go one after the other, in an order that the system chooses."""
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        Random(DRAWN.sub("*", path)).shuffle(files)
        for file in files:
            file.unlink()
        shutil.rmtree(path)

    def move(self, source: str, target: str) -> None:
        os.replace(source, target)

    def open_output_stream(self, path: str, *arguments: Any, **named: Any) -> pa.NativeFile:
        return pa.PythonFile(_File(path, self._here), mode="w")


@contextmanager
def watching(lake: Path, *, at: int | None = None, end: Callable[[str], NoReturn] = kill) -> Iterator[Boundaries]:
    """Within it, what this process writes to a lake reaches boundaries, and ends at the one of number `at`."""
    global _audited
    if not _audited:
        sys.addaudithook(_audit)
        _audited = True
    here = Boundaries(lake.resolve(), at, end)
    given = storage.filesystem

    def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
        found, root = given(uri)
        inside = isinstance(found, pafs.LocalFileSystem) and f"{root}/".startswith(f"{here.lake}/")
        return (WatchedFileSystem(here) if inside else found), root

    _watching.append(here)
    try:
        with mock.patch.object(storage, "filesystem", filesystem), _commits_watched(here):
            yield here
    finally:
        _watching.pop()


@contextmanager
def _commits_watched(here: Boundaries) -> Iterator[None]:
    def watched(what: str, commit: Callable[..., Any], table: Callable[..., DeltaTable | str]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            of = table(*arguments)
            uri = of if isinstance(of, str) else of.table_uri
            folder = Path(given(uri)[1])
            here.reach(what, folder)
            here.reach(f"half of {what}", folder, torn=lambda: _torn(folder, lambda: commit(*arguments, **named)))
            return commit(*arguments, **named)

        return run

    given = storage.filesystem
    create = DeltaTable.create
    with (
        mock.patch.object(
            DeltaTable,
            "create_write_transaction",
            watched("commit to", DeltaTable.create_write_transaction, lambda delta, *_: delta),
        ),
        mock.patch.object(DeltaTable, "create", staticmethod(watched("create", create, lambda uri, *_: uri))),
        mock.patch.object(
            TableAlterer, "add_columns", watched("add columns to", TableAlterer.add_columns, lambda a, *_: a.table)
        ),
        mock.patch.object(
            TableAlterer,
            "drop_column_not_null",
            watched("relax columns of", TableAlterer.drop_column_not_null, lambda a, *_: a.table),
        ),
    ):
        yield


def _torn(folder: Path, commit: Callable[[], object]) -> None:
    """Leave of a commit what Delta's client has written when it is killed: half of a file beside the commit's own,
    which it moves there once it is whole."""
    log = folder / damage.LOG
    before = set(log.glob("*.json"))
    commit()
    for made in set(log.glob("*.json")) - before:
        data = made.read_bytes()
        made.unlink()
        made.with_name(f"{made.name}#1").write_bytes(data[: len(data) // 2])
