"""The scheduler killed, and the database gone for a minute, while nights run: nothing is lost and nothing torn."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lake.lake import Lake
from tests.faults.reader import reading
from tests.faults.rows import differences, rows_of
from tests.services.airflow import AIRFLOW, Airflow
from tests.services.backfills import Backfill
from tests.services.conftest import NIGHTS
from tests.services.postgres import Database
from tests.services.processes import Service

pytestmark = [pytest.mark.services, pytest.mark.timeout(3600), pytest.mark.at_length]

GONE_S = 60
KILLS = 3
SEED = 7
COMMANDS = {"scheduler": ["scheduler"], "dag-processor": ["dag-processor"]}


def keep_up(running: Airflow) -> None:
    """Start those services that have ended again, as whatever keeps services up in production does: only when nothing
    of them is left. The executor's workers outlive a killed scheduler, and hold its transaction and its locks open."""
    for name, command in COMMANDS.items():
        ended = running.services[name]
        if ended.process.poll() is not None:
            ended.stop()
            running.services[name] = Service.start(
                name, [AIRFLOW, *command], logs=ended.log.parent, env=running.env, cwd=running.home
            )


def begin(running: Airflow, chance: random.Random) -> None:
    """Order the nights, and wait for a moment at which the first is cleaned or extracted."""
    Backfill("cli", active=3, backwards=False).start(running, NIGHTS)
    deadline = time.monotonic() + 600
    while not any(t["state"] == "running" for run in running.runs() for t in running.tasks(run["dag_run_id"])):
        assert time.monotonic() < deadline, "no task began"
        time.sleep(1)
    time.sleep(chance.uniform(0, 30))


def test_a_scheduler_that_is_killed_at_three_moments(
    running: Airflow, fresh_lake: Callable[[], Lake], one_by_one: Lake, tmp_path: Path
) -> None:
    lake, expected, chance = fresh_lake(), rows_of(one_by_one), random.Random(SEED)
    with reading(Path(lake.uri.removeprefix("file://")), tmp_path, {}, expected, parts=True) as reader:
        begin(running, chance)
        for _ in range(KILLS):
            assert any(run["state"] == "running" for run in running.runs()), "the nights ended too soon"
            running.services["scheduler"].process.kill()
            running.services["scheduler"].process.wait()
            keep_up(running)
            time.sleep(chance.uniform(20, 60))
        states = running.wait(NIGHTS, meanwhile=lambda: keep_up(running))
        torn = reader.torn()
    assert set(states.values()) == {"success"}, states
    assert not torn and not differences(rows_of(lake), expected)


def test_a_database_that_is_gone_for_a_minute(
    running: Airflow, database: Database, fresh_lake: Callable[[], Lake], one_by_one: Lake, tmp_path: Path
) -> None:
    lake, expected = fresh_lake(), rows_of(one_by_one)
    with reading(Path(lake.uri.removeprefix("file://")), tmp_path, {}, expected, parts=True) as reader:
        begin(running, random.Random(SEED + 1))
        with database.gone():
            time.sleep(GONE_S)
        states = running.wait(NIGHTS, meanwhile=lambda: keep_up(running))
        torn = reader.torn()
    assert set(states.values()) == {"success"}, states
    assert not torn and not differences(rows_of(lake), expected)
