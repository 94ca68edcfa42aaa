"""A session that starts when it is asked for."""

from collections.abc import Iterator
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


def test_it_never_starts_where_nobody_asks(seen: list[str]) -> None:
    with spark_session.session_when_asked("step", {"a": "b"}):
        assert not seen
    assert not seen


def test_it_starts_once_and_ends_with_the_step(seen: list[str]) -> None:
    with spark_session.session_when_asked("step", {"a": "b"}) as spark:
        assert spark() == spark() == "session 1"
        assert seen == ["step starts with {'a': 'b'}"]
    assert seen[1:] == ["step ends"]
