"""A night with two encoders of texts and of pictures, films with their sound, and attributes."""

from datetime import date

import numpy as np
import pyarrow.compute as pc
import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.explain import explain_shelves
from jobs.modelling.dataset import load
from jobs.runtime.night import Night
from jobs.verify import findings
from schemas.tables import ItemEmbeddings, Ledger, Recommendations
from tests.faults.night import NIGHTS, new_place
from tests.jobs.nights import a_night, run_night

pytestmark = pytest.mark.night


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    place = new_place(tmp_path_factory.mktemp("several"))
    settings = yaml.safe_load(place.config.read_text())
    encoders = settings["extract"]["encoders"]
    encoders["text"] = [encoders["text"], {"name": "bag-of-words", "parameters": {"dim": 64}}]
    encoders["image"] = [encoders["image"], {"name": "tests.toys:ImageNoise"}]
    encoders["video"] = {"name": "frame-sequence"}
    place.config.write_text(yaml.safe_dump(settings))
    made = a_night(NIGHTS[0], place.raw, place.tables(), config=str(place.config))
    run_night(spark, made)
    return made


def test_what_is_promised_holds_and_every_encoder_has_its_account(night: Night) -> None:
    looked, broken = findings(night.lake)
    assert looked > 80 and not broken
    steps = [step for step in night.lake.read(Ledger)["step"].to_pylist() if step.startswith("extract_")]
    assert sorted(step.partition(".")[0] for step in steps) == sorted(
        [*("extract_text", "extract_image") * 2, "extract_audio", "extract_video"]
    )


def test_models_read_all_blocks_as_one_modality(night: Night) -> None:
    (dataset,) = load(night)
    catalog = dataset.catalog
    assert [vectors.shape[1] for vectors, _ in catalog.blocks("text")] == [24, 64]
    assert [vectors.shape[1] for vectors, _ in catalog.blocks("image")] == [24, 24]
    (_, films), (_, sounds) = catalog.blocks("video")
    assert films.any() and (films == catalog.masks["video"]).all()
    assert not (sounds & ~films).any() and catalog.masks["attributes"].all(), "each item of the demo has a price"
    embedded = night.lake.read(ItemEmbeddings).sort_by("item_id")
    has = np.array(["image" in modalities for modalities in embedded["modalities"].to_pylist()])
    np.testing.assert_array_equal(has, catalog.masks["image"])


def test_attributes_are_among_the_reasons(night: Night) -> None:
    shown = night.lake.read(Recommendations)
    assert pc.any(pc.not_equal(shown["contribution_attributes"], 0)).as_py()
    assert ", attributes " in explain_shelves(night.lake, date.fromisoformat(NIGHTS[0]))
