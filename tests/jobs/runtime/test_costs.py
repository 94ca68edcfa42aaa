"""What a step costs is measured with all that it starts, and written whatever becomes of it."""

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.landing.raw import Raw
from jobs.runtime import costs
from jobs.runtime.costs import Cost, Meter, accounted, keep
from jobs.runtime.night import Night, NightError
from jobs.runtime.spark_environment import LATER
from lake import staging
from lake.errors import LakeError
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Costs, Items

DATE = date(2026, 11, 1)
MIB = 1 << 20
COST = Cost("train", None, "done", None, datetime(2026, 11, 2, tzinfo=UTC), 2.0, 1.5, MIB, 10, 20, None)
STEP = """
import subprocess, sys, time
from pathlib import Path
from jobs.runtime.costs import accounted
from tests.jobs.runtime.test_costs import a_night, burn

place = Path(sys.argv[1])
with accounted(a_night(place / "lake"), "extract", "image"):
    burn(0.4)
    subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.4: pass"], check=True)
    block = bytearray(256 << 20)
    block[::4096] = b"x" * len(block[::4096])
    (place / "file").write_bytes(bytes(8 << 20))
    (place / "file").read_bytes()
"""


def a_night(place: Path | str) -> Night:
    return Night(DATE, Raw(str(place)), staging.as_of(Lake(str(place)), DATE), Config())


def burn(seconds: float) -> None:
    """Use so much processor time."""
    from time import process_time

    until = process_time() + seconds
    while process_time() < until:
        pass


def rows(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["step"]: row for row in lake.read(Costs).to_pylist()}


@pytest.fixture
def night(lake: Lake) -> Night:
    """In a lake that is there."""
    lake.current(Items)
    return a_night(lake.uri)


def test_a_process_and_its_children_are_counted_from_its_first_moment(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    subprocess.run([sys.executable, "-c", STEP, str(tmp_path)], check=True)
    whole = (datetime.now(UTC) - before).total_seconds()
    (row,) = rows(Lake(str(tmp_path / "lake"))).values()
    assert (row["date"], row["step"], row["modality"]) == (DATE, "extract_image", "image")
    assert (row["outcome"], row["spark"]) == ("done", None)
    assert row["cpu_s"] >= 0.8 and 0.8 <= row["wall_s"] <= whole + 0.1
    assert abs((row["began"] - before).total_seconds()) < 0.5, "before its imports"
    assert row["peak_memory_bytes"] >= 256 * MIB
    assert row["bytes_written"] >= 8 * MIB and row["bytes_read"] >= 8 * MIB


def test_what_was_used_by_a_process_that_nobody_waits_for_stays_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [(3.0, 10), (9.0, 50), (4.0, 20)]
    monkeypatch.setattr(costs.psutil, "Process", lambda _: Fake(seen))
    monkeypatch.setattr(costs, "EVERY_S", 60)
    with Meter() as meter:
        for _ in seen[1:]:
            meter._look()
    monkeypatch.setattr(costs, "_age_s", lambda _: 7.0)
    cost = meter.cost("train", None, "done")
    assert (cost.cpu_s, cost.bytes_read, cost.wall_s) == (9.0, 50, 7.0)


class Fake:
    """A process without children, that has used at each look what `seen` says."""

    pid = 1

    def __init__(self, seen: Sequence[tuple[float, int]]) -> None:
        self._seen = list(seen)

    def children(self, *, recursive: bool) -> list[Any]:
        assert recursive
        return []

    def oneshot(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()

    def cpu_times(self) -> Any:
        return SimpleNamespace(user=self._seen[0][0], system=0, children_user=0, children_system=0)

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=1)

    def io_counters(self) -> Any:
        _, count = self._seen.pop(0)
        return SimpleNamespace(read_chars=count, write_chars=0)


def test_a_step_run_again_takes_the_place_of_its_row_and_a_run_that_of_the_run_before(night: Night) -> None:
    for step in ("clean", "train", "evaluate", "reextract_text"):
        keep(night, replace(COST, step=step))
    keep(night, replace(COST, wall_s=5.0))
    found = rows(night.lake)
    assert {step: row["wall_s"] for step, row in found.items()} == {
        "clean": 2.0,
        "train": 5.0,
        "evaluate": 2.0,
        "reextract_text": 2.0,
    }
    keep(night, replace(COST, step="clean", outcome="failed"))
    assert rows(night.lake).keys() == found.keys(), "as the night is: nothing of it was changed"
    keep(night, replace(COST, step="clean", wall_s=6.0))
    assert {step: row["wall_s"] for step, row in rows(night.lake).items()} == {"clean": 6.0, "reextract_text": 2.0}
    keep(replace(night, date=date(2026, 11, 2)), COST)
    assert len(night.lake.read(Costs)) == 3, "other nights keep theirs"


def test_steps_that_end_at_once_all_have_their_rows(night: Night) -> None:
    steps = [f"extract_{modality}" for modality in ("text", "image", "audio", "video")]
    writers = [threading.Thread(target=keep, args=(night, replace(COST, step=step))) for step in steps]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert rows(night.lake).keys() == set(steps)


def test_what_a_night_costs_is_known_before_it_is_published(night: Night) -> None:
    with accounted(night, "verify"):
        pass
    assert not staging.parts(night.lake, str(DATE)), "nothing of it is staged, so that no audit is of it"
    assert rows(Lake(night.lake.uri)).keys() == {"verify"}


def test_a_step_that_fails_has_its_row_and_fails_as_it_would(night: Night) -> None:
    with pytest.raises(NightError, match="not enough"), accounted(night, "train"):
        raise NightError("not enough")
    assert rows(night.lake)["train"]["outcome"] == "failed"


def test_what_leaves_the_step_to_spark_submit_has_no_row(night: Night) -> None:
    with pytest.raises(SystemExit), accounted(night, "clean"):
        sys.exit(LATER)
    assert not rows(night.lake)


def test_where_there_is_no_lake_a_failure_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NightError), accounted(a_night(tmp_path / "typo"), "clean"):
        raise NightError("has not arrived")
    assert not (tmp_path / "typo").exists()


