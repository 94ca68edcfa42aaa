"""What fusion reads of films and sounds in order of time."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.registry import vector_blocks
from fusion.data.catalog import MAX_STEPS
from jobs.landing.raw import Raw
from jobs.modelling.dataset import load
from jobs.modelling.sequences import WIDTH, project, sequences, subsample
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.features import FEATURES
from schemas.tables import Items
from tests.toys import empty

NIGHT = dt.date(2026, 11, 1)


def write(lake: Lake, modality: str, contents: dict[str, dict], *, encoder: str = "e") -> None:
    schema = FEATURES[modality].schema
    identity = {"date": NIGHT, "encoder": encoder, "vector": [0.0, 1.0]}
    base = {field.name: empty(field) for field in schema if field.name not in identity} | identity
    rows = [base | {"content_key": key} | values for key, values in contents.items()]
    lake.write(FEATURES[modality], pa.Table.from_pylist(rows, schema=schema), {"encoder": encoder})


def film(*steps: list[float]) -> dict:
    return {"sequence": [value for step in steps for value in step], "frames": len(steps)}


def read(lake: Lake, modality: str, owned: list[tuple[int, str]], *, n_items: int):
    owner, key = zip(*owned, strict=True)
    encoded = lake.read(FEATURES[modality], columns=["content_key"])["content_key"]
    places = {"owner": np.array(owner), "key": pa.array(key)}
    return sequences(lake, modality, "e", encoded=encoded, **places, n_items=n_items)


def test_films_by_hand(lake: Lake) -> None:
    """Item 0 has two films and the first counts; item 1 has one that was not encoded and one that was, which item 3
    has too; item 2 has none; item 4's is under another encoder; item 5's has no frame."""
    write(lake, "video", {"a": film([1, 2], [3, 4]), "b": film([5, 6]), "z": film()})
    write(lake, "video", {"c": film([7, 8])}, encoder="other")
    owned = [(0, "a"), (0, "b"), (1, "lost"), (1, "b"), (3, "b"), (4, "c"), (5, "z")]
    found = read(lake, "video", owned, n_items=6)
    assert found.place.tolist() == [0, 1, -1, 1, -1, -1]
    assert found.lengths.tolist() == [2, 1]
    np.testing.assert_array_equal(found.values, [[[1, 2], [3, 4]], [[5, 6], [0, 0]]])
    assert (found.values.dtype, found.lengths.dtype) == (np.float32, np.int32)


def test_sounds_are_32_parts_of_time_in_32_bands(lake: Lake) -> None:
    write(lake, "audio", {"a": {"mel_sequence": np.arange(1024.0)}})
    found = read(lake, "audio", [(1, "a")], n_items=2)
    assert found.place.tolist() == [-1, 0]
    np.testing.assert_array_equal(found.values[0], np.arange(1024).reshape(32, 32))


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_without_features_nobody_has_a_sequence(modality: str, lake: Lake) -> None:
    found = read(lake, modality, [(0, "a")], n_items=2)
    assert found.place.tolist() == [-1, -1]
    assert len(found.values) == len(found.lengths) == 0


def test_long_sequences_are_thinned_evenly() -> None:
    steps = np.arange(63, dtype=np.float32)[:, None]
    assert subsample(steps)[:, 0].tolist() == list(range(0, 63, 2))
    assert len(subsample(steps[:5])) == 5
    assert len(subsample(steps)) == MAX_STEPS


def test_wide_steps_are_narrowed_and_stay_about_as_far_apart() -> None:
    steps = np.random.default_rng(0).normal(size=(40, 1280)).astype(np.float32)
    found = project(steps)
    assert found.shape == (40, WIDTH)
    before = np.linalg.norm(steps[:, None] - steps[None], axis=2)[np.triu_indices(40, 1)]
    after = np.linalg.norm(found[:, None] - found[None], axis=2)[np.triu_indices(40, 1)]
    assert np.abs(after / before - 1).mean() < 0.15
    np.testing.assert_array_equal(project(steps), found)
    np.testing.assert_array_equal(project(steps[:, :32]), steps[:, :32])


@pytest.mark.parametrize(("strategy", "reads"), [("joint", True), ("concatenation", False)])
def test_a_night_loads_sequences_if_its_strategy_reads_them(
    strategy: str, reads: bool, lake: Lake, tmp_path: Path
) -> None:
    config = Config.model_validate({"fusion": {"strategy": strategy}})
    write(lake, "video", {"a": film([1, 2], [3, 4])}, encoder=vector_blocks(config.extract.encoders)["video"][0].name)
    base = {field.name: empty(field) for field in Items.schema if field.name != "date"}
    base |= {"date": NIGHT, "title": "t", "description": "", "language": "en", "deleted": False}
    rows = [base | {"item_id": "i0"}, base | {"item_id": "i1", "video_uris": ["a.mp4"], "video_keys": ["a"]}]
    lake.write(Items, pa.Table.from_pylist(rows, schema=Items.schema), {"date": NIGHT})
    (dataset,) = load(Night(NIGHT, Raw(str(tmp_path)), lake, config))
    found = dataset.catalog
    assert found.masks["video"].tolist() == [False, True]
    assert set(found.sequences) == ({"audio", "video"} if reads else set())
    if reads:
        assert found.sequences["video"].place.tolist() == [-1, 0]
        assert found.sequences["audio"].place.tolist() == [-1, -1]
