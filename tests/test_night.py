"""The night as a user runs it: the DAG itself, its videos under Spark through spark-submit, all else without."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from jobs.demo import write_catalog
from schemas.tables import TABLES

pytestmark = [pytest.mark.night, pytest.mark.timeout(1200)]
READ_EVERY_TABLE = """
import sys
from deltalake import DeltaTable, QueryBuilder
for name in sys.argv[2:]:
    table = QueryBuilder().register(name, DeltaTable(f"{sys.argv[1]}/{name}"))
    print(name, table.execute(f"SELECT * FROM {name}").read_all().num_rows)
"""


@dataclass(frozen=True)
class Ran:
    """What a night said, where its lake is, and on what its processes listened, program and address."""

    said: str
    lake: Path
    listened: set[tuple[str, str]]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A night in a folder that holds a `lake`, which is none of our packages."""
    folder = tmp_path_factory.mktemp("night")
    write_catalog(folder / "raw", items=60, users=60, nights=1, progress=False)
    where = ["--date", "2026-11-01", "--raw", "raw", "--lake", "lake"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    command = [str(Path(sys.executable).with_name("nightweave")), "night", *where]
    pipe, listened, over = subprocess.PIPE, set[tuple[str, str]](), threading.Event()
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder) as process:
        watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), listened, over))
        watcher.start()
        out, err = process.communicate()
        over.set()
        watcher.join()
    assert process.returncode == 0, out[-3000:] + err[-3000:]
    yield Ran(out + err, folder / "lake", listened)


def _watch(process: psutil.Process, listened: set[tuple[str, str]], over: threading.Event) -> None:
    while not over.wait(0.5):
        with suppress(psutil.NoSuchProcess):  # the process ended between two looks
            for one in [process, *process.children(recursive=True)]:
                for connection in one.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        listened.add((one.name(), connection.laddr.ip))


def test_each_step_runs_and_other_readers_of_delta_read_every_table(night: Ran) -> None:
    for step in ("clean", "extract_text", "extract_video", "train", "evaluate", "recommend", "verify", "report"):
        assert f"\n{step} " in night.said
    assert (night.lake / "reports" / "2026-11-01.html").stat().st_size > 5000
    there = TABLES.keys() - {"given_vectors"}  # from the first night on that brings any
    read = [sys.executable, "-c", READ_EVERY_TABLE, str(night.lake), *there]
    rows = dict(line.split() for line in subprocess.check_output(read, text=True).splitlines())
    assert rows.keys() == there
    assert int(rows["recommendations"]) > 0 and int(rows["similar_items"]) > 0 and int(rows["metrics"]) > 0


def test_a_plan_finds_nothing_to_do_after_it(night: Ran) -> None:
    where = ["--raw", str(night.lake.parent / "raw"), "--lake", str(night.lake)]
    command = [sys.executable, "-m", "jobs.cli", "plan", "--from", "2026-11-01", "--format", "json", *where]
    (one,) = json.loads(subprocess.check_output(command, text=True))["nights"]
    assert (one["state"], one["rows_from"], one["causes"]) == ("complete", "lake", [])


def test_spark_starts_for_what_takes_a_core_longer_alone(night: Ran) -> None:
    assert re.search(r"extract image 2026-11-01: \d+ contents under \S+ in this process", night.said)
    assert re.search(r"extract video 2026-11-01: \d+ contents under \S+ under Spark", night.said)
    assert night.said.count("session ready") == 1


def test_it_listens_on_loopback_alone(night: Ran) -> None:
    """Spark's drivers, above all: whoever reaches their page or their ports could end a job or run one."""
    assert ("java", "::ffff:127.0.0.1") in night.listened
    assert {address.removeprefix("::ffff:") for _, address in night.listened} == {"127.0.0.1"}


def test_it_says_little_but_what_its_steps_say(night: Ran) -> None:
    lines = night.said.splitlines()
    start_up = (
        r"log4j profile| SparkContext: |NativeCodeLoader|Setting Spark log level|cuInit|cpu_feature_guard|Traceback"
    )
    noise = [line for line in lines if re.search(start_up, line)]
    assert sum(" nightweave." in line for line in lines) > 30 and not noise
