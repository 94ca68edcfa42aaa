"""Strategies and policies of one's own, named as `module:Class`: those that the documentation shows, run as shown."""

import re
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion.data.reviews import Reviews
from fusion.data.splits import split
from fusion.evaluation.evaluate import evaluate
from fusion.missing.fill import fill
from fusion.models import registry
from fusion.models.scorer import scorer
from jobs.landing.raw import Raw
from jobs.modelling import artifacts
from jobs.modelling.dataset import Dataset
from jobs.runtime.check_config import check
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config, ConfigError, Missing
from tests.fusion.worlds import catalog_of, contributions, history_of, tastes

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "own-model.md").read_text("utf-8")
STRATEGY, POLICY = "own_fusion:MeanText", "own_fusion:FirstText"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documentation's file, where it can be imported."""
    file = tmp_path / "own_fusion.py"
    file.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_fusion", raising=False)
    return file


def configured() -> Config:
    """The documentation's configuration."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return Config.model_validate(yaml.safe_load(text))


@pytest.mark.usefixtures("own")
def test_the_documented_strategy_is_fitted_scored_stored_and_loaded(tmp_path: Path) -> None:
    (candidate,) = (c for c in configured().fusion.considered if c.strategy == STRATEGY)
    catalog, history = tastes()
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    model = registry.create(candidate.strategy, dict(candidate.parameters))
    model.fit(catalog, parts.known(), seed=1)
    figures = evaluate(
        {"own": scorer(model, catalog, parts.known()), "flat": lambda users: np.zeros((len(users), len(catalog)))},
        split=parts,
        split_name="",
        n_items=len(catalog),
        ks=[10],
        segments=["all"],
    )
    ndcg = {figure.model: figure.value for figure in figures if figure.metric == "ndcg"}
    assert ndcg["own"] > ndcg["flat"] + 0.3
    registry.save(model, tmp_path / "model")
    with pytest.raises(
        registry.FormatError, match=r"a class of one's own, own_fusion:MeanText, which is imported only where"
    ):
        registry.load(tmp_path / "model")
    again = registry.load(tmp_path / "model", own=[STRATEGY])
    assert again.parameters() == {"scale": 0.5}
    users, items = again.user_vectors(catalog, history), again.item_vectors(catalog)
    np.testing.assert_array_equal(users, model.user_vectors(catalog, history))
    added = contributions(users[: len(items)], items[: len(users)], again.blocks)
    np.testing.assert_array_equal(added["history"], 0)
    assert (added["text"] != 0).all()


@pytest.mark.usefixtures("own")
def test_the_documented_policy_fills_by_hand() -> None:
    """Items 0 and 2 lack a text: both get that of item 1."""
    catalog = catalog_of(np.eye(4), masks={"text": [False, True, False, True]})
    found = fill(catalog, history_of([(0, 1, 1)]), Missing(policy=POLICY), seed=0)
    assert found.vectors["text"].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert found.masks["text"].all()


@pytest.mark.usefixtures("own")
def test_the_documented_configuration_is_found_right() -> None:
    check(configured())


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ({"strategy": "own_fusion:MeanTxet"}, r"fusion\.strategy: .*no class 'MeanTxet'; did you mean MeanText\?"),
        ({"candidates": ["own_fusoin:MeanText"]}, r"fusion\.candidates: .*No module named 'own_fusoin'"),
        ({"strategy": "pathlib:Path"}, r"Path does not derive from fusion\.models\.base:Strategy"),
        ({"strategy": POLICY}, r"FirstText does not derive from fusion\.models\.base:Strategy"),
        ({"strategy": STRATEGY, "parameters": {"scael": 2}}, r"has no parameter 'scael'; did you mean scale\?"),
        ({"missing": {"policy": STRATEGY}}, r"fusion\.missing: .*does not derive from fusion\.missing\.policy:Policy"),
        ({"missing": {"policy": "own_fusion:First"}}, r"fusion\.missing: .*no class 'First'; did you mean FirstText\?"),
        ({"strategy": "stcak"}, r"did you mean stack\? .*one of your own is named as module:Class"),
    ],
)
def test_what_is_none_is_refused_before_the_first_step(fusion: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        check(Config.model_validate({"fusion": fusion}))


def test_a_model_of_ones_own_is_told_by_the_file_of_its_class(own: Path, lake: Lake) -> None:
    """And a model of another strategy is not. The version names the class alone: colons are no part of a path."""
    nothing = np.zeros(0, np.int32)
    dataset = Dataset(*tastes(), Reviews(nothing, nothing, nothing, np.zeros((0, 4), np.float32)), {}, "data")

    def version(fusion: dict) -> str:
        night = Night(date(2026, 11, 1), Raw("raw"), lake, Config.model_validate({"fusion": fusion}))
        return artifacts.identity(night, dataset, fusion["strategy"], {}).model_version

    first, stack = version({"strategy": STRATEGY}), version({"strategy": "stack"})
    assert first.startswith("MeanText-")
    own.write_text(own.read_text() + "\n# another one\n")
    assert version({"strategy": STRATEGY}) != first and version({"strategy": "stack"}) == stack


def test_an_own_strategy_is_loaded_from_a_lake_while_the_configuration_names_it(own: Path, lake: Lake) -> None:
    named = Night(date(2026, 11, 1), Raw("raw"), lake, configured())
    catalog, history = tastes()
    nothing = np.zeros(0, np.int32)
    dataset = Dataset(catalog, history, Reviews(nothing, nothing, nothing, np.zeros((0, 4), np.float32)), {}, "data")
    made = artifacts.identity(named, dataset, STRATEGY, {})
    model = registry.create(STRATEGY)
    model.fit(catalog, history, seed=1)
    artifacts.save(named, made, {artifacts.SERVED: model}, encoders={})
    assert type(artifacts.load(named, made.path, artifacts.SERVED)) is type(model)
    with pytest.raises(artifacts.StoredModelError, match="only where the configuration names it"):
        artifacts.load(replace(named, config=Config()), made.path, artifacts.SERVED)
