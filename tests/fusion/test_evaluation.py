import numpy as np
import pytest

from fusion.evaluation import evaluate
from fusion.splits import Split
from tests.fusion.worlds import history_of

N = 6
SPLIT = Split(
    train=history_of([(0, 0, 1), (0, 5, 2, 0.0)], users=3),
    valid=history_of([(0, 1, 3)], users=3),
    test=history_of([(0, 2, 4), (0, 3, 4), (0, 0, 5), (1, 0, 4), (2, 4, 9, 0.0)], users=3),
)
"""User 0 had 0, 1 and saw 5, then likes 2 and 3 (and 0 again); user 1 is new and likes 0; user 2 likes nothing."""


def falling(users):
    return np.tile(-np.arange(N, dtype=np.float32), (len(users), 1))


def figures(**settings):
    found = evaluate({"falling": falling}, split=SPLIT, split_name="global_time", n_items=N, ks=(1, 2), **settings)
    return {(f.segment, f.metric, f.k): f for f in found}


def test_by_hand():
    """User 0's candidates are 2, 3, 4 in that order, user 1's all six: both find what they like first."""
    found = figures()
    recall = found["all", "recall", 1]
    assert recall.users.tolist() == [0, 1]
    assert recall.per_user.tolist() == [0.5, 1.0]
    assert (recall.value, recall.model, recall.split) == (0.75, "falling", "global_time")
    assert found["all", "ndcg", 2].per_user.tolist() == [1.0, 1.0]
    assert found["all", "auc", None].per_user.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(found["all", "accuracy", 1].per_user, [2 / 3, 1])
    assert found["all", "coverage", 1].value == 2 / N


def test_segments():
    found = figures()
    assert found["warm_users", "recall", 2].users.tolist() == [0]
    assert found["cold_users", "recall", 2].users.tolist() == [1]
    assert found["warm_items", "recall", 2].users.tolist() == [1]
    assert found["cold_items", "recall", 1].per_user.tolist() == [0.5]


def test_an_empty_segment_gives_no_figure():
    split = Split(train=SPLIT.train, valid=SPLIT.valid, test=history_of([(0, 2, 4)], users=3))
    found = evaluate({"falling": falling}, split=split, split_name="x", n_items=N)
    assert {f.segment for f in found} == {"all", "warm_users", "cold_items"}
    nothing = Split(train=SPLIT.train, valid=SPLIT.valid, test=history_of([], users=3))
    assert evaluate({"falling": falling}, split=nothing, split_name="x", n_items=N) == []


def test_batches_do_not_change_the_figures(monkeypatch):
    whole = figures()
    monkeypatch.setattr("fusion.evaluation.CELLS", N)
    parts = figures()
    assert {key: f.value for key, f in whole.items()} == {key: f.value for key, f in parts.items()}


def test_refuses():
    with pytest.raises(ValueError, match="'loud_users'"):
        figures(segments=["loud_users"])
    with pytest.raises(ValueError, match=r"wide have shape \(2, 1\), expected \(2, 6\)"):
        evaluate({"wide": lambda users: np.zeros((len(users), 1))}, split=SPLIT, split_name="x", n_items=N)
    with pytest.raises(ValueError, match="ks"):
        evaluate({}, split=SPLIT, split_name="x", n_items=N, ks=())
