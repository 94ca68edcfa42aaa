"""A night that skips publishing: what follows the evaluation is skipped, and the evaluation announces no table."""

from types import SimpleNamespace

import pytest

from dags.wiring import publishing
from jobs.runtime.failure import VARIABLE


@pytest.mark.parametrize(("skip", "outlets"), [(True, []), (False, ["metrics", "models"])])
def test_an_evaluation_announces_tables_only_if_it_writes_them(
    skip: bool, outlets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "replaced")  # the hook sets it; it is taken back after the test
    task = SimpleNamespace(outlets=["metrics", "models"])
    publishing.before_evaluation({"task": task, "params": {"skip_publishing": skip}, "ti": SimpleNamespace(id="one")})
    assert task.outlets == outlets


@pytest.mark.parametrize("skip", [True, False])
def test_what_follows_runs_unless_publishing_is_skipped(skip: bool) -> None:
    assert publishing.wanted(params={"skip_publishing": skip}, ds="2026-11-01") is not skip
