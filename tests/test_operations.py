"""A night as Airflow sees it: its assets, its lineage, its parameters, and what is told when it fails."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from jobs.demo import write_catalog
from jobs.run_dag import LOCAL_SPARK
from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.told import FATES
from lake import staging
from lake.lake import Lake
from schemas.features import FEATURES
from schemas.table import MEDIA
from schemas.tables import BY_NIGHT, TABLES, Costs, Recommendations
from tests.collector import Collector, collecting
from tests.dags.test_alerts import webhook

pytestmark = [pytest.mark.night, pytest.mark.timeout(2400)]
FIRST, SECOND = "2026-11-01", "2026-11-02"
EXTRACTIONS = {f"extract_{modality}" for modality in MEDIA}
STEPS = {"clean", *EXTRACTIONS, "train", "evaluate", "recommend", "verify", "report"}
LIGHT = """
extract:
  encoders:
    text: {name: bag-of-words}
    image: {name: hog}
    audio: {name: mfcc}
    video: {name: frame-sequence, parameters: {appearance: {name: hog}}}
"""


REEXTRACT = """
from airflow.utils.db import initdb
initdb()
from dags.reextract_features import dag
for task in dag.tasks:
    task.retries = 0
run = dag.test(run_conf={"config": "embedded", "as_of": "2026-11-01", "chunk": 10})
print("RUN", run.state)
"""


@dataclass(frozen=True)
class Place:
    """A landing zone, a lake, an Airflow home, a webhook and a collector of telemetry."""

    folder: Path
    port: int
    posted: list[dict[str, Any]]
    collector: Collector

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "tables"))

    def night(self, date: str, *options: str) -> subprocess.CompletedProcess[str]:
        where = ["--raw", "raw", "--lake", "tables", "--config", "light.yaml"]
        return self.run("-m", "jobs.cli", "night", "--date", date, *where, *options)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Python in the folder, with its Airflow home, its webhook, its collector and its file for lineage."""
        hook = {"conn_type": "http", "host": "127.0.0.1", "port": self.port, "schema": "http"}
        transport = {"type": "file", "log_file_path": str(self.folder / "lineage.json"), "append": True}
        clear = ("AIRFLOW", "NIGHTWEAVE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(clear)} | {
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW_CONN_ON_CALL": json.dumps(hook),
            "NIGHTWEAVE_ALERT_CONN_ID": "on_call",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            **more,
        }
        return subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=self.folder
        )

    def events(self) -> list[tuple[str, str, dict[str, Any], str | None]]:
        """Table, task, extra and partition key of every asset event so far."""
        query = """SELECT a.uri, e.source_task_id, e.extra, e.partition_key
                   FROM asset_event e JOIN asset a ON a.id = e.asset_id ORDER BY e.id"""
        with sqlite3.connect(self.folder / "airflow" / "airflow.db") as connection:
            rows = connection.execute(query).fetchall()
        return [(uri.rpartition("/")[2], task, json.loads(extra), key) for uri, task, extra, key in rows]

    def versions(self) -> dict[str, int]:
        return {name: self.lake.current(table).version() for name, table in TABLES.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With the first night in it."""
    folder = tmp_path_factory.mktemp("operations")
    write_catalog(folder / "raw", items=20, users=20, nights=2, progress=False)
    (folder / "light.yaml").write_text(LIGHT)
    with webhook() as (port, posted), collecting() as collector:
        made = Place(folder, port, posted, collector)
        told = made.night(FIRST)
        assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
        yield made


def test_each_table_has_an_event_of_the_task_by_which_readers_see_it(place: Place) -> None:
    writers: dict[str, set[str]] = {}
    for table, task, _, night in place.events():
        writers.setdefault(table, set()).add(task)
        assert night == (None if table.startswith("features_") else FIRST)
    modalities = ("text", "image", "audio", "video")
    extracted = {f"features_{modality}": {f"extract_{modality}"} for modality in modalities}
    assert writers == {table.name: {"publish"} for table in BY_NIGHT} | extracted


def test_the_last_event_of_a_table_has_its_version_and_rows(place: Place) -> None:
    last = {table: extra for table, _, extra, _ in place.events() if extra.get("date", FIRST) == FIRST}
    for name in ("items", "features_text", "recommendations", "models"):
        table = TABLES[name]
        assert last[name]["rows"] == place.lake.count(table, {}) > 0
        assert last[name]["version"] == place.lake.current(table).version()
    assert last["recommendations"]["rows_of_night"] == place.lake.count(Recommendations, {"date": FIRST})
    assert "rows_of_night" not in last["features_text"]


def test_lineage_names_the_tables_that_each_task_reads_and_writes(place: Place) -> None:
    ended = {}
    for line in (place.folder / "lineage.json").read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE":
            sides = ([Path(d["name"]) for d in event.get(side, [])] for side in ("inputs", "outputs"))
            ended[event["job"]["name"]] = [{path.relative_to(place.folder).as_posix() for path in s} for s in sides]
    assert ended["nightly_recommendations.clean"] == [{"raw/items", "raw/interactions", "raw/vectors"}, set()]
    assert ended["nightly_recommendations.recommend"] == [
        {f"tables/{name}" for name in ("item_embeddings", "user_embeddings", "interactions")},
        set(),
    ]
    assert ended["nightly_recommendations.publish"] == [set(), {f"tables/{table.name}" for table in BY_NIGHT}]


def test_a_collector_hears_of_each_step_below_its_night(place: Place) -> None:
    (night,) = (span for span in place.collector.spans if span.name == "night")
    steps = [span for span in place.collector.spans if span.parent == night.id]
    assert {step.name for step in steps} == STEPS and {step.trace for step in steps} == {night.trace}
    assert not any(span.failed for span in place.collector.spans)
    assert all(night.began < step.began < step.ended < night.ended for step in steps)
    of_images = {"step": "extract_image"}
    fates = {fate: place.collector.figure("nightweave.rows", fate=fate, **of_images) for fate in FATES}
    assert sum(fates.values()) > 0 and fates["kept"] == place.lake.count(FEATURES["image"], {})
    assert {dict(of)["k"] for name, of, _ in place.collector.figures if name == "nightweave.ndcg"} == {10, 20}


def test_what_each_step_cost_is_a_row_and_told_alike(place: Place) -> None:
    rows = {row["step"]: row for row in place.lake.read(Costs).to_pylist()}
    assert rows.keys() == STEPS
    for step, row in rows.items():
        assert row["outcome"] == "done" and row["spark"] is None and row["gpu_s"] is None
        assert row["modality"] == (step.partition("_")[2] or None)
        assert row["cpu_s"] > 0.3 and row["wall_s"] > 0.3, "an interpreter and its imports take longer"
        of = {"step": step, "outcome": "done"} | ({"modality": row["modality"]} if row["modality"] else {})
        assert place.collector.figure("nightweave.step.duration", **of) == row["wall_s"]


@pytest.mark.at_length
def test_extracting_again_and_skipping_publishing(place: Place) -> None:
    before, events = place.versions(), len(place.events())
    rows = {modality: len(place.lake.read(store)) for modality, store in FEATURES.items()}
    told = place.night(FIRST, "--force-extraction", "--skip-publishing")
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    assert f"skip_publishing is set: {FIRST} stays staged" in told.stdout
    assert staging.passed_audit(place.lake, FIRST, staging.parts(place.lake, FIRST))
    after = place.versions()
    assert {modality: len(place.lake.read(store)) for modality, store in FEATURES.items()} == rows
    assert all(after[store.name] == before[store.name] + 1 for store in FEATURES.values())
    kept = [table.name for table in BY_NIGHT]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert {name for name, *_ in place.events()[events:]} == {store.name for store in FEATURES.values()}
    discarded = place.run("-m", "jobs.cli", "discard", "--date", FIRST, "--lake", "tables")
    assert discarded.returncode == 0 and not staging.nights(place.lake)


@pytest.mark.at_length
def test_a_changed_encoder_is_applied_to_all_content_by_its_dag(place: Place) -> None:
    text = FEATURES["text"]
    before, version = place.lake.read(text), place.lake.current(text).version()
    told = place.run(
        "-c",
        REEXTRACT,
        AIRFLOW__CORE__DAGS_FOLDER=str(Path("dags").resolve()),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW_CONN_SPARK_DEFAULT=LOCAL_SPARK,
        NIGHTWEAVE_RAW=str(place.folder / "raw"),
        NIGHTWEAVE_LAKE=place.lake.uri,
        **spark_environment(),
    )
    assert "RUN success" in told.stdout, told.stdout[-3000:] + told.stderr[-3000:]
    after = place.lake.read(text)
    (old,) = before["encoder"].unique().to_pylist()
    (new,) = set(after["encoder"].unique().to_pylist()) - {old}
    keys = {e: set(after.filter(pc.field("encoder") == e)["content_key"].to_pylist()) for e in (old, new)}
    assert keys[new] == keys[old] and after.filter(pc.field("encoder") == old).num_rows == before.num_rows
    assert place.lake.current(text).version() == version + -(-len(keys[new]) // 10), "each chunk is one commit"
    assert ("features_text", "reextract_text") in {(table, task) for table, task, *_ in place.events()}


@pytest.mark.at_length
def test_a_night_that_breaks_a_law_says_which_and_where(place: Place) -> None:
    for path in (place.folder / "raw" / "interactions" / f"ds={SECOND}").iterdir():
        path.unlink()
    path.with_name("broken.jsonl").write_text("not json\n" * 50)
    told = place.night(SECOND)
    assert told.returncode == 1
    (call,) = place.posted
    body = call["body"]
    assert (body["task_id"], body["night"], body["law"]) == ("clean", SECOND, 3)
    assert body["partition"] == f"date={SECOND}/step=clean_interactions"
    assert "50 of 50 refused" in body["message"]
