"""Credentials of the store from a connection of Airflow's reach what a task starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from jobs.runtime.spark_environment import spark_environment
from lake import storage
from lake.lake import Lake
from schemas.tables import Items
from tests import seaweed
from tests.deploy.nights import NIGHT

# Each starts Airflow.
pytestmark = pytest.mark.slow

START_TASKS = """
import json, os, sys
from types import SimpleNamespace
from dags.nightly_recommendations import dag
before = dict(os.environ)
for name in sys.argv[1:]:
    os.environ.clear()
    os.environ.update(before)
    task = dag.get_task(name)
    context = {"task": task, "params": {"skip_publishing": False}, "ti": SimpleNamespace(id="one"), "ds": "2026-11-01"}
    task._pre_execute_hook(context)
    found = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    print(json.dumps({"rendered": getattr(task, "env_vars", None), "found": found}))
"""
CONNECTION = {
    "conn_type": "aws",
    "login": "key",
    "password": "s3cret/+",
    "extra": {"region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:9000"},
}


def started(home: Path, connection: dict, *tasks: str) -> subprocess.CompletedProcess[str]:
    """Runs what Airflow runs before each task, all in one process that starts each with the environment given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
    environment = kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_STORE": json.dumps(connection),
        "NIGHTWEAVE_STORE_CONNECTION": "store",
        "NIGHTWEAVE_RAW": str(home),
        "NIGHTWEAVE_LAKE": str(home),
    }
    command = [sys.executable, "-c", START_TASKS, *tasks]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_tasks_get_what_the_connection_holds(tmp_path: Path) -> None:
    tasks = ("clean", "earlier_nights", "evaluate")
    done = started(tmp_path, CONNECTION, *tasks)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.strip().splitlines()[-len(tasks) :]]
    assert [line["found"] for line in lines] == [
        {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "s3cret/+",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        }
    ] * len(tasks)
    assert lines[0]["rendered"]
    assert "s3cret" not in json.dumps([line["rendered"] for line in lines])  # Airflow shows rendered fields to readers


def test_a_connection_of_another_type_is_refused(tmp_path: Path) -> None:
    done = started(tmp_path, CONNECTION | {"conn_type": "postgres"}, "clean")
    assert done.returncode != 0 and "expected 'aws'" in done.stderr


def test_it_is_the_region_alone_where_a_role_has_the_rest(tmp_path: Path) -> None:
    done = started(tmp_path, {"conn_type": "aws", "extra": {"region_name": "eu-central-1"}}, "clean")
    assert json.loads(done.stdout.strip().splitlines()[-1])["found"] == {"AWS_REGION": "eu-central-1"}


def airflow(*arguments: str, environment: dict[str, str]) -> str:
    """What Airflow's command prints; it has to succeed."""
    command = [sys.executable, "-m", "airflow", *arguments]
    told = subprocess.run(command, env=environment, capture_output=True, text=True)
    said = told.stdout + told.stderr
    assert told.returncode == 0, said[-4000:]
    return said


@pytest.mark.night
@pytest.mark.at_length
def test_tasks_that_have_only_the_connection_read_and_write_on_s3(
    catalog: Path, bucket: str, s3: seaweed.S3, tmp_path: Path
) -> None:
    store, root = storage.filesystem(f"{bucket}/raw")
    pafs.copy_files(str(catalog), root, source_filesystem=pafs.LocalFileSystem(), destination_filesystem=store)
    address = {"region_name": s3.environment["AWS_REGION"], "endpoint_url": s3.environment["AWS_ENDPOINT_URL"]}
    connection = {"conn_type": "aws", "login": s3.access_key, "password": s3.secret_key, "extra": address}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "NIGHTWEAVE"))}
    environment = kept | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path("dags").resolve()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[1]"}),
        "AIRFLOW_CONN_STORE": json.dumps(connection),
        "NIGHTWEAVE_STORE_CONNECTION": "store",
        "NIGHTWEAVE_RAW": f"{bucket}/raw",
        "NIGHTWEAVE_LAKE": f"{bucket}/lake",
        **spark_environment(),
    }
    airflow("db", "migrate", environment=environment)
    airflow("dags", "reserialize", environment=environment)
    said = [
        airflow("tasks", "test", "nightly_recommendations", task, NIGHT, environment=environment)
        for task in ("clean", "earlier_nights")
    ]
    assert Lake(f"{bucket}/lake").count(Items, {"date": NIGHT})
    kept_by_airflow = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(s3.secret_key in text for text in said)
    assert kept_by_airflow and not any(s3.secret_key.encode() in data for data in kept_by_airflow)
