"""A night with two encoders of texts and of pictures, films with their sound, and attributes; most are ONNX models, and
one of texts stands in the space of one of pictures and that of films."""

import re

import numpy as np
import pyarrow.compute as pc
import pytest
import yaml

from jobs.explain import explain_shelves
from jobs.modelling.dataset import load
from jobs.runtime.night import Night
from jobs.verify import findings
from lake import views
from lake.rows import Engine
from schemas.features import FeaturesImage, FeaturesText
from schemas.tables import ItemEmbeddings, Ledger, Recommendations
from tests.faults.night import NIGHTS, ROOT, new_place
from tests.features import tiny_onnx
from tests.jobs.nights import a_night, run_night

pytestmark = pytest.mark.night


@pytest.fixture(scope="module")
def night(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Night:
    place = new_place(tmp_path_factory.mktemp("several"))
    settings = yaml.safe_load(place.config.read_text())
    encoders = settings["extract"]["encoders"]
    models = tmp_path_factory.mktemp("models")
    words = {"weights": tiny_onnx.text(models / "words.onnx"), "pooling": "mean", "max_tokens": 24, "space": "clip"}
    pictures = {"weights": tiny_onnx.image(models / "pictures.onnx"), "output": "embeds", "size": tiny_onnx.SIDE}
    sounds = {"weights": tiny_onnx.audio(models / "sounds.onnx")}
    clip = {"name": "onnx", "parameters": pictures | {"space": "clip"}}
    films = {"appearance": clip, "sound": {"name": "onnx", "parameters": sounds}, "detector": None}
    encoders["text"] = [encoders["text"], {"name": "onnx", "parameters": words}]
    encoders["image"] = [{"name": "hog"}, clip]
    encoders["video"] = {"name": "frame-mean", "parameters": films}
    place.config.write_text(yaml.safe_dump(settings))
    made = a_night(NIGHTS[0], place.raw, place.tables(), config=str(place.config))
    run_night(engine, made)
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
    assert [vectors.shape[1] for vectors, _ in catalog.blocks("text")] == [24, tiny_onnx.WIDTH]
    assert [vectors.shape[1] for vectors, _ in catalog.blocks("image")] == [386, tiny_onnx.WIDTH]
    (_, films), (_, sounds) = catalog.blocks("video")
    assert films.any() and (films == catalog.masks["video"]).all()
    assert not (sounds & ~films).any() and catalog.masks["attributes"].all(), "each item of the demo has a price"
    embedded = night.lake.read(ItemEmbeddings).sort_by("item_id")
    has = np.array(["image" in modalities for modalities in embedded["modalities"].to_pylist()])
    np.testing.assert_array_equal(has, catalog.masks["image"])


def test_texts_and_pictures_of_one_space_are_compared_by_the_documented_query(night: Night) -> None:
    """The nearest of all pairs is found again in NumPy, on vectors of length 1."""
    page = (ROOT / "docs" / "reference" / "encoders.md").read_text("utf-8")
    (sql,) = re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    with views.reading(night.lake) as connection:
        found = connection.sql(sql).fetchall()
    vectors = []
    for table in (FeaturesImage, FeaturesText):
        rows = night.lake.read(table).filter(pc.starts_with(pc.field("encoder"), "onnx-"))
        stacked = np.array(rows["vector"].to_pylist())
        vectors.append(stacked / np.linalg.norm(stacked, axis=1, keepdims=True))
    images, texts = vectors
    assert images.shape[1] == texts.shape[1] == tiny_onnx.WIDTH and len(found) == 10
    assert found[0][2] == pytest.approx((images @ texts.T).max(), abs=1e-5)


def test_attributes_are_among_the_reasons(night: Night) -> None:
    shown = night.lake.read(Recommendations)
    assert pc.any(pc.not_equal(shown["contribution_attributes"], 0)).as_py()
    assert ", attributes " in explain_shelves(night)
