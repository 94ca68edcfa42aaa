from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.data.catalog import Split
from fusion.evaluation.evaluate import evaluate
from fusion.evaluation.segments import popularity_thirds
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


def figures(split=SPLIT, **settings):
    found = evaluate({"falling": falling}, split=split, split_name="global_time", n_items=N, ks=(1, 2), **settings)
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
    assert found["all", "map", 2].per_user.tolist() == [1.0, 1.0]
    assert found["all", "mrr", 2].per_user.tolist() == [1.0, 1.0]
    assert found["all", "coverage", 1].value == 2 / N


def test_what_lists_show_by_hand():
    """The lists are 2, 3 and 0, 1; only 0 and 1 are liked, once each, by the one user who likes anything: shares 2/3
    and 1/3 once smoothed. Content: 2 and 3 are orthogonal, 1 has none."""
    content = np.array([[1, 0], [0, 0], [1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    found = figures(content=content)
    np.testing.assert_allclose(found["all", "novelty", 2].per_user, [np.log2(3), np.log2(3 / 2)])
    assert found["all", "popularity_bias", 2].users.tolist() == [0]
    assert found["all", "popularity_bias", 2].per_user.tolist() == [0.0]
    assert found["all", "diversity", 2].users.tolist() == [0]
    assert found["all", "diversity", 2].per_user.tolist() == [1.0]
    assert ("all", "diversity", 1) not in found
    assert found["all", "coverage", 2].value == 4 / N
    np.testing.assert_allclose(found["all", "exposure_gini", 2].value, (-1 + 1 + 3 + 5) / 4 / (N - 1))
    assert ("cold_users", "novelty", 2) not in found


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
    assert found[0].users.tolist() == [0]
    nothing = Split(train=SPLIT.train, valid=SPLIT.valid, test=history_of([], users=3))
    assert evaluate({"falling": falling}, split=nothing, split_name="x", n_items=N) == []


def test_head_and_tail_items_by_hand():
    """Item 4 has 3 likes of 6, item 0 two and item 1 one: the head, the middle and the tail."""
    likes = [(3, 4, 0), (4, 4, 0), (5, 4, 0), (3, 0, 0), (4, 0, 0), (5, 1, 0)]
    test = [(0, 4, 9), (1, 0, 9), (2, 1, 9), (0, 5, 9)]
    found = figures(Split(history_of(likes, users=6), history_of([], users=6), history_of(test, users=6)))
    asked = {segment: found[segment, "recall", 1].users.tolist() for segment, m, k in found if (m, k) == ("recall", 1)}
    assert asked == {
        "all": [0, 1, 2],
        "cold_users": [0, 1, 2],
        "warm_items": [0, 1, 2],
        "cold_items": [0],
        "head_items": [0],
        "middle_items": [1],
        "tail_items": [2],
    }


def test_segments_by_modality():
    """Of what is found, item 0 has an image, 2 and 3 have none; nothing has audio."""
    image = np.array([True, False, False, False, True, True])
    found = figures(masks={"image": image, "audio": np.zeros(N, bool)})
    assert found["with_image", "recall", 1].users.tolist() == [1]
    assert found["without_image", "recall", 1].per_user.tolist() == [0.5]
    assert found["without_audio", "recall", 1].per_user.tolist() == found["all", "recall", 1].per_user.tolist()
    assert ("with_audio", "recall", 1) not in found
    assert ("with_text", "recall", 1) not in found


def test_only_the_splits_candidates_are_ranked():
    """Among items 3, 4 and 5 user 0 is shown 3 and 4 (5 was seen) and finds 3; user 1's like is no candidate."""
    split = replace(SPLIT, test_candidates=np.arange(N) >= 3)
    found = figures(split, segments=["all"])
    assert found["all", "recall", 1].users.tolist() == [0]
    assert found["all", "recall", 1].per_user.tolist() == [1.0]
    assert found["all", "accuracy", 1].per_user.tolist() == [1.0]
    assert found["all", "auc", None].per_user.tolist() == [1.0]
    assert found["all", "coverage", 2].value == 2 / 3
    with pytest.raises(ValueError, match=r"candidates of shape \(2,\)"):
        figures(replace(SPLIT, test_candidates=np.ones(2, bool)))


def test_batches_do_not_change_the_figures(monkeypatch):
    settings = {"content": np.eye(N, dtype=np.float32), "masks": {"text": np.arange(N) > 1}}
    whole = figures(**settings)
    monkeypatch.setattr("fusion.evaluation.protocol.CELLS", N)
    parts = figures(**settings)
    assert {key: f.value for key, f in whole.items()} == {key: f.value for key, f in parts.items()}


def test_refuses():
    with pytest.raises(ValueError, match="'loud_users'"):
        figures(segments=["loud_users"])
    with pytest.raises(ValueError, match=r"wide have shape \(2, 1\), expected \(2, 6\)"):
        evaluate({"wide": lambda users: np.zeros((len(users), 1))}, split=SPLIT, split_name="x", n_items=N)
    with pytest.raises(ValueError, match="ks"):
        evaluate({}, split=SPLIT, split_name="x", n_items=N, ks=())
    with pytest.raises(ValueError, match=r"mask of text has shape \(2,\)"):
        figures(masks={"text": np.ones(2, bool)})
    with pytest.raises(ValueError, match=r"content of shape \(2, 6\)"):
        figures(content=np.eye(N, dtype=np.float32)[:2])


def test_popularity_thirds_by_hand():
    """Nine likes: before item 2 there are none, before 0 four, before 3 six, before 4 eight; 1 has none."""
    assert popularity_thirds(np.array([2, 0, 4, 2, 1])).tolist() == [1, -1, 0, 2, 2]
    assert popularity_thirds(np.array([5, 0])).tolist() == [0, -1]
    assert popularity_thirds(np.zeros(2, np.int64)).tolist() == [-1, -1]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20))
def test_popularity_thirds_fall_with_popularity(counts):
    likes = np.array(counts)
    third = popularity_thirds(likes)
    assert ((third == -1) == (likes == 0)).all()
    for more, less in ((0, 1), (1, 2)):
        if (third == more).any() and (third == less).any():
            assert likes[third == more].min() >= likes[third == less].max()
    assert not likes.any() or (third == 0).any()
