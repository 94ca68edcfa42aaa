"""The figure that stops a training: which likes it counts, and among which items."""

import numpy as np
import pytest

from fusion.data.splits import split
from fusion.models import registry
from fusion.training.early_stopping import Holdout, HoldoutBatch
from tests.fusion.worlds import history_of, tastes

TRAIN = history_of([(0, 0, 1), (1, 1, 1)])
VALID = history_of([(0, 1, 2), (0, 2, 3), (1, 3, 2)])
USERS = np.ones((2, 1), np.float32)
ITEMS = np.array([[9], [8], [7], [6]], np.float32)
"""Everyone is shown items 0, 1, 2 and 3, in this order, less what they had."""


def test_ndcg_by_hand():
    """User 0 wants 1 and 2 and is shown 1, 2, 3: all right. User 1 wants 3 and is shown 0, 2, 3: a third place."""
    found = Holdout(TRAIN, VALID, n_items=4, seed=0).ndcg(USERS, ITEMS)
    assert found == pytest.approx((1 + 1 / np.log2(4)) / 2)


def test_only_candidates_are_ranked_and_asked_for():
    """Items 2 and 3 alone: user 0 wants 2, shown first; user 1 wants 3, shown second."""
    candidates = np.array([False, False, True, True])
    holdout = Holdout(TRAIN, VALID, n_items=4, candidates=candidates, seed=0)
    assert holdout.ndcg(USERS, ITEMS) == pytest.approx((1 + 1 / np.log2(3)) / 2)
    none = Holdout(TRAIN, VALID, n_items=4, candidates=np.array([True, False, False, False]), seed=0)
    assert not len(none.users)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("concatenation", {"epochs": 1, "steps_per_epoch": [1, 1]}), ("decision", {})],
)
def test_cold_items_validate_among_themselves(name, parameters, monkeypatch):
    """Every figure that a strategy chooses by ranks the items held out for it, and no others."""
    catalog, history = tastes(users=60)
    parts = split(history, kind="cold_items", test_share=0.2, valid_share=0.2, item_ids=catalog.item_ids, seed=1)
    asked, ndcg = [], HoldoutBatch.ndcg

    def recorded(self, scores, *, k=10):
        asked.append(self.candidates)
        return ndcg(self, scores, k=k)

    monkeypatch.setattr(HoldoutBatch, "ndcg", recorded)
    model = registry.create(name, parameters)
    model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1)
    assert asked
    for candidates in asked:
        assert candidates.any(axis=1).all()
        assert not (candidates & ~parts.valid_candidates).any()