def test_a_row_that_cannot_be_written_fails_no_step(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise LakeError("others were faster")

    monkeypatch.setattr(costs, "keep", fail)
    with accounted(night, "train"):
        done = True
    assert done
    (said,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert said.getMessage() == "what train cost could not be written to `costs`: others were faster"


@pytest.mark.parametrize(
    ("visible", "busy"), [(None, 1.5), ("1", 0.5), ("GPU-a,1", 1.5), ("", None), ("-1", None)], ids=str
)
def test_of_gpus_those_count_that_are_visible(
    visible: str | None, busy: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two, of which the first computes all the time and the second half of it."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml({0: 100, 1: 50}, {"GPU-a": 0}))
    monkeypatch.setattr(costs, "NVIDIA", tmp_path)
    monkeypatch.delenv(costs.VISIBLE, raising=False)
    if visible is not None:
        monkeypatch.setenv(costs.VISIBLE, visible)
    found = costs._gpus()
    assert (found and found()) == busy


def test_gpu_seconds_are_utilisation_times_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at after 2 and after 3 more seconds, half busy: 2.5 s."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml({0: 50}, {}))
    monkeypatch.setattr(costs, "NVIDIA", tmp_path)
    monkeypatch.delenv(costs.VISIBLE, raising=False)
    moments = iter([10.0, 12.0, 15.0])
    monkeypatch.setattr(costs.time, "monotonic", lambda: next(moments))
    meter = Meter()
    meter._look()
    meter._look()
    assert meter._gpu_s == 2.5


def nvml(utilisation: dict[int, int], named: dict[str, int]) -> Any:
    """A driver of GPUs: number → percent busy, and the numbers of those that are named."""
    return SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(utilisation),
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetHandleByUUID=lambda name: named[name],
        nvmlDeviceGetUtilizationRates=lambda number: SimpleNamespace(gpu=utilisation[number]),
    )
