"""Law 1: a night sees what had arrived by then and nothing later, whatever the lake holds already."""

import json
import shutil
import zipfile
from datetime import date
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from scipy import sparse

from fusion.data.reviews import with_reviews
from jobs.landing.raw import Raw, Refusal
from jobs.modelling.dataset import load
from lake.lake import Lake
from lake.rows import Engine
from schemas.features import FEATURES
from schemas.tables import TABLES
from tests.faults.night import NIGHTS, Place, new_place
from tests.jobs.nights import a_night, finish, prepare

pytestmark = pytest.mark.night
NIGHT, LATER = NIGHTS
CANARY = "canaryqz"
STRATEGIES = {
    "stack": {},
    "weighted": {"epochs": 2, "untuned_epochs": 1},  # it draws negatives
}


@pytest.fixture(scope="module")
def lakes(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Lake, Lake]:
    """The night's lake where nothing later has arrived, and one where the later night was extracted first."""
    place = new_place(tmp_path_factory.mktemp("arrival"), items=60, users=50)
    later = place.raw.parent / "later"
    shutil.copytree(place.raw, later)
    for kind in ("items", "interactions"):
        shutil.rmtree(place.raw / kind / f"ds={LATER}")
    plant(later)
    ours, theirs = (Lake(str(place.raw.parent / name)) for name in ("without", "with"))
    prepare(engine, a_night(LATER, later, theirs, config=str(place.config)))
    prepare(engine, a_night(NIGHT, later, theirs, config=str(place.config)))
    prepare(engine, a_night(NIGHT, place.raw, ours, config=str(place.config)))
    return place, ours, theirs


