"""A lake that an earlier release wrote is read, verified, served from and written on.

`old_lake.tar.gz` holds a lake as commit 7da4ad7 left it after the nights 2026-11-01 and -02 of
`nightweave demo-data --items 20 --users 24 --nights 3`, without its reports, and of RAW what the night 2026-11-03
reads. In the tables' logs, the folder in which they were created is replaced by `/lake`. The figures that are expected
here are those of that commit, which ran the third night too.
"""

import datetime as dt
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from fusion.missing.fill import model_input
from jobs.modelling import artifacts
from jobs.modelling.dataset import load
from jobs.runtime.night import Night
from jobs.verify import findings
from lake.lake import Lake
from schemas.tables import TABLES, ItemEmbeddings, Metrics, Models
from tests.jobs.nights import a_night, contents

pytestmark = [pytest.mark.night, pytest.mark.timeout(1200)]

LAST, NEXT = "2026-11-02", "2026-11-03"
ROWS = {
    "items": 18,
    "interactions": 241,
    "quarantine": 2,
    "features_text": 23,
    "features_image": 14,
    "features_audio": 14,
    "features_video": 7,
    "item_embeddings": 34,
    "user_embeddings": 48,
    "recommendations": 636,
    "similar_items": 546,
    "metrics": 2439,
    "models": 2,
    "ledger": 16,
}
PROMOTED = {"2026-11-01": "decision-0ce52b29ed3d", LAST: "weighted-dd403f06dc7a"}
NDCG_OF_LAST_PROMOTED = 0.5014385800425109
"""ndcg@10 of the model of the second night on the likes that the third holds out."""


def unpacked(folder: Path) -> Path:
    with tarfile.open(Path(__file__).with_name("old_lake.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "old-lake"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The last night of the old lake; nothing writes to it."""
    place = unpacked(tmp_path_factory.mktemp("old"))
    return a_night(LAST, place / "raw", Lake(str(place / "lake")))


def breaches(lake: Lake) -> list[str]:
    _, broken = findings(lake)
    return [f"{finding.place()}: {finding.promise}" for finding in broken if finding.severity == "fail"]


def test_every_table_is_read(old: Night) -> None:
    assert {name: len(old.lake.read(TABLES[name])) for name in ROWS} == ROWS


def test_no_promise_is_broken(old: Night) -> None:
    assert breaches(old.lake) == []


def test_the_stored_models_are_loaded(old: Night) -> None:
    models = {str(row["date"]): row for row in old.lake.read(Models).to_pylist()}
    assert {date: row["model_version"] for date, row in models.items() if row["promoted"]} == PROMOTED
    for row in models.values():
        for part in (artifacts.EVALUATED, artifacts.SERVED):
            assert artifacts.load(old, row["path"], part).name == row["strategy"]


def test_the_promoted_model_places_items_where_it_did(old: Night) -> None:
    model = artifacts.load(old, f"artifacts/{PROMOTED[LAST]}", artifacts.SERVED)
    (dataset,) = load(old)
    catalog = model_input(dataset.catalog, dataset.reviews, dataset.history, old.config.fusion)
    stored = old.lake.read(ItemEmbeddings, where=pc.field("date") == old.date).sort_by("item_id")
    assert catalog.item_ids.tolist() == stored["item_id"].to_pylist()
    np.testing.assert_allclose(model.item_vectors(catalog), np.array(stored["vector"].to_pylist()), atol=1e-5)


def test_the_next_night_is_made_on_it(tmp_path: Path) -> None:
    place = unpacked(tmp_path)
    lake = Lake(str(place / "lake"))
    before = contents(lake)
    command = [str(Path(sys.executable).with_name("nightweave")), "night", "--date", NEXT]
    command += ["--raw", str(place / "raw"), "--lake", str(place / "lake")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    assert breaches(lake) == []
    night = dt.date.fromisoformat(NEXT)
    after = contents(lake)
    for name in ROWS:
        assert set(before[name]) <= set(after[name]), f"{name}: rows of earlier nights differ"
        if "date" in TABLES[name].partition_by and name != "quarantine":
            assert lake.count(TABLES[name], {"date": NEXT}) > 0, f"{name}: no row of the night"
    figures = lake.read(Metrics, where=pc.field("date") == night).to_pylist()
    wanted = ("last_promoted", "all", "ndcg", 10)
    (ndcg,) = (row["value"] for row in figures if (row["model"], row["segment"], row["metric"], row["k"]) == wanted)
    assert ndcg == pytest.approx(NDCG_OF_LAST_PROMOTED, abs=1e-6)
