"""The comparison's command and the dense part of a dataset."""

import numpy as np
import pytest
from typer.testing import CliRunner

from fusion.data.reviews import Reviews
from jobs.cli import app
from jobs.compare import dense
from jobs.modelling.dataset import Dataset
from jobs.runtime.night import UserError
from lake.lake import Lake
from schemas.config import ConfigError
from tests.fusion.worlds import catalog_of, history_of


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


@pytest.mark.parametrize("option", ["--strategies", "--missing", "--baselines", "--splits"])
def test_unknown_names_are_refused_with_those_there_are(lake: Lake, option: str) -> None:
    arguments = ["compare", "--date", "2026-11-01", "--lake", lake.uri, option, "oracle"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert f"{option} oracle: unknown; choose among" in str(result.exception)


def test_a_lake_without_likes_is_refused(lake: Lake) -> None:
    result = CliRunner().invoke(app, ["compare", "--date", "2026-11-01", "--lake", lake.uri])
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
