"""One helper a kind of task: a Spark application, one for each modality, a Python process, a function in the task's own
process; and what all tasks have in common."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, BaseOperator, get_current_context
from airflow.sdk.exceptions import AirflowException

from dags.wiring import alerts, assets, store, tracing
from jobs.runtime.spark_environment import LATER, NOT_YET, driver_options, spark_environment

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
GPU = Path("/dev/nvidiactl")

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
    """Runs before every step: credentials of the store, the collector that is told what it did, and a file in which the
    step may leave why it failed."""
    store.bring_credentials()
    tracing.bring_collector()
    tracing.bring_trace(context)
    alerts.expect_failure(context)
    if not GPU.exists():
        # At each start TensorFlow says at length that there is none; what goes wrong in it later, it raises.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class SparkStep(SparkSubmitOperator):
    """A step that may need Spark: a process of its own does it where there is little to do, else it is a Spark
    application. It fails with the sentence that its process has left."""

    _alone: SubprocessHook | None = None

    def execute(self, context: Any) -> None:
        with alerts.own_words(context):
            if not self._done_without_spark():
                super().execute(context)

    def _done_without_spark(self) -> bool:
        """Whether there was little enough to do.

        Raises:
            AirflowException: the process failed.
        """
        self._alone = SubprocessHook()
        command = [sys.executable, "-m", "jobs.cli", *(self.application_args or ())]
        result = self._alone.run_command(command, env=os.environ | (self.env_vars or {}) | {NOT_YET: "1"})
        if result.exit_code not in (0, LATER):
            raise AirflowException(f"{self.task_id} ended with exit code {result.exit_code}.")
        self._alone = None
        return result.exit_code == 0

    def on_kill(self) -> None:
        if self._alone:
            self._alone.send_sigterm()
        else:
            super().on_kill()


class ProcessStep(BashOperator):
    """A command that fails with the sentence that its process has left."""

    def execute(self, context: Any) -> Any:
        with alerts.own_words(context):
            return super().execute(context)


def spark_task(name: str, arguments: Sequence[str], *, task_id: str | None = None, **options: Any) -> SparkStep:
    """A step that runs as a Spark application of its own; the task is named after it, unless given another name."""
    shared: dict[str, Any] = {
        "task_id": task_id or name,
        "application": str(ROOT / "jobs" / "cli.py"),
        "conn_id": "spark_default",
        "name": f"nightweave-{task_id or name}",
        "env_vars": spark_environment(),
        "conf": {"spark.driver.extraJavaOptions": driver_options()},
        "pool": "spark",
        "pre_execute": prepare,
    }
    return SparkStep(application_args=["step", name, *arguments], **shared | options)


def spark_tasks_by_modality(
    name: str, arguments: Sequence[str], outlets: Sequence[Asset] = (), **options: Any
) -> list[SparkStep]:
    """A Spark step over the four modalities, one task each, which are named after them.

    Args:
        arguments: of all four; they are followed by the modality.
        outlets: what each of them writes beside the feature store of its modality.
    """
    return [
        spark_task(
            name,
            [*arguments, "--modality", modality],
            task_id=f"{name}_{modality}",
            outlets=[assets.table(f"features_{modality}"), *outlets],
            **options,
        )
        for modality in assets.MEDIA
    ]


def python_task(name: str, command: Sequence[str], **options: Any) -> ProcessStep:
    """A command of `nightweave` that runs as a Python process of its own; Airflow fills in the templates in `command`.

    The value of a template must not need quoting: a date, or a value that a parameter's schema has checked.
    """
    words = [sys.executable, "-m", "jobs.cli", *command]
    line = " ".join(word if "{{" in word else shlex.quote(word) for word in words)
    shared: dict[str, Any] = {"pool": "default_pool", "pre_execute": prepare, "do_xcom_push": False}
    return ProcessStep(task_id=name, bash_command=line, **shared | options)


def function_task(
    name: str, function: Callable[..., Any], *, operator: Callable[..., BaseOperator] = PythonOperator, **options: Any
) -> BaseOperator:
    """A function that is called with Airflow's context in the task's own process: short work that imports little.

    Args:
        operator: what its answer means: nothing, whether what follows runs, or whether to look again later.
    """

    @wraps(function)
    def told(*arguments: Any, **named: Any) -> Any:
        with alerts.own_words(get_current_context()):
            return function(*arguments, **named)

    return operator(task_id=name, python_callable=told, pool="default_pool", **options)
