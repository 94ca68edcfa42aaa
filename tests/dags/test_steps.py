"""A task that may need Spark: a process does little work, and leaves the rest to spark-submit."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk.exceptions import AirflowException

from dags.wiring import alerts
from dags.wiring.steps import spark_task
from jobs.runtime.spark_environment import LATER, NOT_YET

Run = Callable[[int], list[str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Executes a task whose process ends with an exit code; returns what was started, in order."""
    started: list[str] = []

    def run_command(_: SubprocessHook, command: list[str], env: Mapping[str, str]) -> Any:
        assert env[NOT_YET] and env["JAVA_HOME"]
        started.append(" ".join(command[1:]))
        return SimpleNamespace(exit_code=code)

    def submit(_: SparkSubmitOperator, context: Any) -> None:
        started.append("spark-submit")

    def executed(ends_with: int) -> list[str]:
        nonlocal code
        code = ends_with
        context = {"ti": SimpleNamespace(xcom_push=lambda *_: None)}
        spark_task("clean", ["--date=2026-11-07"]).execute(context)
        return started

    code = 0
    monkeypatch.setattr(SubprocessHook, "run_command", run_command)
    monkeypatch.setattr(SparkSubmitOperator, "execute", submit)
    return executed


def test_little_work_needs_no_spark(run: Run) -> None:
    assert run(0) == ["-m jobs.cli step clean --date=2026-11-07"]


def test_much_work_is_submitted(run: Run) -> None:
    assert run(LATER) == ["-m jobs.cli step clean --date=2026-11-07", "spark-submit"]


def test_a_process_that_fails_fails_the_task_in_the_words_of_a_process(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "left", lambda _: None)
    monkeypatch.setattr(alerts, "_file", lambda _: None)
    with pytest.raises(AirflowException, match="ended by SIGKILL"):
        run(-9)
