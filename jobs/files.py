"""Files that appear whole."""

import uuid

import pyarrow.fs as pafs


def write_whole(filesystem: pafs.FileSystem, path: str, data: bytes) -> None:
    """Put a file down beside its place, then move it there: a reader sees the old one or the new one."""
    beside = f"{path}.{uuid.uuid4().hex}.partial"
    with filesystem.open_output_stream(beside) as out:
        out.write(data)
    filesystem.move(beside, path)
