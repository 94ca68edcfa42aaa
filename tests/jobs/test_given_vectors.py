"""Nights whose only features are vectors that the user has already; by item, by file, anew, late, damaged and lost."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from features.registry import encoder
from jobs import clean, extract
from jobs.modelling.dataset import load
from jobs.reextract import reextract_modality
from jobs.runtime.completeness import incomplete
from jobs.runtime.night import Night, NightError
from jobs.verify import findings
from lake.lake import Lake
from lake.rows import Engine
from schemas.features import FEATURES, FeaturesImage, FeaturesText
from schemas.tables import NEWCOMER, GivenVectors, Ledger, Quarantine, Recommendations
from tests.jobs.nights import a_night, contents, finish, prepare, run_night

pytestmark = pytest.mark.night
FIRST, SECOND = "2026-11-01", "2026-11-02"
ITEMS, USERS, DIM = 30, 24, 8
GIVEN = {"name": "given", "parameters": {"name": "my-clip", "dim": DIM}}
FINGERPRINT = encoder("image", "given", **GIVEN["parameters"]).fingerprint


def vector(item: int, seed: int = 0) -> list[float]:
    """Items of one half of the catalog are alike."""
    noise = np.random.default_rng([item, seed]).normal(0, 0.2, DIM)
    return (np.eye(DIM)[item % 2] + noise).astype(np.float32).tolist()


def land(raw: Path, kind: str, night: str, rows: list[dict[str, Any]]) -> None:
    folder = raw / kind / f"ds={night}"
    folder.mkdir(parents=True, exist_ok=True)
    if kind.startswith("vectors"):
        pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", write_page_checksum=True)
    else:
        (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def land_catalog(raw: Path) -> None:
    """Items without media or text, and users who like those of one half."""
    land(raw, "items", FIRST, [{"item_id": f"i{n}"} for n in range(ITEMS)])
    rng = np.random.default_rng(7)
    for night in (FIRST, SECOND):
        likes = [
            {"user_id": f"u{user}", "item_id": f"i{2 * item + user % 2}", "event": "like"}
            | {"timestamp": f"{night}T{hour:02}:00:00Z"}
            for user in range(USERS)
            for hour, item in enumerate(rng.choice(ITEMS // 2, 5, replace=False))
        ]
        land(raw, "interactions", night, likes)


def configured(folder: Path, **encoders: dict[str, Any]) -> str:
    """A configuration in which vectors are given for pictures; other modalities have encoders that cost nothing."""
    toys = {m: {"name": f"tests.toys:{m.capitalize()}Bytes"} for m in FEATURES}
    path = folder / "config.yaml"
    settings = {"extract": {"encoders": toys | {"image": GIVEN} | encoders}, "fusion": {"strategy": "stack"}}
    path.write_text(yaml.safe_dump(settings))
    return str(path)


def of_night(folder: Path, night: str, lake: str = "lake", **encoders: dict[str, Any]) -> Night:
    return a_night(night, folder / "raw", Lake(str(folder / lake)), config=configured(folder, **encoders))


def account(night: Night, step: str) -> dict[str, Any]:
    (row,) = (r for r in night.lake.read(Ledger).to_pylist() if (r["step"], r["date"]) == (step, night.date))
    return row


def broken(lake: Lake) -> set[tuple[str, str]]:
    return {(finding.table, finding.promise) for finding in findings(lake)[1]}


@pytest.fixture(scope="module")
def two_nights(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vectors of half of the items arrive anew on the second night."""
    folder = tmp_path_factory.mktemp("given")
    land_catalog(folder / "raw")
    land(folder / "raw", "vectors/image", FIRST, [{"item_id": f"i{n}", "vector": vector(n)} for n in range(ITEMS)])
    anew = [{"item_id": f"i{n}", "vector": vector(n, seed=1)} for n in range(ITEMS // 2)]
    land(folder / "raw", "vectors/image", SECOND, anew)
    for night in (FIRST, SECOND):
        run_night(engine, of_night(folder, night))
    return folder


def test_vectors_can_be_the_only_features(two_nights: Path) -> None:
    night = of_night(two_nights, SECOND)
    looked, found = findings(night.lake)
    assert looked > 80 and not found
    shelves = night.lake.read(Recommendations).to_pylist()
    assert {row["user_id"] for row in shelves} == {NEWCOMER, *(f"u{user}" for user in range(USERS))}
    assert {tuple(row["modalities"]) for row in shelves} == {("image",)}
    assert len(night.lake.read(FeaturesText)) == 0
    stored = night.lake.read(FeaturesImage).to_pylist()
    assert {row["encoder"] for row in stored} == {FINGERPRINT} and len(stored) == ITEMS + ITEMS // 2
    assert {row["width"] for row in stored} == {None}
    assert (account(night, "clean_vectors_image")["kept"], account(night, "extract_image")["kept"]) == (15, 15)


def test_the_latest_vectors_of_an_item_count_and_no_later_ones(two_nights: Path) -> None:
    for date, seed in ((FIRST, 0), (SECOND, 1)):
        (dataset,) = load(of_night(two_nights, date))
        place = dataset.catalog.item_ids.tolist().index("i3")
        np.testing.assert_array_equal(dataset.catalog.vectors["image"][place], np.float32(vector(3, seed)))
        assert dataset.catalog.masks["image"].all() and not dataset.catalog.masks["text"].any()
    first, second = (load(of_night(two_nights, date))[0].fingerprint for date in (FIRST, SECOND))
    assert first != second


def test_a_rerun_of_the_first_night_changes_no_row(two_nights: Path, engine: Engine) -> None:
    night = of_night(two_nights, FIRST)
    before = contents(night.lake)
    run_night(engine, night)
    assert contents(night.lake) == before


def test_nights_in_the_other_order_give_the_same_rows(two_nights: Path, engine: Engine) -> None:
    for date in (SECOND, FIRST):
        prepare(engine, of_night(two_nights, date, "backwards"))
    for date in (FIRST, SECOND):
        finish(engine, of_night(two_nights, date, "backwards"))
    backwards, forwards = (contents(Lake(str(two_nights / name))) for name in ("backwards", "lake"))
    without = {f"features_{m}" for m in FEATURES}
    assert {n: r for n, r in backwards.items() if n not in without} == {
        n: r for n, r in forwards.items() if n not in without
    }
    assert not findings(Lake(str(two_nights / "backwards")))[1]


def lose_a_feature(lake: Lake) -> None:
    rows = lake.read(FeaturesImage)
    lake.write(FeaturesImage, rows.slice(1), {"encoder": FINGERPRINT})


def lose_a_vector(lake: Lake) -> None:
    rows = lake.read(GivenVectors)
    partition = {"date": FIRST, "modality": "image"}
    here = pa.array([str(date) == FIRST for date in rows["date"].to_pylist()])
    lake.write(GivenVectors, rows.filter(here).slice(1), partition)


def forget_readable(lake: Lake) -> None:
    rows = lake.read(FeaturesImage).slice(0, 1)
    rows = rows.set_column(rows.column_names.index("encoder"), "encoder", pa.array(["resnet50-0123456789ab"]))
    lake.write(FeaturesImage, rows, {"encoder": "resnet50-0123456789ab"})


@pytest.mark.parametrize(
    ("damage", "promises"),
    [
        (
            lose_a_feature,
            {
                ("given_vectors", "every content was extracted or refused"),
                ("ledger", "kept contents are in the store of their encoder"),
            },
        ),
        (
            lose_a_vector,
            {
                ("ledger", "kept rows are in the tables"),
                ("ledger", "contents that arrive are extracted or refused"),
                ("ledger", "kept contents are in the store of their encoder"),
            },
        ),
        (forget_readable, {("features_image", "readable features are there unless vectors were given")}),
    ],
)
def test_what_is_planted_is_found(
    two_nights: Path, tmp_path: Path, damage: Callable[[Lake], None], promises: set[tuple[str, str]]
) -> None:
    lake = Lake(str(shutil.copytree(two_nights / "lake", tmp_path / "lake")))
    damage(lake)
    assert broken(lake) == promises


def test_by_file_beside_a_real_encoder_and_another_dim_later(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "raw" / "media").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (tmp_path / "raw" / "media" / name).write_bytes(name.encode())
    pictures = {"one": ["media/a.png"], "two": ["media/a.png", "media/b.png"], "own": ["media/b.png"], "none": []}
    items = [{"item_id": name, "title": f"title {name}", "image_uris": uris} for name, uris in pictures.items()]
    land(tmp_path / "raw", "items", FIRST, items)
    rows = [{"uri": "media/a.png", "vector": vector(0)}, {"uri": "media/b.png", "vector": vector(1)}]
    rows += [{"item_id": "own", "vector": vector(2)}, {"item_id": "own", "vector": vector(3)}]
    land(tmp_path / "raw", "vectors/image", FIRST, [{"item_id": None, "uri": None} | row for row in rows])
    night = of_night(tmp_path, FIRST)
    prepare(engine, night)
    assert not broken(night.lake)
    (dataset,) = load(night)
    vectors = dict(zip(dataset.catalog.item_ids.tolist(), dataset.catalog.vectors["image"], strict=True))
    expected = {"one": [0], "two": [0, 1], "own": [2, 3]}
    for name, of in expected.items():
        np.testing.assert_allclose(vectors[name], np.mean([vector(n) for n in of], axis=0), atol=1e-6)
    assert dict(zip(dataset.catalog.item_ids.tolist(), dataset.catalog.masks["image"], strict=True)) == {
        "one": True, "two": True, "own": True, "none": False,
    }  # fmt: skip
    assert dataset.catalog.masks["text"].all(), "the other modality is read as ever"
    # Another width: what arrived before is no vector of that encoder.
    changed = of_night(tmp_path, FIRST, image={"name": "given", "parameters": {"name": "my-clip", "dim": DIM + 1}})
    with pytest.raises(NightError, match="4 of 4 refused"):
        extract.extract_modality(lambda *_: engine, changed, "image")
    refused = [row for row in night.lake.read(Quarantine).to_pylist() if row["stage"] == "extract_image"]
    assert {(row["source"], row["reason"]) for row in refused} == {("given_vectors", "vector_width")}
    # Another encoder reads the files again, and the vectors are no contents of its.
    other = of_night(tmp_path, FIRST, image={"name": "tests.toys:ImageBytes"})
    reextract_modality(lambda *_: engine, other, "image", chunk=1)
    assert account(other, "reextract_image")["kept"] == 2
    prepare(engine, other)
    assert len(other.lake.read(GivenVectors)) == 0 and not broken(other.lake)


def lay_refused(raw: Path) -> None:
    good, place = vector(0), {"item_id": None, "uri": None}
    rows = [
        {"item_id": "a", "vector": good},
        {"item_id": "a", "vector": good},
        {"item_id": "a", "vector": vector(1)},
        {"item_id": "a", "uri": "media/a.png", "vector": good},
        {"vector": good},
        {"item_id": "", "vector": good},
        {"item_id": "b"},
        {"item_id": "b", "vector": good[1:]},
        {"item_id": "b", "vector": [float("nan"), *good[1:]]},
        {"item_id": "b", "vector": [1e300, *good[1:]]},
        {"item_id": "b", "vector": [0.5] * DIM},
    ]
    table = pa.Table.from_pylist([place | {"other": 1, "vector": None} | row for row in rows])
    folder = raw / "vectors" / "image" / f"ds={FIRST}"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "a.parquet")
    many = [{"item_id": f"m{n}", "vector": vector(n)} for n in range(30)]
    for name, kind in (("half", pa.float16()), ("wide", pa.float64())):
        for n, of in enumerate((pa.list_(kind), pa.list_(kind, DIM), pa.large_list(kind))):
            named = [row | {"item_id": f"{name}{n}-{row['item_id']}"} for row in many]
            schema = pa.schema([("item_id", pa.string()), ("vector", of)])
            pq.write_table(pa.Table.from_pylist(named, schema), folder / f"{name}{n}.parquet")
    (folder / "notes.txt").write_text("not read")
    for name in ("imagee", "text", "smell"):
        (raw / "vectors" / name / f"ds={FIRST}").mkdir(parents=True)


def test_what_is_refused_and_what_is_not_read(engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lay_refused(tmp_path / "raw")
    night = of_night(tmp_path, FIRST)
    with caplog.at_level(logging.WARNING, "nightweave.clean"):
        clean.clean_vectors(engine, night)
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "imagee (did you mean image?), smell (no modality)" in line]) == 1
    assert len([line for line in said if line.startswith("vectors/text is not read")]) == 1
    row = account(night, "clean_vectors_image")
    assert (row["rows_in"], row["kept"], row["refused"], row["duplicates"], row["superseded"]) == (191, 182, 8, 1, 0)
    assert (row["files"], row["unread_files"], row["unknown_columns"]) == (7, 1, [("other", 11)])
    refused = {
        r["position"]: r["reason"] for r in night.lake.read(Quarantine).to_pylist() if "a.parquet" in r["source"]
    }
    assert refused == {
        4: "vector_owner", 5: "vector_owner", 6: "item_id_missing", 7: "vector_type", 8: "vector_width",
        9: "vector_not_finite", 10: "vector_overflow", 11: "vector_constant",
    }  # fmt: skip
    for name in ("wide0", "wide1", "wide2"):
        stored = [r["vector"] for r in night.lake.read(GivenVectors).to_pylist() if r["item_id"] == f"{name}-m3"]
        assert stored == [vector(3)]
    assert not broken(night.lake)
    assert incomplete(of_night(tmp_path, SECOND)) == [FIRST]


