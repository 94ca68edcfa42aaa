"""The comparison's command and the dense part of a dataset."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from fusion.data.reviews import Reviews, no_reviews
from fusion.selection.variants import VARIANTS
from jobs.cli import app
from jobs.compare import compare, dense
from jobs.landing.raw import Raw
from jobs.modelling.dataset import Dataset
from jobs.runtime.night import Night, UserError
from lake.lake import Lake
from schemas.config import Config, ConfigError
from schemas.table import MODALITIES
from schemas.tables import Items
from tests.fusion.worlds import catalog_of, history_of, tastes


def test_a_dense_dataset_keeps_who_belongs_to_whom() -> None:
    """Items 1 and 3 and users 0 and 1 stay; item 3 becomes the second row, with its vector and its review."""
    history = history_of([(0, 1, 1), (0, 3, 2), (1, 1, 1), (1, 3, 2), (2, 2, 1), (0, 2, 5, 0.0)])
    reviews = Reviews(*(np.array(places, np.int32) for places in ([0, 2], [3, 2], [0, 1])), np.eye(2, dtype=np.float32))
    dataset = Dataset(catalog_of(np.eye(4)), history, reviews, {}, "data")
    found = dense(dataset, least=2)
    assert found.catalog.item_ids.tolist() == ["i0001", "i0003"]
    assert found.catalog.vectors["text"].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert found.history.item.tolist() == [0, 1, 0, 1] and found.history.user.tolist() == [0, 0, 1, 1]
    assert (found.reviews.user.tolist(), found.reviews.item.tolist(), found.reviews.content.tolist()) == ([0], [1], [0])


@pytest.fixture
def empty(lake: Lake) -> Lake:
    """A lake with a table and no row."""
    lake.write(Items, Items.schema.empty_table(), {"date": "2026-11-01"})
    return lake


@pytest.mark.parametrize(
    "option", ["--strategies", "--missing", "--baselines", "--splits", "--variants", "--leave-out"]
)
def test_unknown_names_are_refused_with_those_there_are(empty: Lake, option: str) -> None:
    arguments = ["compare", "--date", "2026-11-01", "--lake", empty.uri, option, "oracle"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert f"{option} oracle: unknown; choose among" in str(result.exception)


def test_a_lake_without_likes_is_refused(empty: Lake) -> None:
    result = CliRunner().invoke(app, ["compare", "--date", "2026-11-01", "--lake", empty.uri])
    assert isinstance(result.exception, UserError) and "no likes to compare on" in str(result.exception)


@pytest.mark.parametrize(
    ("fusion", "says"),
    [
        ("strategy: oracle", "strategy 'oracle': unknown; choose one of concatenation"),
        ("parameters: {colour: 3}", "colour"),
        ("missing: {policy: hope}", "'hope': unknown; choose one of drop"),
    ],
)
def test_a_fusion_that_cannot_be_is_a_mistake_in_the_configuration(lake: Lake, fusion, says, tmp_path) -> None:
    config = tmp_path / "night.yaml"
    config.write_text(f"fusion: {{{fusion}}}")
    arguments = ["compare", "--date", "2026-11-01", "--lake", lake.uri, "--config", str(config)]
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, ConfigError) and says in str(error)


@pytest.fixture
def world(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Night]:
    """Nights of one small data set, under some settings of fusion."""
    catalog, history = tastes(users=60, items=60)
    dataset = Dataset(catalog, history, no_reviews(), {}, "data")
    monkeypatch.setattr("jobs.compare.load", lambda night: (dataset,))

    def night(**fusion: object) -> Night:
        return Night(date(2026, 11, 1), Raw("raw"), lake, Config.model_validate({"fusion": fusion}))

    return night


def lines(table: pa.Table) -> dict[tuple[str, str, str], dict]:
    return {(row["data"], row["split"], row["model"]): row for row in table.to_pylist()}


def test_all_variants_are_compared_in_one_run(world: Callable[..., Night]) -> None:
    found = lines(
        compare(
            world(strategy="content"),
            splits=["per_user", "cold_items"],
            least=0,
            strategies=["decision"],
            missing=["mean"],
            baselines=[],
            variants=VARIANTS,
        )
    )
    alone = {"text_alone", "image_alone"}  # the data has these two modalities
    variants = {*VARIANTS} - {f"{modality}_alone" for modality in MODALITIES} | alone
    assert {data for data, _, _ in found} == variants
    for data in variants - {"full"}:
        models = {model for of, split, model in found if (of, split) == (data, "per_user")}
        assert models == {"content", "decision", "popularity", "item_knn", "ease", "ials"}, data
    full = {model for data, split, model in found if (data, split) == ("full", "per_user")}
    assert {"content", "decision", "policy: mean", "hidden: text", "without: image", "ease"} <= full
    for (_, _, model), row in found.items():
        assert (
            (row["to_default"] == 0) if model == "content" else (row["to_default"] is None) == (row["ndcg@10"] is None)
        )
    cold = found["full", "cold_items", "popularity"]
    assert cold["to_default"] < cold["to_default_high"] < 0, "nothing is known of new items but their content"
    assert cold["to_default"] == pytest.approx(
        cold["ndcg@10"] - found["full", "cold_items", "content"]["ndcg@10"], abs=2e-5
    )


def test_the_spread_over_seeds_and_draws(world: Callable[..., Night]) -> None:
    """`content` has no randomness to train with; what is held out of the cold items is drawn, of users' likes it is
    not."""
    night = world(strategy="content")
    names = {"strategies": ["content"], "missing": ["none"], "baselines": ["popularity"]}
    found = lines(compare(night, splits=["per_user", "cold_items"], least=0, seeds=3, **names))
    warm, cold = found["full", "per_user", "content"], found["full", "cold_items", "content"]
    assert warm["seed_sd"] == cold["seed_sd"] == 0 and warm["draw_sd"] is None
    values = []
    for seed in range(3):
        other = world(strategy="content", seed=night.config.fusion.seed + seed)
        alone = lines(compare(other, splits=["cold_items"], least=0, **names))
        values.append(alone["full", "cold_items", "content"]["ndcg@10"])
    assert cold["draw_sd"] == pytest.approx(np.std(values, ddof=1), abs=2e-5) and cold["draw_sd"] > 0
    assert found["full", "cold_items", "popularity"]["seed_sd"] is None


def test_scorers_can_be_left_out_of_a_stack_alone(world: Callable[..., Night]) -> None:
    names = {"strategies": ["content"], "missing": ["none"], "baselines": ["popularity"]}
    with pytest.raises(UserError, match="--leave-out: only a stack has scorers"):
        compare(world(strategy="content"), splits=["per_user"], least=0, leave_out=["trend"], **names)
