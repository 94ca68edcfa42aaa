"""The night as a user runs it: the DAG itself, its videos under Spark through spark-submit, all else without."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.demo import write_catalog
from jobs.runtime.told import FATES
from lake.lake import Lake
from schemas.features import FEATURES
from schemas.table import MEDIA
from schemas.tables import BY_NIGHT, TABLES, Costs, Recommendations
from tests.collector import Collector, collecting

pytestmark = [pytest.mark.night, pytest.mark.timeout(1200)]
NIGHT = "2026-11-01"
EXTRACTIONS = {f"extract_{modality}" for modality in MEDIA}
STEPS = {"clean", *EXTRACTIONS, "train", "evaluate", "recommend", "verify", "report"}
READ_EVERY_TABLE = """
import sys
from deltalake import DeltaTable, QueryBuilder
for name in sys.argv[2:]:
    table = QueryBuilder().register(name, DeltaTable(f"{sys.argv[1]}/{name}"))
    print(name, table.execute(f"SELECT * FROM {name}").read_all().num_rows)
"""


@dataclass(frozen=True)
class Ran:
    """What a night said, the folder of its landing zone, lake, Airflow home and lineage, on what its processes
    listened, program and address, and what a collector of telemetry heard."""

    said: str
    folder: Path
    listened: set[tuple[str, str]]
    collector: Collector

    @property
    def lake(self) -> Path:
        return self.folder / "lake"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A night in a folder that holds a `lake`, which is none of our packages."""
    folder = tmp_path_factory.mktemp("night")
    write_catalog(folder / "raw", items=60, users=60, nights=1, progress=False)
    where = ["--date", NIGHT, "--raw", "raw", "--lake", "lake"]
    with collecting() as collector:
        environment = with_airflow_home(folder) | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        command = [str(Path(sys.executable).with_name("nightweave")), "night", *where]
        pipe, listened, over = subprocess.PIPE, set[tuple[str, str]](), threading.Event()
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder) as process:
            watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), listened, over))
            watcher.start()
            out, err = process.communicate()
            over.set()
            watcher.join()
        assert process.returncode == 0, out[-3000:] + err[-3000:]
        yield Ran(out + err, folder, listened, collector)


def with_airflow_home(folder: Path) -> dict[str, str]:
    """An environment under which Airflow's database and the file of lineage are kept in a folder."""
    transport = {"type": "file", "log_file_path": str(folder / "lineage.json"), "append": True}
    clear = ("AIRFLOW", "NIGHTWEAVE")
    return {name: value for name, value in os.environ.items() if not name.startswith(clear)} | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }


def events(folder: Path) -> list[tuple[str, str, dict[str, Any], str | None]]:
    """Table, task, extra and partition key of every asset event so far, in the database that is kept in a folder."""
    query = """SELECT a.uri, e.source_task_id, e.extra, e.partition_key
               FROM asset_event e JOIN asset a ON a.id = e.asset_id ORDER BY e.id"""
    with sqlite3.connect(folder / "airflow" / "airflow.db") as connection:
        rows = connection.execute(query).fetchall()
    return [(uri.rpartition("/")[2], task, json.loads(extra), key) for uri, task, extra, key in rows]


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
    assert (night.lake / "reports" / f"{NIGHT}.html").stat().st_size > 5000
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
    assert re.search(rf"extract image {NIGHT}: \d+ contents under \S+ in this process", night.said)
    assert re.search(rf"extract video {NIGHT}: \d+ contents under \S+ under Spark", night.said)
    assert night.said.count("session ready") == 1


def test_what_spark_costs_is_counted_with_its_jvm_and_its_workers(night: Ran) -> None:
    rows = {row["step"]: row for row in Lake(str(night.lake)).read(Costs).to_pylist()}
    assert {step for step, row in rows.items() if row["spark"]} == {"extract_video"}
    films, sounds = rows["extract_video"], rows["extract_audio"]
    assert films["spark"] == "local" and films["wall_s"] > sounds["wall_s"]
    assert films["cpu_s"] > sounds["cpu_s"] + 5, "a JVM that starts and a session that runs"
    assert films["peak_memory_bytes"] > sounds["peak_memory_bytes"] + (200 << 20), "a JVM"


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


def test_each_table_has_an_event_of_the_task_by_which_readers_see_it(night: Ran) -> None:
    writers: dict[str, set[str]] = {}
    for table, task, _, of in events(night.folder):
        writers.setdefault(table, set()).add(task)
        assert of == (None if table.startswith("features_") else NIGHT)
    modalities = ("text", "image", "audio", "video")
    extracted = {f"features_{modality}": {f"extract_{modality}"} for modality in modalities}
    assert writers == {table.name: {"publish"} for table in BY_NIGHT} | extracted


def test_the_last_event_of_a_table_has_its_version_and_rows(night: Ran) -> None:
    lake = Lake(str(night.lake))
    last = {table: extra for table, _, extra, _ in events(night.folder)}
    for name in ("items", "features_text", "recommendations", "models"):
        table = TABLES[name]
        assert last[name]["rows"] == lake.count(table, {}) > 0
        assert last[name]["version"] == lake.current(table).version()
    assert last["recommendations"]["rows_of_night"] == lake.count(Recommendations, {"date": NIGHT})
    assert "rows_of_night" not in last["features_text"]


def test_lineage_names_the_tables_that_each_task_reads_and_writes(night: Ran) -> None:
    ended = {}
    for line in (night.folder / "lineage.json").read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE":
            sides = ([Path(d["name"]) for d in event.get(side, [])] for side in ("inputs", "outputs"))
            ended[event["job"]["name"]] = [{path.relative_to(night.folder).as_posix() for path in s} for s in sides]
    assert ended["nightly_recommendations.clean"] == [{"raw/items", "raw/interactions", "raw/vectors"}, set()]
    assert ended["nightly_recommendations.recommend"] == [
        {f"lake/{name}" for name in ("item_embeddings", "user_embeddings", "interactions")},
        set(),
    ]
    assert ended["nightly_recommendations.publish"] == [set(), {f"lake/{table.name}" for table in BY_NIGHT}]


def test_a_collector_hears_of_each_step_below_its_night(night: Ran) -> None:
    (whole,) = (span for span in night.collector.spans if span.name == "night")
    steps = [span for span in night.collector.spans if span.parent == whole.id]
    assert {step.name for step in steps} == STEPS and {step.trace for step in steps} == {whole.trace}
    assert not any(span.failed for span in night.collector.spans)
    assert all(whole.began < step.began < step.ended < whole.ended for step in steps)
    of_images = {"step": "extract_image"}
    fates = {fate: night.collector.figure("nightweave.rows", fate=fate, **of_images) for fate in FATES}
    assert sum(fates.values()) > 0 and fates["kept"] == Lake(str(night.lake)).count(FEATURES["image"], {})
    assert {dict(of)["k"] for name, of, _ in night.collector.figures if name == "nightweave.ndcg"} == {10, 20}


def test_what_each_step_cost_is_a_row_and_told_alike(night: Ran) -> None:
    rows = {row["step"]: row for row in Lake(str(night.lake)).read(Costs).to_pylist()}
    assert rows.keys() == STEPS
    for step, row in rows.items():
        assert row["outcome"] == "done" and row["gpu_s"] is None
        assert row["modality"] == (step.partition("_")[2] or None)
        assert row["cpu_s"] > 0.3 and row["wall_s"] > 0.3, "an interpreter and its imports take longer"
        of = {"step": step, "outcome": "done"} | ({"modality": row["modality"]} if row["modality"] else {})
        assert night.collector.figure("nightweave.step.duration", **of) == row["wall_s"]
