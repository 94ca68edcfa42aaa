"""The catalog of a night: blocks of several encoders and columns of vectors, and the items' attributes."""

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.registry import vector_blocks
from fusion.data.attributes import VALUES
from fusion.models.registry import create
from jobs.landing.raw import Raw
from jobs.modelling import artifacts
from jobs.modelling.dataset import Dataset, load
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.features import FEATURES, VectorBlock
from schemas.table import Table
from schemas.tables import Interactions, Items
from tests.toys import empty

NIGHT, LATER = dt.date(2026, 11, 1), dt.date(2026, 11, 2)
FRAMES, SOUND = VectorBlock("frames-0", 2), VectorBlock("frames-0:audio_vector", 3)
ENCODERS = {
    "text": (VectorBlock("words-0", 2), VectorBlock("bag-0", 3)),
    "image": (VectorBlock("cnn-0", 4),),
    "audio": (VectorBlock("mel-0", 2),),
    "video": (FRAMES, SOUND),
}


def write(lake: Lake, table: type[Table], rows: list[dict[str, Any]], partition: dict[str, Any]) -> None:
    blank = {
        field.name: empty(field) for field in table.schema if not pa.types.is_temporal(field.type) or field.nullable
    }
    lake.write(table, pa.Table.from_pylist([blank | row for row in rows], schema=table.schema), partition)


def store(lake: Lake, modality: str, encoder: str, contents: dict[str, list[float]], **others: dict[str, Any]) -> None:
    rows = [
        {"content_key": key, "encoder": encoder, "date": NIGHT, "vector": vector}
        | {column: values.get(key) for column, values in others.items()}
        for key, vector in contents.items()
    ]
    write(lake, FEATURES[modality], rows, {"encoder": encoder})


def arrive(lake: Lake, night: dt.date, **items: dict[str, Any]) -> None:
    rows = [{"date": night, "item_id": name, "language": "en", **said} for name, said in items.items()]
    write(lake, Items, rows, {"date": str(night)})


def loaded(lake: Lake, night: dt.date = NIGHT, *encoders: Any) -> Dataset:
    place = Night(night, Raw("raw"), lake, Config())
    return load(place, *(encoders or (ENCODERS,)))[0]


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """Item a has all; b's text is in one of two stores and its film is silent; c has a film alone; d nothing."""
    arrive(
        lake,
        NIGHT,
        a={"text_key": "ta", "video_keys": ["va"], "video_uris": ["a.mp4"]},
        b={"text_key": "tb", "video_keys": ["vb"], "video_uris": ["b.mp4"]},
        c={"video_keys": ["va"], "video_uris": ["a.mp4"]},
        d={},
    )
    store(lake, "text", "words-0", {"ta": [1, 2], "review": [9, 8]})
    store(lake, "text", "bag-0", {"ta": [3, 4, 5], "tb": [6, 7, 8]})
    store(lake, "video", "frames-0", {"va": [1, 0], "vb": [0, 1]}, audio_vector={"va": [2, 2, 3]})
    return lake