def plant(raw: Path) -> None:
    """Rows of a later night: some say that they are older, some that what is known is otherwise."""
    items = raw / "items" / f"ds={LATER}" / "part-canary.jsonl"
    events = raw / "interactions" / f"ds={LATER}" / "part-canary.jsonl"
    known = known_events(raw)
    media = sorted(path.relative_to(raw).as_posix() for path in (raw / "media" / "image").iterdir())
    said = [
        {"item_id": CANARY, "title": f"{CANARY} novelty", "image_uris": media[:1], "updated_at": f"{NIGHT}T00:00:00Z"},
        {"item_id": known[0][1], "title": f"{CANARY} renamed", "updated_at": f"{LATER}T12:00:00Z"},
        {"item_id": known[1][1], "title": f"{CANARY} before", "updated_at": "2026-01-01T00:00:00Z"},
        {"item_id": known[2][1], "deleted": True},
    ]
    early = "2026-10-01T09:00:00Z"
    done = [
        *({"user_id": CANARY, "item_id": item, "event": "purchase", "timestamp": early} for _, item in known[:8]),
        *({"user_id": user, "item_id": CANARY, "event": "like", "timestamp": early} for user, _ in known[:8]),
        *(
            {"user_id": user, "item_id": item, "event": "rating", "value": 1, "timestamp": early}
            for user, item in known[3:9]
        ),
        *(
            {"user_id": user, "item_id": item, "event": "dislike", "timestamp": f"{LATER}T10:00:00Z"}
            for user, item in known[9:12]
        ),
        {"user_id": known[0][0], "item_id": known[0][1], "event": "review", "value": 5, "timestamp": early}
        | {"text": f"the {CANARY} of reviews"},
    ]
    for path, rows in ((items, said), (events, done)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def known_events(raw: Path) -> list[tuple[str, str]]:
    """Items that the first night's interactions name, each with the first user who did something with it."""
    landing = Raw(str(raw))
    records = [record for path in landing.files("interactions", NIGHT) for _, record in landing.records(path)]
    users: dict[str, str] = {}
    for record in records:
        if not isinstance(record, Refusal) and "item_id" in record:
            users.setdefault(record["item_id"], record["user_id"])
    return [(user, item) for item, user in users.items()]


def of_the_night(lake: Lake) -> dict[str, list[str]]:
    """Every row of every night up to `NIGHT`; contents of feature stores as far as the night's rows name them."""
    rows = {}
    for name, table in TABLES.items():
        if table not in FEATURES.values():
            found = lake.read(table).to_pylist()
            rows[name] = sorted(repr(row) for row in found if row["date"] <= date.fromisoformat(NIGHT))
    return rows


def test_the_later_night_is_there_and_full_of_canaries(lakes: tuple[Place, Lake, Lake]) -> None:
    _, _, theirs = lakes
    later = [row for table in TABLES.values() for row in map(repr, theirs.read(table).to_pylist()) if CANARY in row]
    assert len(later) > 15


def test_what_training_reads_is_the_same(lakes: tuple[Place, Lake, Lake]) -> None:
    """Catalog, vectors, masks, words, history and reviews; popularity and negatives are drawn from these alone."""
    place, *both = lakes
    nights = [a_night(NIGHT, place.raw, lake, config=str(place.config)) for lake in both]
    ours, theirs = (dataset for night in nights for dataset in load(night))
    assert ours.fingerprint == theirs.fingerprint
    assert ours.catalog.item_ids.tolist() == theirs.catalog.item_ids.tolist()
    assert CANARY not in theirs.catalog.item_ids and CANARY not in theirs.history.user_ids
    for modality, vectors in ours.catalog.vectors.items():
        if sparse.issparse(vectors):
            assert (vectors != theirs.catalog.vectors[modality]).nnz == 0
        else:
            np.testing.assert_array_equal(vectors, theirs.catalog.vectors[modality])
        np.testing.assert_array_equal(ours.catalog.masks[modality], theirs.catalog.masks[modality])
    assert (ours.catalog.terms != theirs.catalog.terms).nnz == 0
    for name in ("user_ids", "user", "item", "timestamp", "weight", "rating"):
        np.testing.assert_array_equal(getattr(ours.history, name), getattr(theirs.history, name))
    share = nights[0].config.fusion.review_share
    with_text = [with_reviews(d.catalog, d.reviews, d.history, share=share) for d in (ours, theirs)]
    np.testing.assert_array_equal(*(catalog.vectors["text"] for catalog in with_text))


@pytest.mark.parametrize("strategy", ["stack", pytest.param("weighted", marks=pytest.mark.at_length)])
def test_the_night_makes_the_same_of_it(
    lakes: tuple[Place, Lake, Lake], strategy: str, engine: Engine, tmp_path: Path
) -> None:
    place, *both = lakes
    settings = yaml.safe_load(place.config.read_text())
    config = tmp_path / "config.yaml"
    fusion = {"strategy": strategy, "parameters": STRATEGIES[strategy]}
    config.write_text(yaml.safe_dump(settings | {"fusion": fusion}))
    copies = [
        Lake(shutil.copytree(lake.uri.removeprefix("file://"), tmp_path / str(n)).as_uri())
        for n, lake in enumerate(both)
    ]
    for lake in copies:
        finish(engine, a_night(NIGHT, place.raw, lake, config=str(config)))
    ours, theirs = map(of_the_night, copies)
    assert ours == theirs
    assert len(ours["recommendations"]) > 100 and len(ours["models"]) == 1
    assert not [row for rows in theirs.values() for row in rows if CANARY in row]

    made = [sorted(path for path in (tmp_path / str(n) / "artifacts").rglob("*") if path.is_file()) for n in (0, 1)]
    assert [p.relative_to(tmp_path / "0") for p in made[0]] == [p.relative_to(tmp_path / "1") for p in made[1]]
    assert len(made[0]) >= 5
    for mine, other in zip(*made, strict=True):
        if other.suffix == ".keras":  # holds the moment at which it was saved, and names that count a process's layers
            with zipfile.ZipFile(other) as archive:
                assert not [name for name in archive.namelist() if CANARY.encode() in archive.read(name)]
            arrays = [keras.saving.load_model(path, compile=False).get_weights() for path in (mine, other)]
            for one, two in zip(*arrays, strict=True):
                np.testing.assert_array_equal(one, two)
            continue
        assert mine.read_bytes() == other.read_bytes(), mine
        assert CANARY.encode() not in other.read_bytes()
