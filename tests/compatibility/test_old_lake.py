"""A lake that an earlier release wrote is read, verified, served from and written on.

`old_lake.tar.gz` holds what `nightweave demo-data --items 20 --users 24 --nights 3` wrote at commit 7da4ad7, its wav
and flac files cut to 0.3 s, and the lake as that commit left it after the first two of the three nights, without
reports. In the tables' logs, the folder in which they were created is replaced by `/lake`.
"""

import datetime as dt
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from fusion.data.splits import split_as
from fusion.evaluation.evaluate import evaluate
from fusion.missing.fill import model_input
from fusion.models.scorer import scorer
from jobs import evaluate as evaluate_step
from jobs import report, train, verify
from jobs.modelling import artifacts
from jobs.modelling.dataset import Dataset, load
from jobs.runtime.night import Night
from jobs.verify import findings
from lake.lake import Lake
from lake.rows import Engine
from schemas.tables import TABLES, ItemEmbeddings, Metrics, Models
from tests.jobs.nights import a_night, contents, run_night

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
    "user_embeddings": 24,
    "recommendations": 349,
    "similar_items": 544,
    "metrics": 2176,
    "models": 2,
    "ledger": 16,
}
PROMOTED = "weighted-52223bab6f58"
PATH = f"artifacts/{PROMOTED}"
RANKING = ("ndcg", "recall", "map", "mrr")


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
    models = old.lake.read(Models).to_pylist()
    assert [row["model_version"] for row in models if row["promoted"]] == [PROMOTED]
    for row in models:
        for part in (artifacts.EVALUATED, artifacts.SERVED):
            assert artifacts.load(old, row["path"], part).name == row["strategy"]


@pytest.fixture(scope="module")
def as_it_was(old: Night) -> Dataset:
    """The data of the last night in the vectors that its model reads."""
    (dataset,) = load(old, artifacts.encoders_of(old, PATH))
    return dataset


def test_the_promoted_model_places_items_where_it_did(old: Night, as_it_was: Dataset) -> None:
    model = artifacts.load(old, PATH, artifacts.SERVED)
    catalog = model_input(as_it_was.catalog, as_it_was.reviews, as_it_was.history, old.config.fusion)
    stored = old.lake.read(ItemEmbeddings, where=pc.field("date") == old.date).sort_by("item_id")
    assert catalog.item_ids.tolist() == stored["item_id"].to_pylist()
    np.testing.assert_allclose(model.item_vectors(catalog), np.array(stored["vector"].to_pylist()), atol=1e-5)


def test_the_promoted_model_ranks_held_out_likes_as_it_did(old: Night, as_it_was: Dataset) -> None:
    parts = split_as(as_it_was.history, old.config.fusion, item_ids=as_it_was.catalog.item_ids)
    catalog = model_input(as_it_was.catalog, as_it_was.reviews, parts.known(), old.config.fusion)
    name = PROMOTED.partition("-")[0]
    ranking = {name: scorer(artifacts.load(old, PATH, artifacts.EVALUATED), catalog, parts.known())}
    split_name = old.config.fusion.split.kind
    found = {
        (figure.metric, figure.k): figure.value
        for figure in evaluate(ranking, split=parts, split_name=split_name, n_items=len(catalog), segments=["all"])
        if figure.metric in RANKING
    }
    written = old.lake.read(Metrics, where=pc.field("date") == old.date).to_pylist()
    expected = {
        (row["metric"], row["k"]): row["value"]
        for row in written
        if (row["model"], row["segment"], row["split"]) == (name, "all", split_name) and row["metric"] in RANKING
    }
    assert len(expected) == 2 * len(RANKING) and found == pytest.approx(expected, abs=1e-9)


def test_models_that_do_not_name_their_encoders_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a still earlier version stored them: the next night's model is judged without them, and serves."""
    place = unpacked(tmp_path)
    for manifest in (place / "lake" / artifacts.FOLDER).glob(f"*/{artifacts.MANIFEST}"):
        stored = json.loads(manifest.read_text())
        assert stored.pop("encoders")
        manifest.write_text(json.dumps(stored))
    night = a_night(NEXT, place / "raw", Lake(str(place / "lake")))
    train.run(night)
    # nothing was extracted under this version's encoders of sound and film
    evaluate_step.run(night, allow_shrinking=True)
    assert f"{PROMOTED} is left out: {PATH}/model.json: stored by an earlier version" in caplog.text
    (row,) = night.lake.read(Models, where=pc.field("date") == night.date).to_pylist()
    assert row["promoted"] and night.lake.count(ItemEmbeddings, {"date": NEXT}) > 0


def test_the_next_night_is_made_on_it(tmp_path: Path, engine: Engine) -> None:
    place = unpacked(tmp_path)
    lake = Lake(str(place / "lake"))
    before = contents(lake)
    next_night = a_night(NEXT, place / "raw", lake)
    run_night(engine, next_night)
    verify.run(next_night)
    report.run(next_night)

    assert breaches(lake) == []
    night = dt.date.fromisoformat(NEXT)
    after = contents(lake)
    for name in ROWS:
        assert set(before[name]) <= set(after[name]), f"{name}: rows of earlier nights differ"
        if "date" in TABLES[name].partition_by and name != "quarantine":
            assert lake.count(TABLES[name], {"date": NEXT}) > 0, f"{name}: no row of the night"
    judged = lake.read(Metrics, where=pc.field("date") == night, columns=["model"])["model"].to_pylist()
    assert "last_promoted" in judged, "the old lake's model is the one to hold its own against"