def test_blocks_stand_side_by_side_and_are_one_modality(shop: Lake) -> None:
    catalog = loaded(shop).catalog
    np.testing.assert_array_equal(
        catalog.vectors["text"], [[1, 2, 3, 4, 5], [0, 0, 6, 7, 8], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    )
    assert catalog.masks["text"].tolist() == [True, True, False, False]
    assert [mask.tolist() for _, mask in catalog.blocks("text")] == [
        [True, False, False, False],
        [True, True, False, False],
    ]


def test_the_sound_of_a_film_is_a_block_of_its_video_and_a_silent_film_lacks_it(shop: Lake) -> None:
    catalog = loaded(shop).catalog
    np.testing.assert_array_equal(
        catalog.vectors["video"], [[1, 0, 2, 2, 3], [0, 1, 0, 0, 0], [1, 0, 2, 2, 3], [0, 0, 0, 0, 0]]
    )
    assert catalog.masks["video"].tolist() == [True, True, True, False]
    assert catalog.blocks("video")[1][1].tolist() == [True, False, True, False]


def test_blocks_keep_their_width_where_no_item_has_them(lake: Lake) -> None:
    arrive(lake, NIGHT, a={})
    catalog = loaded(lake).catalog
    assert {m: vectors.shape[1] for m, vectors in catalog.vectors.items() if m != "attributes"} == {
        "text": 5,
        "image": 4,
        "audio": 2,
        "video": 5,
    }
    assert not any(mask.any() for mask in catalog.masks.values())


def test_a_review_has_the_vectors_of_all_blocks(shop: Lake) -> None:
    event = {"date": NIGHT, "user_id": "u", "item_id": "a", "event": "review", "text": "good", "text_key": "review"}
    write(shop, Interactions, [event | {"timestamp": dt.datetime(2026, 11, 1, tzinfo=dt.UTC)}], {"date": str(NIGHT)})
    reviews = loaded(shop).reviews
    np.testing.assert_array_equal(reviews.vectors[reviews.content], [[9, 8, 0, 0, 0]])


def test_a_model_that_names_one_encoder_is_given_that_one_alone(shop: Lake, tmp_path: Path) -> None:
    """As one that was stored before there were several."""
    night = Night(NIGHT, Raw("raw"), shop, Config())
    model = create("content")
    dataset = loaded(shop)
    model.fit(dataset.catalog, dataset.history, seed=0)
    made = artifacts.identity(night, dataset, "content", {})
    artifacts.save(night, made, {artifacts.SERVED: model}, encoders=dataset.encoders)
    assert artifacts.encoders_of(night, made.path) == ENCODERS

    manifest = Path(shop.uri.removeprefix("file://")) / made.path / artifacts.MANIFEST
    manifest.write_text('{"encoders": {"text": "words-0", "image": "cnn-0", "audio": "mel-0", "video": "frames-0"}}')
    before = loaded(shop, NIGHT, artifacts.encoders_of(night, made.path))
    assert {m: before.catalog.vectors[m].shape[1] for m in ENCODERS} == {"text": 2, "image": 1, "audio": 1, "video": 2}


def test_attributes_are_those_of_the_night(lake: Lake) -> None:
    said = {"category": "chairs", "price": 9.0, "attributes": [("brand", "Acme"), ("weight", "3.5")]}
    arrive(lake, NIGHT, a=said, b={"title": "has none"}, c={"attributes": [("category", "chairs")]})
    arrive(lake, LATER, a=said | {"price": 99.0})
    before, after = (loaded(lake, night) for night in (NIGHT, LATER))
    rows = before.catalog.vectors["attributes"]
    assert before.catalog.masks["attributes"].tolist() == [True, False, True]
    assert sorted(rows[0, VALUES:].data.tolist()) == pytest.approx([np.log(10), 3.5])
    assert np.diff(rows[:, :VALUES].indptr).tolist() == [3, 0, 1]
    assert not rows[0, :VALUES].multiply(rows[2, :VALUES]).nnz, "an attribute called category is not the category"
    assert after.catalog.vectors["attributes"][0, VALUES:].data.max() == pytest.approx(np.log(100))
    assert before.fingerprint != after.fingerprint


def test_an_encoder_that_never_ran_is_warned_of(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    """One item has a picture and a text and no other media: of these two nothing was extracted."""
    keys: dict = {f"{medium}_{what}": [] for medium in ("image", "audio", "video") for what in ("uris", "keys")}
    item = keys | {"image_keys": ["p"], "text_key": "t", "tags": [], "attributes": []}
    item |= {"date": NIGHT, "item_id": "i", "title": "", "description": "", "language": "en", "deleted": False}
    lake.write(Items, pa.Table.from_pylist([item], schema=Items.schema), {"date": NIGHT})
    encoders = {"text": {"name": "bag-of-words"}} | {
        medium: {"name": f"tests.toys:{medium.capitalize()}Bytes"} for medium in ("image", "audio", "video")
    }
    config = Config.model_validate({"extract": {"encoders": encoders}})
    with caplog.at_level(logging.WARNING):
        (dataset,) = load(Night(NIGHT, Raw("raw"), lake, config))
    assert not any(mask.any() for mask in dataset.catalog.masks.values())
    of = vector_blocks(config.extract.encoders)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    for message, modality in zip(said, ("text", "image"), strict=True):
        assert message.startswith(
            f"{modality}: of 1 contents none has a vector of the encoder {of[modality][0].encoder}"
        )
