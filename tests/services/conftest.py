"""Fixtures of the tests on real services. Without the services the tests skip and say what is missing."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.demo import write_catalog
from lake.lake import Lake
from lake.rows import Engine
from tests.dags.test_alerts import webhook
from tests.jobs.nights import a_night, run_night
from tests.services import postgres
from tests.services.airflow import ROOT, Airflow, airflow
from tests.services.postgres import Database

NIGHTS = ["2026-11-01", "2026-11-02"]
CONFIG = Path(__file__).parent / "cheap.yaml"
KEPT = ROOT / "build" / "services"


@pytest.fixture(scope="package")
def logs() -> Path:
    """Where services and tasks leave their logs: kept from one run of the tests to the next."""
    folder = KEPT / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="package")
def database(logs: Path) -> Iterator[Database]:
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL server is installed; `make services` installs Debian's")
    with postgres.cluster(logs) as started:
        yield started


@dataclass(frozen=True)
class OnCall:
    """A webhook on loopback, and what it was posted."""

    port: int
    posted: list[dict[str, Any]]

    def hears(self, *, seconds: float = 300, **expected: object) -> dict[str, Any]:
        """The first alert that says this, waited for: an alert is sent after the state is set that it tells of.

        Raises:
            TimeoutError: none came; the message holds those that did.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for body in [call["body"] for call in self.posted]:
                if expected.items() <= body.items():
                    return body
            time.sleep(0.5)
        raise TimeoutError(f"no alert with {expected} after {seconds} s; there were {self.posted}")


@pytest.fixture(scope="package")
def on_call() -> Iterator[OnCall]:
    """Who is told when a task of the running Airflow fails or a night is late."""
    with webhook() as (port, posted):
        yield OnCall(port, posted)


@pytest.fixture(scope="package")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of four modalities that arrives over the nights."""
    folder = tmp_path_factory.mktemp("services") / "raw"
    write_catalog(folder, items=24, users=24, nights=len(NIGHTS), seed=5, progress=False)
    return folder


@pytest.fixture(scope="package")
def running(
    database: Database, raw: Path, logs: Path, on_call: OnCall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    (home / "raw").symlink_to(raw)
    with airflow(home, database=database.url, logs=logs, config=CONFIG, webhook=on_call.port) as started:
        yield started


@pytest.fixture(scope="package")
def one_by_one(raw: Path, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake after the nights, run one by one without Airflow."""
    os.environ["PYTHONPATH"] = str(ROOT)
    lake = Lake(str(tmp_path_factory.mktemp("one-by-one")))
    for night in NIGHTS:
        run_night(engine, a_night(night, raw, lake, config=str(CONFIG)))
    return lake


@pytest.fixture(scope="package")
def fresh_lake(running: Airflow, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Lake]:
    """Points Airflow at an empty lake, none of whose nights was ever run."""

    def fresh() -> Lake:
        running.forget_runs()
        folder = tmp_path_factory.mktemp("lake")
        running.point(running.lake, folder)
        return Lake(str(folder))

    return fresh
