"""What tasks note of their slices, and attempts that go on after a killed one."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import extract
from jobs.extract import Task
from jobs.extraction.backlog import CONTENT
from jobs.extraction.encoding import Encoding
from jobs.extraction.parts import Part, Parts
from lake.lake import Lake
from lake.scratch import Scratch
from tests.jobs.sounds import bring, configured

SOUNDS = [b"one", b"three", b"refuse", b"seventeen"]


def test_parts_of_a_slice_follow_one_another(tmp_path: Path) -> None:
    """Of slice 0 two attempts ran at once: 0-4-9 and 0-4-7-11 overlap, and nothing leads to 30-40."""
    parts = Parts(Lake(str(tmp_path)), "scratch/one/parts")
    assert parts.finished() == {}
    noted = [Part(0, 0, 4, 1), Part(0, 4, 9, 0), Part(0, 4, 7, 0), Part(0, 7, 11, 2), Part(0, 30, 40, 0)]
    late = [Part(1, 5, 6, 0)]
    for part in noted + late:
        parts.note(part, [{"table": "t", "path": f"{part.end}", "size": 1, "rows": 2}])
    assert parts.finished() == {0: [noted[0], noted[2], noted[3]], 1: []}
    assert parts.files(noted[2]) == [{"table": "t", "path": "7", "size": 1, "rows": 2}]


def test_an_attempt_begins_where_the_one_before_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = bring(SOUNDS, tmp_path, configured("Moody", max_refused_share=0.5))
    (choice,) = night.config.extract.encoders["audio"]
    encoding = Encoding(night.raw, "audio", choice, night.config.extract, 1 << 20)
    slices, parts = Scratch(f"{night.lake.uri}/scratch/slices"), Parts(night.lake, "scratch/slices/parts")
    contents = [(hashlib.sha256(sound).hexdigest(), f"media/{sound.decode()}", True) for sound in SOUNDS]
    rows = [dict(zip(CONTENT.names, content, strict=True)) for content in contents]
    slices.write(3, pa.Table.from_pylist(rows, schema=CONTENT))
    task = Task(night, encoding, slices, parts, "moody-1", "extract_audio")

    monkeypatch.setattr(extract, "PART_S", 0.0)  # a part a content
    attempt = task._extract(3)
    killed_after = [next(attempt), next(attempt)]
    attempt.close()
    assert [(part.start, part.end) for part in parts.finished()[3]] == [(0, 1), (1, 2)]

    again = list(task._extract(3))
    assert again[:2] == killed_after
    assert [(file["table"], file["rows"]) for file in again] == [
        ("features_audio", 1),
        ("features_audio", 1),
        ("quarantine", 1),
        ("features_audio", 1),
    ]
    assert parts.finished()[3] == [Part(3, 0, 1, 0), Part(3, 1, 2, 0), Part(3, 2, 3, 1), Part(3, 3, 4, 0)]
    root = Path(night.lake.uri) / "features_audio"
    found = [pq.read_table(root / file["path"])["vector"].to_pylist() for file in again if "features" in file["table"]]
    assert found == [[[3, 1]], [[5, 1]], [[9, 1]]]
