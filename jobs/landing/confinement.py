"""Files within RAW and nothing else. On a local file system links are resolved first, then the path that comes of it is
walked from RAW's own descriptor, folder by folder, following no link: what is exchanged meanwhile cannot lead out."""

import errno
import heapq
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs

from jobs.landing.refusal import Refusal

HIDDEN = (".", "_")
"""Names that begin so are not data: what writers have not committed, checkpoints, checksums. Spark, Hive and Arrow
leave them out too."""

Stamp = tuple[int | None, int | None]


class Opened(NamedTuple):
    """A file that is open, and a function that returns its size and its time of change in nanoseconds as of now."""

    file: pa.NativeFile
    stamp: Callable[[], Stamp]


@contextmanager
def opened(
    filesystem: pafs.FileSystem, root: str, path: str, *, outside: str = "outside_raw", no_file: str = "no_file"
) -> Iterator[Opened]:
    """Open a file under `root` for reading.

    A symbolic link is followed if it leads to a file under `root`.

    Args:
        outside: reason of the refusal of what leads out of `root`, or in a circle.
        no_file: reason of the refusal of what is no regular file, such as a folder or a pipe.

    Raises:
        Refusal: it is one of these.
        OSError: it cannot be opened.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        place = f"{root}/{path}"
        if (found := filesystem.get_file_info(place).type) == pafs.FileType.NotFound:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place)
        if found != pafs.FileType.File:
            raise Refusal(no_file, f"{path}: it is a folder", rows=0)
        with filesystem.open_input_file(place) as file:
            yield Opened(file, lambda: _stamp(filesystem.get_file_info(place)))
        return
    with _walked(root, path, outside=outside) as descriptor:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refusal(no_file, f"{path}: it is no regular file", rows=0)
        with filesystem.open_input_file(_by(descriptor)) as file:
            yield Opened(file, lambda: _local_stamp(descriptor))


def files_under(filesystem: pafs.FileSystem, root: str, folder: str) -> tuple[list[str], list[tuple[str, Refusal]]]:
    """Return the files in a folder at any depth, and what in it is not read, each with the reason: links that are not
    followed, folders that may not be listed, and names that are not UTF-8, whose other bytes stand as `\\xNN`.

    Hidden names are left out at any depth. Each folder is listed once: a link to a folder is followed where nothing
    else leads there, of several links the first by its path.

    Args:
        folder: relative to `root`, as are the paths returned; both lists are sorted by them.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        selector = pafs.FileSelector(f"{root}/{folder}", recursive=True, allow_not_found=True)
        paths = (info.path[len(root) + 1 :] for info in filesystem.get_file_info(selector) if info.is_file)
        return sorted(path for path in paths if not _hidden(path[len(folder) + 1 :])), []
    files: list[str] = []
    refused: list[tuple[str, Refusal]] = []
    waiting, seen = [(False, folder)], set[tuple[int, int]]()
    while waiting:  # links after all else
        _, here = heapq.heappop(waiting)
        if (name := _readable(here)) != here:
            refused.append((name, Refusal("unreadable_name", "a name that is not UTF-8", rows=None)))
            continue
        try:
            with _walked(root, here) as descriptor:
                info = os.fstat(descriptor)
                if not stat.S_ISDIR(info.st_mode):
                    files.append(here)
                elif (info.st_dev, info.st_ino) in seen:
                    again = Refusal("link_again", "a link to a folder that is read by another path already", rows=0)
                    refused.append((here, again))
                else:
                    seen.add((info.st_dev, info.st_ino))
                    for entry in _entries(descriptor):
                        heapq.heappush(waiting, (entry.is_symlink(), f"{here}/{entry.name}"))
        except Refusal as refusal:
            refused.append((here, refusal))
        except PermissionError:
            refused.append((here, Refusal("unreadable_folder", "it may not be listed", rows=None)))
        except (FileNotFoundError, NotADirectoryError):
            if os.path.lexists(f"{root}/{here}"):
                refused.append((here, Refusal("outside_raw", "a link that leads nowhere", rows=0)))
    return sorted(files), sorted(refused, key=lambda found: found[0])


def names_in(filesystem: pafs.FileSystem, root: str, folder: str) -> list[tuple[str, bool]]:
    """Return each name in a folder that is not hidden, and whether it is, or links to, a folder; none where the folder
    is not there or leads out of `root`.

    Raises:
        PermissionError: the folder may not be listed.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{folder}", allow_not_found=True))
        names = ((info.base_name, info.type == pafs.FileType.Directory) for info in found)
        return sorted((name, is_folder) for name, is_folder in names if not _hidden(name))
    try:
        with _walked(root, folder) as descriptor:
            return sorted((_readable(entry.name), os.path.isdir(entry.path)) for entry in _entries(descriptor))
    except (FileNotFoundError, NotADirectoryError, Refusal):
        return []


@contextmanager
def _walked(root: str, path: str, *, outside: str = "outside_raw") -> Iterator[int]:
    """A descriptor of what a path under `root` leads to: one that names it, and opens nothing (`O_PATH`).

    Raises:
        Refusal: it leads out of `root`, in a circle, or to what was exchanged for a link meanwhile.
        OSError: nothing is there, or it may not be looked at.
    """
    exchanged = Refusal(outside, f"{path}: a link that leads in a circle, or is being exchanged", rows=0)
    try:
        top, real = os.path.realpath(root), os.path.realpath(f"{root}/{path}")
    except OSError as error:
        if error.errno == errno.EINVAL:  # no longer a link once it was to be resolved
            raise exchanged from None
        raise
    if not real.startswith(f"{top}{os.sep}"):
        raise Refusal(outside, f"{path}: a link that leads out of RAW", rows=0)
    here = os.open(top, os.O_PATH | os.O_CLOEXEC)
    try:
        for name in real[len(top) + 1 :].split(os.sep):
            below = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
            if stat.S_ISLNK(os.fstat(here).st_mode):
                raise exchanged
        yield here
    finally:
        os.close(here)


def _by(descriptor: int) -> str:
    """A path by which what a descriptor names can be opened, whatever has become of its name."""
    return f"/proc/self/fd/{descriptor}"


def _entries(descriptor: int) -> list[os.DirEntry[str]]:
    with os.scandir(_by(descriptor)) as entries:
        return [entry for entry in entries if not _hidden(entry.name)]


def _readable(name: str) -> str:
    """A name with `\\xNN` for each byte that is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _local_stamp(descriptor: int) -> Stamp:
    info = os.fstat(descriptor)
    return info.st_size, info.st_mtime_ns


def _stamp(info: pafs.FileInfo) -> Stamp:
    return info.size, info.mtime_ns


def _hidden(path: str) -> bool:
    return any(part.startswith(HIDDEN) for part in path.split("/"))
