"""Small files beside the tables."""

from pathlib import Path

from lake import files
from lake.lake import Lake


def test_what_is_written_is_read(lake: Lake) -> None:
    assert files.read_json(lake, "a/b/c.json") is None
    assert files.names(lake, "a/b") == []
    files.write_json(lake, "a/b/c.json", {"x": [1.5, None]})
    files.write_json(lake, "a/b/a.json", 1)
    files.write_json(lake, "a/b/a.json", 2)
    assert files.read_json(lake, "a/b/c.json") == {"x": [1.5, None]}
    assert files.read_json(lake, "a/b/a.json") == 2
    assert files.names(lake, "a/b") == ["a.json", "c.json"]


def test_a_path_on_this_machine(lake: Lake) -> None:
    path = files.local(lake, "a/b")
    assert path == Path(lake.uri.removeprefix("file://")) / "a/b"
