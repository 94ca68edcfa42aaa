"""The night as a user runs it: the DAG itself, its Spark steps through spark-submit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.demo import write_catalog
from schemas.tables import TABLES

READ_EVERY_TABLE = """
import sys
from deltalake import DeltaTable, QueryBuilder
for name in sys.argv[2:]:
    table = QueryBuilder().register(name, DeltaTable(f"{sys.argv[1]}/{name}"))
    print(name, table.execute(f"SELECT * FROM {name}").read_all().num_rows)
"""


@pytest.mark.night
@pytest.mark.timeout(1200)
def test_nightweave_night(tmp_path: Path) -> None:
    """In a folder that holds a `lake`, which is none of our packages."""
    lake = tmp_path / "lake"
    write_catalog(tmp_path / "raw", items=120, users=100, nights=2, progress=False)
    command = [
        str(Path(sys.executable).with_name("nightweave")),
        "night",
        "--date",
        "2026-11-01",
        "--raw",
        "raw",
        "--lake",
        "lake",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    told = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    for step in ("clean", "extract_text", "extract_video", "train", "evaluate", "recommend", "verify", "report"):
        assert f"\n{step} " in told.stdout
    assert (lake / "reports" / "2026-11-01.html").stat().st_size > 5000

    there = TABLES.keys() - {"given_vectors"}  # from the first night on that brings any
    read = [sys.executable, "-c", READ_EVERY_TABLE, str(lake), *there]
    rows = dict(line.split() for line in subprocess.check_output(read, text=True).splitlines())
    assert rows.keys() == there
    assert int(rows["recommendations"]) > 0 and int(rows["similar_items"]) > 0 and int(rows["metrics"]) > 0