def test_a_cut_file_stops_the_night(engine: Engine, tmp_path: Path) -> None:
    land(tmp_path / "raw", "vectors/image", FIRST, [{"item_id": f"i{n}", "vector": vector(n)} for n in range(100)])
    path = tmp_path / "raw" / "vectors" / "image" / f"ds={FIRST}" / "a.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    night = of_night(tmp_path, FIRST)
    with pytest.raises(NightError, match=r"a\.parquet cannot be read whole.*law 3"):
        clean.clean_vectors(engine, night)
    assert len(night.lake.read(GivenVectors)) == len(night.lake.read(Ledger)) == 0


def test_vectors_of_texts(engine: Engine, tmp_path: Path) -> None:
    """A text has no file, and its words are not read; training has vectors all the same."""
    land(tmp_path / "raw", "items", FIRST, [{"item_id": "a", "title": "words"}])
    rows = [{"item_id": "a", "uri": None, "vector": vector(0)}, {"item_id": None, "uri": "a.txt", "vector": vector(1)}]
    land(tmp_path / "raw", "vectors/text", FIRST, rows)
    night = of_night(tmp_path, FIRST, text=GIVEN)
    prepare(engine, night)
    assert (account(night, "clean_vectors_text")["refused"], account(night, "extract_text")["rows_in"]) == (1, 1)
    (dataset,) = load(night)
    assert dataset.catalog.masks["text"].all() and dataset.catalog.terms is not None and not dataset.catalog.terms.nnz
    assert not broken(night.lake)
