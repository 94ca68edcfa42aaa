"""Law 6: a night whose model is worse does not replace the promoted one, which writes the night's tables instead."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from features.registry import vector_blocks
from fusion.evaluation import promotion
from jobs import evaluate, train
from jobs.demo import write_catalog
from jobs.modelling import artifacts, dataset, earlier_models
from jobs.runtime.night import Night, NightError
from jobs.verify import findings
from lake.lake import Lake
from lake.rows import Engine
from schemas.table import Table
from schemas.tables import ItemEmbeddings, Metrics, Models, Recommendations
from tests.faults.night import NIGHTS
from tests.faults.releases import write_releases
from tests.jobs.nights import a_night, finish, prepare, run_night

pytestmark = pytest.mark.night
FIRST, SECOND = NIGHTS
NOISE = "tests.toys:TextNoise"


def published(engine: Engine, folder: Path, fusion: dict) -> Path:
    """A lake in which a good first night is published and the second is extracted."""
    good = config(folder, "bag-of-words", fusion)
    lake = Lake(str(folder / "lake"))
    run_night(engine, a_night(FIRST, folder / "raw", lake, config=good))
    prepare(engine, a_night(SECOND, folder / "raw", lake, config=good))
    return folder


@pytest.fixture(scope="module")
def shop(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_catalog(folder / "raw", items=150, users=120, nights=2, seed=3, media=False, progress=False)
    return published(engine, folder, {"strategy": "decision"})


@pytest.fixture(scope="module")
def releases(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    write_releases(folder / "raw", NIGHTS, seed=3)
    return published(engine, folder, {})


def copied(folder: Path, tmp_path: Path) -> Lake:
    return Lake(str(shutil.copytree(folder / "lake", tmp_path / "lake")))


def config(folder: Path, encoder: str, fusion: dict) -> str:
    path = folder / f"{encoder.rpartition(':')[2]}.yaml"
    encoders = {m: {"name": f"tests.toys:{m.capitalize()}Bytes"} for m in ("image", "audio", "video")}
    encoders["text"] = {"name": encoder}
    path.write_text(yaml.safe_dump({"extract": {"encoders": encoders}, "fusion": fusion}))
    return str(path)


def of(lake: Lake, table: type[Table], night: str) -> pa.Table:
    return lake.read(table, where=pc.field("date") == pa.scalar(night).cast(pa.date32()))


def versions(lake: Lake, table: type[Table], night: str) -> set[str]:
    return set(of(lake, table, night)["model_version"].to_pylist())


def assert_kept_out(lake: Lake) -> None:
    """The second night's model is told to be worse, and the first night's writes both nights' tables."""
    (first,) = of(lake, Models, FIRST).to_pylist()
    (second,) = of(lake, Models, SECOND).to_pylist()
    assert first["promoted"], first["verdict"]
    assert not second["promoted"] and "WORSE than last_promoted" in second["verdict"], second["verdict"]
    for table in (ItemEmbeddings, Recommendations):
        assert versions(lake, table, SECOND) == versions(lake, table, FIRST) == {first["model_version"]}
    assert not findings(lake)[1]


def second(folder: Path, lake: Lake, encoder: str) -> Night:
    """The second night with another text encoder than the first, or the same."""
    fusion = yaml.safe_load((folder / "bag-of-words.yaml").read_text())["fusion"]
    return a_night(SECOND, folder / "raw", lake, config=config(folder, encoder, fusion))


def test_a_night_of_the_same_kind_is_promoted(shop: Path, engine: Engine, tmp_path: Path) -> None:
    lake = copied(shop, tmp_path)
    finish(engine, second(shop, lake, "bag-of-words"))
    (model,) = of(lake, Models, SECOND).to_pylist()
    assert model["promoted"], model["verdict"]
    assert versions(lake, Recommendations, SECOND) == {model["model_version"]}


def test_likes_that_tell_nothing_promote_no_model_over_a_judged_one(
    shop: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = copied(shop, tmp_path)
    assert of(lake, Models, FIRST)["judged"].to_pylist() == [True]
    monkeypatch.setattr(promotion, "MIN_USERS", 10_000)
    finish(engine, second(shop, lake, "bag-of-words"))
    (model,) = of(lake, Models, SECOND).to_pylist()
    assert not model["promoted"] and not model["judged"] and "too few held-out likes" in model["verdict"]
    assert versions(lake, Recommendations, SECOND) == versions(lake, Recommendations, FIRST)


def test_a_model_of_an_encoder_that_never_ran_is_not_published(
    shop: Path, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = copied(shop, tmp_path)
    night = second(shop, lake, NOISE)
    train.run(night)
    with pytest.raises(NightError, match=r"items with text on 2026-11-01 lack it now \(100%\)"):
        evaluate.run(night)
    assert not versions(lake, Models, SECOND) | versions(lake, ItemEmbeddings, SECOND)
    evaluate.run(night, allow_shrinking=True)
    assert "lack it now (100%)" in caplog.text and versions(lake, Models, SECOND)


def test_a_promoted_model_that_may_know_the_held_out_likes_is_no_rival(
    shop: Path, engine: Engine, tmp_path: Path
) -> None:
    lake = copied(shop, tmp_path)
    fusion = {"strategy": "decision", "split": {"test_share": 0.3}}
    night = a_night(SECOND, shop / "raw", lake, config=config(tmp_path, "bag-of-words", fusion))
    finish(engine, night)
    (model,) = of(lake, Models, SECOND).to_pylist()
    assert model["promoted"] and "last_promoted not judged" in model["verdict"]
    judged = set(of(lake, Metrics, SECOND)["model"].to_pylist())
    assert "popularity" in judged and "last_promoted" not in judged


def test_shuffled_labels(
    shop: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def shuffled(night: Night) -> tuple[dataset.Dataset, ...]:
        """Who liked is right, what they liked is not."""
        (found,) = dataset.load(night)
        items = np.random.default_rng(1).permutation(found.history.item)
        return (replace(found, history=replace(found.history, item=items)),)

    lake = copied(shop, tmp_path)
    monkeypatch.setattr(train, "load", shuffled)
    finish(engine, second(shop, lake, "bag-of-words"))
    assert_kept_out(lake)
    assert "WORSE than last_promoted" in caplog.text


def test_an_encoder_that_emits_noise(releases: Path, engine: Engine, tmp_path: Path) -> None:
    """The promoted model goes on in the vectors of the encoders that it was made with."""
    lake = copied(releases, tmp_path)
    night = second(releases, lake, NOISE)
    prepare(engine, night)
    last = earlier_models.promoted_before(night)[earlier_models.LAST_PROMOTED]
    noise, seen = dataset.load(
        night, vector_blocks(night.config.extract.encoders), artifacts.encoders_of(night, last.path)
    )
    (good,) = dataset.load(second(releases, lake, "bag-of-words"))
    np.testing.assert_array_equal(seen.catalog.vectors["text"], good.catalog.vectors["text"])
    assert seen.catalog.vectors["text"].shape != noise.catalog.vectors["text"].shape

    finish(engine, night)
    assert_kept_out(lake)
    width = {len(vector) for night in NIGHTS for vector in of(lake, ItemEmbeddings, night)["vector"].to_pylist()}
    assert len(width) == 1
