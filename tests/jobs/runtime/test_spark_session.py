"""A session that starts when it is asked for."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from jobs.runtime import spark_session


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of sessions, in order; none is Spark's."""
    told: list[str] = []

    @contextmanager
    def recorded(name: str, settings: dict[str, str]) -> Iterator[str]:
        told.append(f"{name} starts with {settings}")
        yield f"session {len(told)}"
        told.append(f"{name} ends")

    monkeypatch.setattr(spark_session, "spark_session", recorded)
    return told


@pytest.mark.parametrize("given", [None, "/opt/other/python"])
def test_its_workers_run_the_interpreter_of_the_step_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """Spark asks the environment when the session's context is made; it is stopped there."""
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    if given:
        monkeypatch.setenv("PYSPARK_PYTHON", given)
    seen: list[str | None] = []

    class Stopped(Exception):
        pass

    class Builder:
        def __getattr__(self, _: str) -> Callable[..., "Builder"]:
            return lambda *_, **__: self

        def getOrCreate(self) -> None:
            seen.append(os.environ.get("PYSPARK_PYTHON"))
            raise Stopped

    monkeypatch.setattr(spark_session.SparkSession, "builder", Builder())
    with pytest.raises(Stopped), spark_session.spark_session("step"):
        pass
    assert seen == [given or sys.executable]


def test_it_never_starts_where_nobody_asks(seen: list[str]) -> None:
    with spark_session.session_when_asked("step", {"a": "b"}):
        assert not seen
    assert not seen


def test_it_starts_once_and_ends_with_the_step(seen: list[str]) -> None:
    with spark_session.session_when_asked("step", {"a": "b"}) as spark:
        assert spark() == spark() == "session 1"
        assert seen == ["step starts with {'a': 'b'}"]
    assert seen[1:] == ["step ends"]
