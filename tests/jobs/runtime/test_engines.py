"""Little work is done in the step's process; Spark starts once, when there is more, and ends with the step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.runtime import spark_session
from jobs.runtime.engines import engines
from jobs.runtime.night import Night
from jobs.runtime.spark_environment import LATER, NOT_YET
from lake.lake import Lake
from lake.local import LocalEngine
from lake.spark import SparkEngine
from tests.jobs.nights import a_night


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return a_night("2026-11-07", tmp_path / "raw", Lake(str(tmp_path / "lake")))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of sessions, in order; none is Spark's."""
    told: list[str] = []

    @contextmanager
    def recorded(name: str, settings: Mapping[str, str] | None) -> Iterator[str]:
        told.append(f"{name} starts with {settings}")
        yield f"session {len(told)}"
        told.append(f"{name} ends")

    monkeypatch.setattr(spark_session, "spark_session", recorded)
    return told


def test_little_work_is_done_here(night: Night, seen: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "nightweave.engines"), engines(night, "step") as engine_for:
        assert not seen
        assert isinstance(engine_for("9 things", 9, 10), LocalEngine)
    assert not seen
    assert "step: 9 things in this process, too little for Spark" in caplog.text


def test_spark_starts_once_and_ends_with_the_step(night: Night, seen: list[str]) -> None:
    with engines(night, "step") as engine_for:
        one, other = engine_for("10 things", 10, 10), engine_for("11 things", 11, 10)
        assert one is other and isinstance(one, SparkEngine)
        assert seen == ["nightweave step starts with None"]
    assert seen[1:] == ["nightweave step ends"]


def test_everything_is_under_spark_where_that_is_configured(night: Night, seen: list[str]) -> None:
    always = replace(night, config=night.config.model_copy(update={"spark": "always"}))
    with engines(always, "step") as engine_for:
        assert isinstance(engine_for("nothing", 0, 10), SparkEngine)


def test_what_only_executors_have_is_asked_of_them(night: Night, seen: list[str]) -> None:
    with engines(night, "step", {"spark.task.resource.gpu.amount": "1"}) as engine_for:
        assert isinstance(engine_for("nothing", 0, 10), SparkEngine)
    assert "gpu" in seen[0]


def test_a_step_that_is_to_leave_spark_to_spark_submit_ends(
    night: Night, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOT_YET, "1")
    with engines(night, "step") as engine_for:
        assert isinstance(engine_for("little", 1, 10), LocalEngine)
        with pytest.raises(SystemExit) as ended:
            engine_for("much", 10, 10)
    assert ended.value.code == LATER and not seen
