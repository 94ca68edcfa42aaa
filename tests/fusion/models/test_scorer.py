"""Scores of one model over several catalogs: the same as alone, and multiplied once where vectors are the same."""

import numpy as np
import pytest

from fusion.data.subsets import without_modality
from fusion.models import registry
from fusion.models import scorer as module
from fusion.ranking.rank_aggregation import COMBINATIONS, block_scores
from tests.fusion.worlds import tastes


@pytest.mark.parametrize("combination", ["average", *COMBINATIONS[1:]])
def test_what_catalogs_have_in_common_is_multiplied_once(combination: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog, history = tastes(users=20, items=30)
    model = registry.create("decision", {"combination": combination, "rank": 8})
    model.fit(catalog, history, seed=1)
    shown = {
        "all": catalog,
        "no text": without_modality(catalog, "text"),
        "no image": without_modality(catalog, "image"),
    }
    users = np.array([3, 0, 17])
    alone = {name: module.scorer(model, each, history)(users) for name, each in shown.items()}
    columns: list[int] = []

    def counted(vectors, items, blocks):
        columns.extend(part.stop - part.start for part in blocks.values())
        return block_scores(vectors, items, blocks)

    monkeypatch.setattr(module, "block_scores", counted)
    together = module.scorers(model, shown, history)
    for name, scores in together.items():
        np.testing.assert_array_equal(scores(users), alone[name], err_msg=name)
    assert sum(columns) == model.item_vectors(catalog).shape[1]
    np.testing.assert_array_equal(together["all"](users[:1]), alone["all"][:1])
    assert not np.array_equal(alone["all"], alone["no text"])
