"""Extraction in Spark tasks when encoders, files or workers misbehave."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pytest

from jobs.extract import extract_modality
from jobs.extraction.encoding import Encoding, Refused
from jobs.runtime.night import Night, NightError
from jobs.runtime.spark_environment import spark_environment
from lake.rows import Engine
from schemas.features import FEATURES
from schemas.tables import Quarantine
from tests.jobs.sounds import bring, configured

pytestmark = pytest.mark.night
SOUNDS = [b"one", b"three", b"seventeen"]


def extracted(night: Night) -> list[list[float]]:
    return sorted(night.lake.read(FEATURES["audio"])["vector"].to_pylist())


def test_bad_files_are_refused_with_their_reason_and_the_good_ones_are_kept(engine: Engine, tmp_path: Path) -> None:
    bad = [b"hang", b"crash", b"eat", b"refuse"]
    night = bring([*SOUNDS, *bad], tmp_path, configured("Moody", decode_timeout_s=5, max_refused_share=0.9))
    extract_modality(lambda *_: engine, night, "audio")
    assert extracted(night) == [[3, 1], [5, 1], [9, 1]]
    refused = night.lake.read(Quarantine, where=pc.field("stage") == "extract_audio").to_pylist()
    assert {row["source"].removeprefix("media/"): row["reason"] for row in refused} == {
        "hang": "timeout",
        "crash": "decoder-died",
        "eat": "out-of-memory",
        "refuse": "odd",
    }


def test_what_cannot_be_encoded_costs_no_other_content(engine: Engine, tmp_path: Path) -> None:
    night = bring([*SOUNDS, b"fail"], tmp_path, configured("Choosy", max_refused_share=0.5))
    extract_modality(lambda *_: engine, night, "audio")
    assert extracted(night) == [[3, 1], [5, 1], [9, 1]]
    (refused,) = night.lake.read(Quarantine, where=pc.field("stage") == "extract_audio").to_pylist()
    assert refused["reason"] == "unencodable"
    assert refused["detail"].endswith("ZeroDivisionError: nothing to divide by")


def test_a_killed_worker_costs_nothing(spark_engine: Engine, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    night = bring(SOUNDS, tmp_path, configured("Killed", {"mark": str(mark)}))
    extract_modality(lambda *_: spark_engine, night, "audio")
    assert mark.exists()
    assert extracted(night) == [[3, 1], [5, 1], [9, 1]]


def test_a_file_that_changed_since_it_was_cleaned_is_refused(engine: Engine, tmp_path: Path) -> None:
    night = bring(SOUNDS, tmp_path, configured("Toy", max_refused_share=0.5))
    (tmp_path / "raw" / "media" / "one").write_bytes(b"another")
    extract_modality(lambda *_: engine, night, "audio")
    assert extracted(night) == [[5, 1], [9, 1]]
    (refused,) = night.lake.read(Quarantine).to_pylist()
    assert (refused["source"], refused["reason"]) == ("media/one", "media_changed")


def test_an_error_names_the_file_and_not_the_copy_that_was_decoded(tmp_path: Path) -> None:
    config = configured("Lost")
    night = bring([b"one"], tmp_path, config)
    encode = Encoding(night.raw, "audio", *config.extract.encoders["audio"], config.extract, max_media_bytes=10)
    row = {"content": "media/one", "content_key": hashlib.sha256(b"one").hexdigest()}
    (refused,) = encode([row])
    assert refused == Refused(row, "odd", "media/one is odd, says media/one")


def test_an_encoder_that_fails_on_everything_stops_the_night(engine: Engine, tmp_path: Path) -> None:
    night = bring([b"fail", b"failing"], tmp_path, configured("Choosy"))
    with pytest.raises(NightError, match="law 3"):
        extract_modality(lambda *_: engine, night, "audio")
    assert extracted(night) == []


def test_progress_counts_what_is_done_and_what_is_refused(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    night = bring([*SOUNDS, b"refuse"], tmp_path, configured("Moody", max_refused_share=0.5))
    with caplog.at_level("INFO", "nightweave.extract"):
        extract_modality(lambda *_: engine, night, "audio")
    assert "extract_audio: 4 of 4 done" in caplog.text
    assert "1 refused" in caplog.text


def test_where_nothing_is_lacking_no_engine_is_asked_for(engine: Engine, tmp_path: Path) -> None:
    night = bring(SOUNDS, tmp_path, configured("Toy"))
    extract_modality(lambda *_: engine, night, "audio")
    before = extracted(night)
    extract_modality(lambda *_: pytest.fail("asked for an engine"), night, "audio")
    assert extracted(night) == before
    assert not list((tmp_path / "lake" / "scratch").iterdir())


def test_tasks_work_on_the_gpu_that_spark_gives_them(tmp_path: Path) -> None:
    """A cluster of one worker whose discovery script tells of a GPU 7; the encoder notes what its process sees."""
    script = tmp_path / "gpus.sh"
    script.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["7"]}\'\n')
    script.chmod(0o755)
    gpu = {"amount": "1", "discoveryScript": str(script)}
    settings = {
        f"spark.{who}.resource.gpu.{name}": value for who in ("worker", "executor") for name, value in gpu.items()
    }
    settings |= {"spark.authenticate.secret": "of a cluster of its own"}
    night = bring(SOUNDS, tmp_path, configured("OnGpu"))
    program = f"""
from jobs.runtime.spark_session import spark_session
from jobs.extract import extract_modality
from lake.spark import SparkEngine
from tests.jobs.sounds import configured, there
with spark_session("gpu", {settings | {"spark.task.resource.gpu.amount": "0.5"}!r}) as spark:
    extract_modality(lambda *_: SparkEngine(spark), there({str(tmp_path)!r}, configured("OnGpu")), "audio")
"""
    environment = os.environ | spark_environment() | {"PYTHONPATH": os.getcwd()}
    environment["PYSPARK_SUBMIT_ARGS"] = "--master local-cluster[1,2,1024] pyspark-shell"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert extracted(night) == [[3, 7], [5, 7], [9, 7]]
