"""Files within RAW and nothing else: what a path leads to is checked on the file that is open, not before."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.fs as pafs

from jobs.landing.refusal import Refusal

HIDDEN = (".", "_")
"""Names that begin so are not data: what writers have not committed, checkpoints, checksums. Spark, Hive and Arrow
leave them out too."""


@contextmanager
def opened(
    filesystem: pafs.FileSystem, root: str, path: str, *, reason: str = "outside_raw"
) -> Iterator[pa.NativeFile]:
    """Open a file under `root` for reading.

    A symbolic link is followed if it leads to a file under `root`. On a local file system that is decided by the file
    that was opened, so that no exchange of a link between a check and the reading leads out.

    Args:
        reason: that of a refusal.

    Raises:
        Refusal: a link leads out of `root`, or it is no regular file.
        OSError: it cannot be opened.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        with filesystem.open_input_file(f"{root}/{path}") as file:
            yield file
        return
    # Without O_NONBLOCK, opening a named pipe waits for a writer.
    descriptor = os.open(f"{root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        this = f"/proc/self/fd/{descriptor}"
        if not _under(os.readlink(this), root):
            raise Refusal(reason, "a link that leads out of RAW", rows=0)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refusal(reason, "it is no regular file", rows=0)
        with filesystem.open_input_file(this) as file:
            yield file
    finally:
        os.close(descriptor)


def files_under(filesystem: pafs.FileSystem, root: str, folder: str) -> tuple[list[str], list[str]]:
    """Return the files in a folder at any depth, and the links in it that lead out of `root` or nowhere.

    Hidden names are left out at any depth. A link to a folder under `root` is followed once.

    Args:
        folder: relative to `root`, as are the paths returned; both lists are sorted.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        selector = pafs.FileSelector(f"{root}/{folder}", recursive=True, allow_not_found=True)
        paths = (info.path[len(root) + 1 :] for info in filesystem.get_file_info(selector) if info.is_file)
        return sorted(path for path in paths if not _hidden(path[len(folder) + 1 :])), []
    files: list[str] = []
    outside: list[str] = []
    waiting, seen = [folder], set[str]()
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(f"{root}/{here}")
        if not _under(real, root):
            outside.append(here)
        elif os.path.isdir(real) and real not in seen:
            seen.add(real)
            names = [name for name in os.listdir(real) if not name.startswith(HIDDEN)]
            waiting += [f"{here}/{name}" for name in names]
        elif os.path.lexists(f"{root}/{here}") and not os.path.isdir(real):
            (files if os.path.exists(real) else outside).append(here)
    return sorted(files), sorted(outside)


def _hidden(path: str) -> bool:
    return any(part.startswith(HIDDEN) for part in path.split("/"))


def _under(real: str, root: str) -> bool:
    return real.startswith(os.path.realpath(root) + os.sep)
