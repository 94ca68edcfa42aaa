"""What a night's models are given, from tables written by hand."""

import datetime as dt
import logging

import pyarrow as pa
import pytest

from features.registry import fingerprints
from jobs.landing.raw import Raw
from jobs.modelling.dataset import load
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Items

NIGHT = dt.date(2026, 11, 1)


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
    of = fingerprints(config.extract.encoders)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    for message, modality in zip(said, ("text", "image"), strict=True):
        assert message.startswith(f"{modality}: of 1 contents none has a vector of the encoder {of[modality]}")
