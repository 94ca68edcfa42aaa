"""One helper a kind of task: a Spark application, one for each modality, a Python process, a function in the task's own
process; and what all tasks have in common."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from dags.wiring import alerts, assets, store
from jobs.runtime.spark_environment import driver_options, spark_environment

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "nightweave",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "on_failure_callback": alerts.task_failed,
    "on_retry_callback": alerts.task_retries,
}


def profiles() -> list[str]:
    """The names of the configurations under `conf/`."""
    return sorted(path.stem for path in CONF.glob("*.yaml"))


def prepare(context: Mapping[str, Any]) -> None:
    """Runs before every step: credentials of the store, and a file in which the step may leave why it failed."""
    store.bring_credentials()
    alerts.expect_failure(context)


def spark_task(name: str, arguments: Sequence[str], **options: Any) -> SparkSubmitOperator:
    """A step that runs as a Spark application of its own."""
    return SparkSubmitOperator(application_args=["step", name, *arguments], **_spark_options(name) | options)


def mapped_spark_task(name: str, arguments: Sequence[str], **options: Any) -> MappedOperator:
    """A Spark step over the four modalities, one task each; `arguments` are followed by the modality."""
    each = [["step", name, *arguments, "--modality", modality] for modality in assets.MEDIA]
    hooks = {"pre_execute": _before_one_modality, "post_execute": assets.record}
    label = {"map_index_template": "{{ task.application_args[-1] }}"}
    shared = _spark_options(name) | hooks | label | options
    return SparkSubmitOperator.partial(**shared).expand(application_args=each)


def python_task(name: str, command: Sequence[str], **options: Any) -> BashOperator:
    """A command of `nightweave` that runs as a Python process of its own; Airflow fills in the templates in `command`.

    The value of a template must not need quoting: a date, or a value that a parameter's schema has checked.
    """
    words = [sys.executable, "-m", "jobs.cli", *command]
    line = " ".join(word if "{{" in word else shlex.quote(word) for word in words)
    shared: dict[str, Any] = {"pool": "default_pool", "pre_execute": prepare}
    return BashOperator(task_id=name, bash_command=line, **shared | options)


def function_task(
    name: str, function: Callable[..., Any], *, operator: Callable[..., BaseOperator] = PythonOperator, **options: Any
) -> BaseOperator:
    """A function that is called with Airflow's context in the task's own process: short work that imports little.

    Args:
        operator: what its answer means: nothing, whether what follows runs, or whether to look again later.
    """
    return operator(task_id=name, python_callable=function, pool="default_pool", **options)


def _spark_options(name: str) -> dict[str, Any]:
    return {
        "task_id": name,
        "application": str(ROOT / "jobs" / "cli.py"),
        "conn_id": "spark_default",
        "name": f"nightweave-{name}",
        "env_vars": spark_environment(),
        "conf": {"spark.driver.extraJavaOptions": driver_options(), "spark.log.level": "ERROR"},
        "pool": "spark",
        "pre_execute": prepare,
    }


def _before_one_modality(context: Mapping[str, Any]) -> None:
    prepare(context)
    assets.only_own_store(context)
