"""Small files beside the tables, by their path relative to LAKE. A reader sees all of a file or none of it."""

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from lake import storage
from lake.damage import words
from lake.errors import LakeError
from lake.lake import Lake


def write_whole(filesystem: pafs.FileSystem, path: str, data: bytes) -> None:
    """Write a file beside its place, then move it there: a reader sees the old one or the new one."""
    beside = f"{path}.{uuid.uuid4().hex}.partial"
    with filesystem.open_output_stream(beside) as out:
        out.write(data)
    filesystem.move(beside, path)


def read_json(lake: Lake, path: str) -> Any:
    """Return what a JSON file holds, None where there is no such file.

    Raises:
        LakeError: it holds no JSON.
    """
    filesystem, root = storage.filesystem(lake.uri)
    if filesystem.get_file_info(f"{root}/{path}").type != pafs.FileType.File:
        return None
    with filesystem.open_input_stream(f"{root}/{path}") as stream:
        data = stream.read()
    try:
        return json.loads(data)
    except ValueError as error:
        raise LakeError(
            f"{path} is damaged: {words(error)}; move it out of the lake {lake.uri}, and run the night again"
        ) from error


def write_json(lake: Lake, path: str, value: Any) -> None:
    """Write a value as a JSON file, in place of the one that may be there."""
    filesystem, root = storage.filesystem(lake.uri)
    filesystem.create_dir(f"{root}/{path}".rpartition("/")[0], recursive=True)
    write_whole(filesystem, f"{root}/{path}", json.dumps(value, indent=1, sort_keys=True).encode())


def names(lake: Lake, folder: str) -> list[str]:
    """Return the names of the files in a folder, sorted; none where there is no such folder."""
    filesystem, root = storage.filesystem(lake.uri)
    selector = pafs.FileSelector(f"{root}/{folder}", allow_not_found=True)
    return sorted(info.base_name for info in filesystem.get_file_info(selector) if info.type == pafs.FileType.File)


def local(lake: Lake, path: str) -> Path | None:
    """Return the path on this machine, None where the lake is not on a file system of it."""
    filesystem, root = storage.filesystem(lake.uri)
    return Path(f"{root}/{path}") if isinstance(filesystem, pafs.LocalFileSystem) else None
