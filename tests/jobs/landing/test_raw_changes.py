"""A raw file that changes while it is read is neither the old one nor the new one: nothing may come of it."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.extract import extract_modality
from jobs.landing import confinement
from jobs.landing.raw import Raw, RawChangedError, Refusal
from lake.rows import Engine
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


def restless(path: Path, changes: Iterator[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a file written over with each of `changes` in turn, each time once it was read."""

    @contextmanager
    def opened(*arguments: Any, **options: Any) -> Iterator[confinement.Opened]:
        with confinement.opened(*arguments, **options) as (file, stamp):
            before = [stamp()]

            def as_of_now() -> confinement.Stamp:
                if before:
                    return before.pop()
                for data in itertools.islice(changes, 1):
                    overwrite(path, data)
                return stamp()

            yield confinement.Opened(file, as_of_now)

    monkeypatch.setattr("jobs.landing.raw.opened", opened)


def test_a_file_that_changes_once_is_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picture").write_bytes(b"old")
    restless(tmp_path / "picture", iter([b"new"]), monkeypatch)
    assert Raw(str(tmp_path)).media("picture", max_bytes=10) == hashlib.sha256(b"new").hexdigest()


def test_a_file_that_never_rests_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picture").write_bytes(b"x")
    restless(tmp_path / "picture", itertools.repeat(b"y"), monkeypatch)
    with pytest.raises(Refusal, match="media_changed"):
        Raw(str(tmp_path)).media("picture", max_bytes=10)


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b"):
        (tmp_path / name).write_text(f'{{"item_id": "{name}"}}\n' * 2)
    records = Raw(str(tmp_path)).records("a.jsonl")
    found = [next(records)[1]]
    (tmp_path / "b").replace(tmp_path / "a.jsonl")
    assert found + [record for _, record in records] == [{"item_id": "a.jsonl"}] * 2


FOLDERS = ("items/ds=2026-11-01", "vectors/image/ds=2026-11-01", "media/deep")
SECRET = b'{"item_id": "secret"}\n'


def read(raw: Raw, path: str) -> str:
    """What is read of a file, as text, or the reason why it is refused."""
    if path.startswith("media"):
        try:
            with raw.local(path, key=hashlib.sha256(SECRET).hexdigest(), max_bytes=100) as copy:
                return copy.read_text()
        except Refusal as refusal:
            return refusal.reason.removeprefix("media_")
    ((_, record),) = raw.records(path)
    return record.reason if isinstance(record, Refusal) else json.dumps(record)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("exchanged", ["a.jsonl", "."], ids=["the file", "its folder"])
@pytest.mark.parametrize("moment", ["before it is opened", "after its links are resolved"])
def test_a_link_that_is_exchanged_at_any_moment_leads_nowhere(
    folder: str, exchanged: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, or the folder that it lies in, becomes a link out of RAW, to the same bytes or to others."""
    raw, outside = Raw(str(tmp_path / "raw")), tmp_path / "outside"
    place = tmp_path / "raw" / folder
    for here in (place, outside):
        here.mkdir(parents=True)
        (here / "a.jsonl").write_bytes(SECRET)
    kind, night = folder.rpartition("/")[0], "2026-11-01"
    assert folder.startswith("media") or raw.files(kind, night) == [f"{folder}/a.jsonl"]
    assert "secret" in read(raw, f"{folder}/a.jsonl")
    resolve = os.path.realpath

    def exchange() -> None:
        (place / exchanged).rename(tmp_path / "away")
        (place / exchanged).symlink_to(outside / exchanged)

    def resolved(path: str | Path, **options: bool) -> str:
        found = resolve(path, **options)
        if str(path).endswith("a.jsonl") and not (tmp_path / "away").exists():
            exchange()
        return found

    if moment == "before it is opened":
        exchange()
    else:
        monkeypatch.setattr(os.path, "realpath", resolved)
    assert read(raw, f"{folder}/a.jsonl") == "outside_raw"
    assert (tmp_path / "away").exists()


def test_a_folder_that_becomes_a_link_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, night = Raw(str(tmp_path / "raw")), tmp_path / "raw" / "items" / "ds=2026-11-01"
    (night / "deep").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jsonl").write_bytes(SECRET)
    resolve = os.path.realpath

    def resolved(path: str | Path, **options: bool) -> str:
        found = resolve(path, **options)
        if str(path).endswith("deep"):
            (night / "deep").rmdir()
            (night / "deep").symlink_to(tmp_path / "outside")
        return found

    monkeypatch.setattr(os.path, "realpath", resolved)
    ((path, refusal),) = raw.unread("items", "2026-11-01")
    assert (path, refusal.reason) == ("items/ds=2026-11-01/deep", "outside_raw")


def test_a_link_that_never_rests_is_never_followed_out(tmp_path: Path) -> None:
    """A thread exchanges a file and a link as fast as it can, while records and media are read again and again."""
    raw, place, over = Raw(str(tmp_path / "raw")), tmp_path / "raw" / "a.jsonl", threading.Event()
    place.parent.mkdir()
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "good").write_text('{"item_id": "good"}\n')

    def exchange() -> None:
        for turn in itertools.count():
            if over.is_set():
                return
            new = tmp_path / f"new {turn}"
            new.symlink_to(tmp_path / "secret") if turn % 2 else new.write_bytes((tmp_path / "good").read_bytes())
            new.replace(place)

    place.write_bytes((tmp_path / "good").read_bytes())
    meddler = threading.Thread(target=exchange)
    meddler.start()
    try:
        found = Counter(json.dumps(str(record)) for _ in range(500) for _, record in raw.records("a.jsonl"))
        for _ in range(500):
            try:
                found[raw.media("a.jsonl", max_bytes=100)] += 1
            except Refusal as refusal:
                found[refusal.reason] += 1
    finally:
        over.set()
        meddler.join()
    assert not [text for text in found if "'secret'" in text or text == hashlib.sha256(SECRET).hexdigest()]
    assert sum(found.values()) == 1000 and len(found) > 1


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
def test_what_changes_while_it_is_decoded_is_decoded_as_it_was(engine: Engine, tmp_path: Path) -> None:
    changes = tmp_path / "raw" / "media" / "rests"
    night = bring([b"rests"], tmp_path, configured("Restless", {"changes": str(changes)}))
    extract_modality(lambda *_: engine, night, "audio")
    assert changes.read_bytes() == b"not the same"
    assert night.lake.read(FeaturesAudio)["vector"].to_pylist() == [[5, 1]]
