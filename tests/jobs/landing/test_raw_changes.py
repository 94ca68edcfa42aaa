"""A raw file that changes while it is read is neither the old one nor the new one: nothing may come of it."""

import hashlib
import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.extract import extract_modality
from jobs.landing.raw import Raw, RawChangedError, Refusal
from schemas.features import FeaturesAudio
from schemas.tables import Quarantine
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
    path, whole, changes = tmp_path / "picture", hashlib.file_digest, iter([b"new"])
    path.write_bytes(b"old")

    def slow(stream, name):
        digest = whole(stream, name)
        for data in changes:
            overwrite(path, data)
        return digest

    monkeypatch.setattr(hashlib, "file_digest", slow)
    assert Raw(str(tmp_path)).media("picture", max_bytes=10) == hashlib.sha256(b"new").hexdigest()


def test_a_file_that_never_rests_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = tmp_path / "picture", hashlib.file_digest
    path.write_bytes(b"x")

    def slow(stream, name):
        digest = whole(stream, name)
        overwrite(path, b"y")
        return digest

    monkeypatch.setattr(hashlib, "file_digest", slow)
    with pytest.raises(Refusal, match="media_changed"):
        Raw(str(tmp_path)).media("picture", max_bytes=10)


@pytest.mark.night
def test_what_changes_while_it_is_decoded_never_stands_under_the_old_key(spark: SparkSession, tmp_path: Path) -> None:
    night = bring([b"rests", b"restless"], tmp_path, configured("Restless", max_refused_share=0.5))
    extract_modality(lambda: spark, night, "audio")
    assert night.lake.read(FeaturesAudio)["vector"].to_pylist() == [[5, 1]]
    (refused,) = night.lake.read(Quarantine).to_pylist()
    assert (refused["source"], refused["reason"]) == ("media/restless", "media_changed")
