from pathlib import Path

import pytest

from jobs.demo import write_catalog
from tests.deploy.nights import Rows, run_night


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
