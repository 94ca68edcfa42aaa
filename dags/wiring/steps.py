"""How the DAGs start the steps: as Spark applications or as Python processes, and what every task has in common."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator

from dags.wiring import alerts, assets, store
from jobs.runtime.spark_environment import driver_options, spark_environment

ROOT = Path(__file__).resolve().parents[2]
JOBS, CONF = ROOT / "jobs", ROOT / "conf"

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
    """What happens before every step."""
    store.bring_credentials()
    alerts.expect_failure(context)


def spark_step(name: str, **options: object) -> dict[str, Any]:
    """Arguments of a step that runs as a Spark application."""
    return {
        "task_id": name,
        "application": str(JOBS / f"{name}.py"),
        "conn_id": "spark_default",
        "name": f"nightweave-{name}",
        "env_vars": spark_environment(),
        "conf": {"spark.driver.extraJavaOptions": driver_options(), "spark.log.level": "ERROR"},
        "pool": "spark",
        "pre_execute": prepare,
        **options,
    }


def extraction(name: str, arguments: Sequence[str], **options: Any) -> SparkSubmitOperator:
    """A Spark step over the four modalities, one task each; `arguments` are followed by the modality."""
    each = [[*arguments, "--modality", modality] for modality in assets.MODALITIES]
    label = "{{ task.application_args[-1] }}"
    hooks = {"pre_execute": _before_extraction, "post_execute": assets.record}
    step = spark_step(name, map_index_template=label, **hooks, **options)
    return SparkSubmitOperator.partial(**step).expand(application_args=each)


def _before_extraction(context: Mapping[str, Any]) -> None:
    prepare(context)
    assets.only_own_store(context)


def python_step(name: str, module: str, arguments: Sequence[str], **options: Any) -> BashOperator:
    """A step that runs as a Python process of its own; Airflow's templates in `arguments` are filled in.

    What a template stands for must not need quoting: a date, or a value that a parameter's schema has seen to.
    """
    words = [sys.executable, "-m", module, *arguments]
    command = " ".join(word if "{{" in word else shlex.quote(word) for word in words)
    options = {"pre_execute": prepare} | options
    return BashOperator(task_id=name, bash_command=command, **options)
