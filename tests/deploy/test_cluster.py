"""The night on a Spark standalone cluster of two workers, whose executors have nothing of the repository at hand."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runtime.spark_environment import spark_environment
from lake.lake import Lake
from tests.deploy import cluster as standalone
from tests.deploy.cluster import Cluster
from tests.deploy.nights import NIGHT, UNDER_SPARK, Rows
from tests.jobs.nights import contents

pytestmark = [pytest.mark.night, pytest.mark.timeout(1800)]

WHERE_FROM = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
def told(_):
    import sys, time
    import features.registry
    time.sleep(1)  # so that no executor does all of it
    yield f"executor {sys.executable} {features.registry.__file__}"
print(*sorted(set(spark.sparkContext.parallelize(range(20), 20).mapPartitions(told).collect())), sep="\\n")
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standalone.running(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Spark's settings that bring the code and an environment to executors, and the environment alone."""
    folder = tmp_path_factory.mktemp("bundle")
    return {
        "spark.archives": f"{standalone.packages(folder)}#nightweave,{standalone.bare_python(folder)}#environment",
        "spark.executorEnv.PYTHONPATH": "./nightweave",
        "spark.pyspark.python": "./environment/bin/python",
        "spark.pyspark.driver.python": sys.executable,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }


def submitted(cluster: Cluster, settings: dict[str, str], folder: Path, *command: str) -> str:
    """What a command prints that `docker/entrypoint.sh` starts with these settings as Spark's defaults."""
    defaults = folder / "defaults.conf"
    defaults.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    environment |= spark_environment() | cluster.environment | {"SPARK_DEFAULTS_FILE": str(defaults)}
    done = subprocess.run(
        [standalone.ENTRYPOINT, *command], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_executors_take_code_and_interpreter_from_what_was_shipped(
    cluster: Cluster, shipped: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "where_from.py"
    program.write_text(WHERE_FROM)
    told = submitted(cluster, shipped, tmp_path, "spark-submit", "--master", cluster.url, str(program))
    executors = [line.split()[1:] for line in told.splitlines() if line.startswith("executor ")]
    assert len(executors) == 2  # each worker's has a folder of its own
    for interpreter, module in executors:
        assert interpreter.endswith("environment/bin/python") and "nightweave/features/registry.py" in module
        assert not {interpreter, module} & {sys.executable} and str(standalone.ROOT) not in interpreter + module


def test_a_driver_without_the_secret_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another")
    environment = os.environ | spark_environment() | cluster.environment | {"SPARK_SECRET_FILE": str(secret)}
    program = tmp_path / "count.py"
    program.write_text("from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate()\n")
    before = len(cluster.state()["completedapps"])
    command = [standalone.ENTRYPOINT, "spark-submit", "--master", cluster.url, str(program)]
    driver = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert driver.stderr is not None
    try:
        assert any("Failed to connect to master" in line for line in driver.stderr)
    finally:
        os.killpg(driver.pid, signal.SIGTERM)  # it would try again for a minute
        driver.wait()
    state = cluster.state()
    assert len(state["completedapps"]) == before and not state["activeapps"]


@pytest.mark.at_length
def test_a_night_on_two_workers_gives_the_rows_of_a_night_on_one_machine(
    cluster: Cluster, shipped: dict[str, str], catalog: Path, on_disk: Rows, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    where = ("--date", NIGHT, "--raw", str(catalog), "--lake", lake.uri, "--config", str(UNDER_SPARK))
    submitted(cluster, shipped, tmp_path, sys.executable, "-m", "jobs.cli", "night", *where)
    rows = contents(lake)
    for table, expected in on_disk.items():
        assert rows[table] == expected, table
    assert len(cluster.state()["completedapps"]) >= 6  # clean, four extractions, recommend
