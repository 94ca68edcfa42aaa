"""Parameters of a night, the DAG that extracts again, and what is told when a night fails."""

import json
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
from lake import staging
from lake.lake import Lake
from schemas.features import FEATURES
from schemas.tables import BY_NIGHT, TABLES
from tests.dags.test_alerts import webhook
from tests.test_night import events, with_airflow_home

pytestmark = [pytest.mark.night, pytest.mark.at_length, pytest.mark.timeout(2400)]
FIRST, SECOND = "2026-11-01", "2026-11-02"
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
    """A landing zone, a lake, an Airflow home and a webhook."""

    folder: Path
    port: int
    posted: list[dict[str, Any]]

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "tables"))

    def night(self, date: str, *options: str) -> subprocess.CompletedProcess[str]:
        where = ["--raw", "raw", "--lake", "tables", "--config", "light.yaml"]
        return self.run("-m", "jobs.cli", "night", "--date", date, *where, *options)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Python in the folder, with its Airflow home, its webhook and its file for lineage."""
        hook = {"conn_type": "http", "host": "127.0.0.1", "port": self.port, "schema": "http"}
        environment = with_airflow_home(self.folder) | {
            "AIRFLOW_CONN_ON_CALL": json.dumps(hook),
            "NIGHTWEAVE_ALERT_CONN_ID": "on_call",
            **more,
        }
        return subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=self.folder
        )

    def versions(self) -> dict[str, int]:
        return {name: self.lake.current(table).version() for name, table in TABLES.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With the first night in it."""
    folder = tmp_path_factory.mktemp("operations")
    write_catalog(folder / "raw", items=20, users=20, nights=2, progress=False)
    (folder / "light.yaml").write_text(LIGHT)
    with webhook() as (port, posted):
        made = Place(folder, port, posted)
        told = made.night(FIRST)
        assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
        yield made


def test_extracting_again_and_skipping_publishing(place: Place) -> None:
    before, sent = place.versions(), len(events(place.folder))
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
    assert {name for name, *_ in events(place.folder)[sent:]} == {store.name for store in FEATURES.values()}
    discarded = place.run("-m", "jobs.cli", "discard", "--date", FIRST, "--lake", "tables")
    assert discarded.returncode == 0 and not staging.nights(place.lake)


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
    assert ("features_text", "reextract_text") in {(table, task) for table, task, *_ in events(place.folder)}


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
