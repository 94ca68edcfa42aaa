"""The rows of shelves, made in this process: what Spark's tasks do with a batch of users."""

import math
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from fusion.ranking.rank_aggregation import COMBINATIONS, nonzero_items
from fusion.ranking.sigmoid import Sigmoid
from jobs.landing.raw import Raw
from jobs.modelling.shelf_scores import Shelves
from jobs.recommend import shelf_rows
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.table import MODALITIES, PARTS

USERS, ITEMS = 24, 60
NOBODY = 3


@pytest.fixture
def night(lake: Lake) -> Night:
    return Night(date(2026, 11, 1), Raw("raw"), lake, Config())


def user_vectors() -> np.ndarray:
    """float32 [USERS, 96]."""
    return np.random.default_rng(2).normal(size=(USERS, 96)).astype(np.float32)


def shelves(combination: str) -> Shelves:
    """Items of which every third has no image, the first ten are new, and nothing has audio or video."""
    random = np.random.default_rng(1)
    blocks = {"history": slice(0, 30), "popularity": slice(30, 40), "text": slice(40, 70), "image": slice(70, 96)}
    blocks |= {name: slice(96, 96) for name in ("audio", "video")}
    vectors = random.normal(size=(ITEMS, 96)).astype(np.float32)
    masks = {m: np.full(ITEMS, m in ("text", "image")) for m in MODALITIES}
    masks["image"][::3] = False
    vectors[::3, blocks["image"]] = 0
    is_new = np.arange(ITEMS) < 10
    vectors[is_new, :40] = 0
    common = vectors[:, :30] @ np.delete(user_vectors(), NOBODY, axis=0)[:, :30].mean(axis=0)
    return Shelves(
        item_ids=np.array([f"i{n:03d}" for n in range(ITEMS)]),
        vectors=vectors,
        masks=masks,
        is_new=is_new,
        blocks=blocks,
        neighbour_blocks=blocks,
        combination=combination,
        weights={name: 1.0 if combination == "sum" else 0.5 + len(name) / 10 for name in PARTS},
        nonzero=nonzero_items(vectors, blocks),
        common_history=common if combination == "sum" else np.zeros(ITEMS, np.float32),
        newcomer=user_vectors()[NOBODY],
        calibration={"with_history": Sigmoid(0.5, -1.0), "new_items": Sigmoid(0.1, -2.0)},
    )


def users(rows: list[int], *, new_items: np.ndarray | None = None) -> pa.RecordBatch:
    """Users without vectors of their own for new items, or with one for all of them."""
    vectors = user_vectors()
    own = None if new_items is None else new_items.tolist()
    columns = {
        "user_id": pa.array([f"u{n:03d}" for n in rows]),
        "model_version": pa.array(["m"] * len(rows)),
        "vector": pa.array([vectors[n].tolist() for n in rows], pa.list_(pa.float32())),
        "new_items_vector": pa.array([own] * len(rows), pa.list_(pa.float32())),
        "seen": pa.array([[f"i{k:03d}" for k in range(10 + n, 20 + n)] if n else None for n in rows]),
    }
    return pa.RecordBatch.from_pydict(columns)


def rows_of(night: Night, batch: pa.RecordBatch, catalog: Shelves) -> list[dict]:
    return pa.Table.from_batches(list(shelf_rows(batch, catalog, k=5, night=night))).to_pylist()


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_users_rows_do_not_depend_on_companions(night: Night, combination: str) -> None:
    catalog = shelves(combination)
    everyone = rows_of(night, users(list(range(USERS))), catalog)
    backwards = rows_of(night, users(list(range(USERS))[::-1]), catalog)
    assert sorted(map(repr, everyone)) == sorted(map(repr, backwards))
    for user in range(0, USERS, 5):
        alone = rows_of(night, users([user]), catalog)
        assert alone == [row for row in everyone if row["user_id"] == f"u{user:03d}"]
        assert len(alone) == 10


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_contributions_are_the_score(night: Night, combination: str) -> None:
    for row in rows_of(night, users(list(range(USERS))), shelves(combination)):
        parts = [row[f"contribution_{part}"] for part in PARTS]
        assert row["score"] == pytest.approx(sum(parts), rel=1e-5, abs=1e-6)
        assert row["contribution_audio"] == row["contribution_video"] == 0
        assert "image" in row["modalities"] or row["contribution_image"] == 0
        assert row["shelf"] == "for_you" or row["contribution_history"] == row["contribution_popularity"] == 0


def test_history_is_what_sets_a_user_apart_from_others(night: Night) -> None:
    """Of a user with likes it is what their vector less the mean one gives; of one without it is nothing."""
    catalog, vectors = shelves("sum"), user_vectors()
    mean = np.delete(vectors, NOBODY, axis=0).mean(axis=0)
    for row in (r for r in rows_of(night, users([NOBODY, NOBODY + 1]), catalog) if r["shelf"] == "for_you"):
        item = catalog.vectors[catalog.places([row["item_id"]])[0]]
        number = int(row["user_id"][1:])
        apart = vectors[number] - mean if number != NOBODY else np.zeros(96)
        assert row["contribution_history"] == pytest.approx(float(item[:30] @ apart[:30]), abs=1e-4)
        both = float(item[:40] @ vectors[number][:40])
        assert row["contribution_history"] + row["contribution_popularity"] == pytest.approx(both, abs=1e-4)
        assert (row["contribution_history"] == 0) is (number == NOBODY or row["item_id"] < "i010")


def test_probabilities_are_of_the_population(night: Night) -> None:
    """Of users without a like the model has no calibration."""
    for row in rows_of(night, users([NOBODY, NOBODY + 1]), shelves("sum")):
        slope, intercept = (0.1, -2.0) if row["shelf"] == "new_items" else (0.5, -1.0)
        expected = 1 / (1 + math.exp(-(slope * row["score"] + intercept)))
        if row["user_id"] == f"u{NOBODY:03d}" and row["shelf"] == "for_you":
            assert row["probability"] is None
        else:
            assert row["probability"] == pytest.approx(expected, rel=1e-5)


def test_places_leave_out_what_was_seen(night: Night) -> None:
    """User 1 has seen items 11 to 20: whatever is first among the others gets 1 / 61 from the history."""
    rows = rows_of(night, users([1]), shelves("reciprocal_rank"))
    first = max(row["contribution_history"] for row in rows if row["shelf"] == "for_you")
    assert first == pytest.approx((0.5 + len("history") / 10) / 61)
    assert not {row["item_id"] for row in rows} & {f"i{k:03d}" for k in range(11, 21)}


def test_new_items_are_ranked_by_the_vector_for_them(night: Night) -> None:
    """One that asks for the eleventh column of the text, and nothing else."""
    catalog, wanted = shelves("sum"), np.eye(96, dtype=np.float32)[50]
    rows = rows_of(night, users([0, 1], new_items=wanted), catalog)
    best = np.argsort(-catalog.vectors[:10, 50])[:5]
    for user in ("u000", "u001"):
        shelf = [row for row in rows if (row["user_id"], row["shelf"]) == (user, "new_items")]
        assert [row["item_id"] for row in shelf] == [f"i{n:03d}" for n in best]
        assert [row["contribution_text"] for row in shelf] == pytest.approx(catalog.vectors[best, 50])
    for_you = [row for row in rows if row["shelf"] == "for_you"]
    assert for_you == [row for row in rows_of(night, users([0, 1]), catalog) if row["shelf"] == "for_you"]
