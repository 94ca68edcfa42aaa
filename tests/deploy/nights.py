"""Nights as a deployment runs them: the DAG in a process of its own, told where things are by its environment."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lake.lake import Lake
from tests.jobs.nights import contents

NIGHT = "2026-11-01"
UNDER_SPARK = Path(__file__).with_name("under_spark.yaml")
Rows = dict[str, list[str]]


def nightweave(*arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What the command prints; it has to succeed. Of this process's settings of Airflow and Nightweave it sees none."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    command = [sys.executable, "-m", "jobs.cli", *arguments]
    told = subprocess.run(command, env=inherited | dict(environment or {}), cwd=cwd, capture_output=True, text=True)
    assert told.returncode == 0, f"{arguments}: {told.stdout[-4000:]}{told.stderr[-4000:]}"
    return told.stdout


def run_night(raw: str, lake: str) -> Rows:
    """Run the nightly DAG under Spark; every table's rows after it."""
    nightweave("night", "--date", NIGHT, "--raw", raw, "--lake", lake, "--config", str(UNDER_SPARK))
    return contents(Lake(lake))
