"""A raw file that changes while it is read is neither the old one nor the new one: nothing may come of it."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.extract import extract_modality
from jobs.landing import confinement
from jobs.landing.raw import Raw, RawChangedError, Refusal
from schemas.features import FeaturesAudio
from tests.jobs.sounds import bring, configured


def overwrite(path: Path, data: bytes) -> None:
    """Write over a file, and see that its time of change differs however coarse the clock."""
    before = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(before + 1, before + 1))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_records_that_change_while_they_are_read(tmp_path: Path, kind: str) -> None:
    line = b'{"item_id": "a"}\n' if kind == "jsonl" else b"a,b\n"
    path = tmp_path / f"items.{kind}"
    path.write_bytes(line * 3)
    records = Raw(str(tmp_path)).records(path.name)
    next(records)
    overwrite(path, line * 2)
    with pytest.raises(RawChangedError, match=path.name):
        list(records)
    assert len(list(Raw(str(tmp_path)).records(path.name))) in (1, 2)


def test_a_file_that_changes_once_is_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole, changes = tmp_path / "picture", Raw._digest, iter([b"new"])
    path.write_bytes(b"old")

    def slow(raw: Raw, uri: str, *, max_bytes: int) -> str:
        digest = whole(raw, uri, max_bytes=max_bytes)
        for data in changes:
            overwrite(path, data)
        return digest

    monkeypatch.setattr(Raw, "_digest", slow)
    assert Raw(str(tmp_path)).media("picture", max_bytes=10) == hashlib.sha256(b"new").hexdigest()


def test_a_file_that_never_rests_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = tmp_path / "picture", Raw._digest
    path.write_bytes(b"x")

    def slow(raw: Raw, uri: str, *, max_bytes: int) -> str:
        digest = whole(raw, uri, max_bytes=max_bytes)
        overwrite(path, b"y")
        return digest

    monkeypatch.setattr(Raw, "_digest", slow)
    with pytest.raises(Refusal, match="media_changed"):
        Raw(str(tmp_path)).media("picture", max_bytes=10)


KEY = hashlib.sha256(b"cleaned").hexdigest()


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Raw:
    """RAW with one picture, and beside it a folder for temporary files and a secret that equals the picture."""
    for folder in ("raw", "temporary"):
        (tmp_path / folder).mkdir()
    (tmp_path / "raw" / "a.png").write_bytes(b"cleaned")
    (tmp_path / "secret").write_bytes(b"cleaned")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return Raw(str(tmp_path / "raw"))


def test_a_decoder_is_given_a_copy_that_no_change_in_raw_reaches(raw: Raw, tmp_path: Path) -> None:
    with raw.local("a.png", key=KEY, max_bytes=10) as path:
        (tmp_path / "raw" / "a.png").write_bytes(b"other")
        assert path.suffix == ".png" and path.read_bytes() == b"cleaned"
        assert subprocess.run(["cat", path], capture_output=True, check=True, cwd="/").stdout == b"cleaned"
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize("moment", ["get_file_info", "opened"])
def test_a_link_that_is_exchanged_after_the_check_leads_nowhere(
    raw: Raw, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the file is opened the exchange is seen; after that it changes nothing."""

    def exchange() -> None:
        (tmp_path / "raw" / "a.png").unlink()
        (tmp_path / "raw" / "a.png").symlink_to(tmp_path / "secret")

    @contextmanager
    def opened(*arguments: Any, **options: Any) -> Iterator[pa.NativeFile]:
        if moment == "get_file_info":
            exchange()
        with confinement.opened(*arguments, **options) as file:
            if moment == "opened":
                exchange()
            yield file

    (tmp_path / "secret").write_bytes(b"CLEANED" if moment == "opened" else b"cleaned")
    monkeypatch.setattr("jobs.landing.raw.opened", opened)
    if moment == "opened":
        with raw.local("a.png", key=KEY, max_bytes=10) as path:
            assert path.read_bytes() == b"cleaned"
    else:
        with pytest.raises(Refusal, match="media_outside_raw"), raw.local("a.png", key=KEY, max_bytes=10):
            pytest.fail("something out of RAW would be decoded")
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"another", "media_changed"), (b"", "media_size"), (b"more than ten", "media_size"), (None, "media_missing")],
)
def test_what_was_replaced_after_it_was_cleaned_is_not_decoded(
    raw: Raw, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    (tmp_path / "raw" / "a.png").unlink()
    if content is not None:
        (tmp_path / "raw" / "a.png").write_bytes(content)
    with pytest.raises(Refusal, match=reason), raw.local("a.png", key=KEY, max_bytes=10):
        pytest.fail("it would be decoded")


def test_a_kill_leaves_no_content_behind(raw: Raw, tmp_path: Path) -> None:
    program = f"""
import os, signal
from jobs.landing.raw import Raw
with Raw({raw.uri!r}).local("a.png", key={KEY!r}, max_bytes=10):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    subprocess.run([sys.executable, "-c", program], env=environment)
    (left,) = (tmp_path / "temporary").iterdir()
    assert left.is_symlink() and not left.exists()


@pytest.mark.night
def test_what_changes_while_it_is_decoded_is_decoded_as_it_was(spark: SparkSession, tmp_path: Path) -> None:
    changes = tmp_path / "raw" / "media" / "rests"
    night = bring([b"rests"], tmp_path, configured("Restless", {"changes": str(changes)}))
    extract_modality(lambda: spark, night, "audio")
    assert changes.read_bytes() == b"not the same"
    assert night.lake.read(FeaturesAudio)["vector"].to_pylist() == [[5, 1]]
