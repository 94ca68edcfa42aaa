from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.data.catalog import Split, tie_hashes
from fusion.data.splits import Kind, choice_split, split, split_as, with_some_users
from schemas.config import Fusion
from tests.fusion.worlds import history_of

KINDS = get_args(Kind)
N = 31
IDS = np.array([f"i{k:04d}" for k in range(N)])


def cut(history, kind, test=0.2, valid=0.1, seed=0):
    return split(history, kind=kind, test_share=test, valid_share=valid, item_ids=IDS, seed=seed)


def pairs(history):
    return list(zip(history.user.tolist(), history.item.tolist(), strict=True))


def test_global_time_takes_the_newest_likes():
    parts = cut(history_of([(k % 2, k, 10 * k) for k in range(10)]), "global_time")
    assert sorted(i for _, i in pairs(parts.test)) == [8, 9]
    assert [i for _, i in pairs(parts.valid)] == [7]
    assert len(parts.train) == 7


def test_likes_of_one_time_are_in_no_order_of_ids():
    """Of each user's ten likes two are the test and one validates: of 40 users, by chance 8 and 4 likes of any item,
    with a standard deviation of 2.5 and 1.9; by the order of items 40 of the last two. So over all users at once."""
    history = history_of([(user, item, 7) for user in range(40) for item in range(10)])
    for kind in ("per_user", "global_time"):
        parts = cut(history, kind)
        assert (len(parts.test), len(parts.valid)) == (80, 40)
        for part, mean in ((parts.test, 8), (parts.valid, 4)):
            assert np.abs(np.bincount(part.item, minlength=10) - mean).max() < 10
        assert np.bincount(cut(history, "global_time").test.user, minlength=40).max() < 10


@given(st.sets(st.integers(0, 30), min_size=3), st.sets(st.integers(0, 30)))
def test_a_like_keeps_its_place_among_those_of_one_time_whatever_else_there_is(items, more):
    """The catalog and the users of the second history are more; likes that are in both are in the same order."""

    def in_order(which, users):
        ids = np.array([f"i{item:02d}" for item in sorted(which)])
        rows = [(users.index("ann"), place, 7) for place, item in enumerate(sorted(which)) if item in items]
        history = replace(history_of(rows, users=len(users)), user_ids=np.array(users))
        return ids[history.item[np.argsort(tie_hashes(history, ids))]].tolist()

    assert in_order(items, ["ann"]) == in_order(items | more, ["aaron", "ann", "zoe"])


def test_a_user_with_two_likes_stays_in_train():
    parts = cut(history_of([(0, 0, 1), (0, 1, 2)]), "per_user")
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (2, 0, 0)


def test_a_seen_row_goes_where_its_time_puts_it():
    seen = [(0, 20, 5, 0.0), (0, 21, 75, 0.0), (0, 22, 85, 0.0), (0, 23, 999, 0.0)]
    parts = cut(history_of([(0, k, 10 * k) for k in range(10)] + seen), "per_user")
    assert {20} == {i for _, i in pairs(parts.train) if i >= 20}
    assert {21} == {i for _, i in pairs(parts.valid) if i >= 20}
    assert {22, 23} == {i for _, i in pairs(parts.test) if i >= 20}


def test_known_is_train_and_valid_in_order():
    history = history_of([(0, k, 10 * k) for k in range(10)])
    assert pairs(cut(history, "per_user").known()) == [(0, k) for k in range(8)]


@pytest.mark.parametrize("kind", ["global_time", "per_user", "cold_items"])
def test_nothing_to_cut(kind):
    parts = cut(history_of([], users=2), kind)
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (0, 0, 0)


def test_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="'random'"):
        cut(history_of([(0, 0, 0)]), "random")
    with pytest.raises(ValueError, match="below 1"):
        cut(history_of([(0, 0, 0)]), "per_user", test=0.6, valid=0.4)
    with pytest.raises(ValueError, match="item_ids"):
        split(history_of([(0, 0, 0)]), kind="cold_items", test_share=0.2, valid_share=0.1)


def test_cold_items_leave_train_with_all_their_rows():
    """Item 20, seen only, stays in train."""
    rows = [(u, i, 10 * i + u) for u in range(3) for i in range(20)] + [(0, 20, 5, 0.0), (4, 3, 5, 0.0)]
    parts = cut(history_of(rows, users=5), "cold_items", seed=3)
    of = [set(part.item.tolist()) for part in (parts.train, parts.valid, parts.test)]
    assert all(of) and sum(map(len, of)) == 21
    assert 20 in of[0]
    assert not (of[0] & of[1] or of[0] & of[2] or of[1] & of[2])
    assert np.nonzero(parts.test_candidates)[0].tolist() == sorted(of[2])
    assert np.nonzero(parts.valid_candidates)[0].tolist() == sorted(of[1])
    assert len(parts.test_candidates) == N


def test_cold_items_are_a_share_of_all_and_depend_on_seed_and_id_alone():
    """Of 4000 items 800 are expected below 0.2, with a deviation of 25."""
    ids = np.array([f"item {k}" for k in range(4000)])
    history = history_of([(0, i, i) for i in range(4000)])
    shares = {"kind": "cold_items", "test_share": 0.2, "valid_share": 0.1}
    parts = split(history, **shares, item_ids=ids, seed=5)
    assert 700 < len(parts.test) < 900 and 240 < len(parts.valid) < 400
    turned = split(history, **shares, item_ids=ids[::-1], seed=5)
    assert set(ids[::-1][turned.test.item]) == set(ids[parts.test.item])
    other = split(history, **shares, item_ids=ids, seed=6)
    assert set(other.test.item) != set(parts.test.item)


def test_tuning_asks_for_the_validation_likes_knowing_train_alone():
    parts = cut(history_of([(u, i, i) for u in range(2) for i in range(20)]), "cold_items")
    tuning = parts.tuning()
    assert pairs(tuning.known()) == pairs(parts.train)
    assert pairs(tuning.test) == pairs(parts.valid)
    assert tuning.test_candidates is parts.valid_candidates
    assert tuning.valid_candidates is None


ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0])),
    max_size=80,
    unique_by=lambda row: row[:2],
)


@given(ROWS, st.floats(0.05, 0.6), st.floats(0.05, 0.35), st.integers(0, 5))
def test_every_row_is_in_one_part_and_no_item_in_two(rows, test, valid, seed):
    history = history_of(rows, users=5)
    parts = cut(history, "cold_items", test=test, valid=valid, seed=seed)
    assert sorted(pairs(parts.train) + pairs(parts.valid) + pairs(parts.test)) == sorted(pairs(history))
    held = parts.valid_candidates | parts.test_candidates
    assert not (parts.valid_candidates & parts.test_candidates).any()
    assert not held[parts.train.item].any()
    assert parts.valid_candidates[parts.valid.item].all() and parts.test_candidates[parts.test.item].all()
    enough = len(np.unique(history.likes().item)) >= 3
    assert all(bool(len(part.likes())) == enough for part in (parts.valid, parts.test))
    assert not len(history.likes()) or len(parts.train.likes())


@given(ROWS, st.sampled_from(["global_time", "per_user"]))
def test_every_row_is_in_one_part_and_no_like_of_train_is_newer(rows, kind):
    history = history_of(rows, users=5)
    parts = cut(history, kind)
    together = sorted(pairs(parts.train) + pairs(parts.valid) + pairs(parts.test))
    assert together == sorted(pairs(history))

    def order(part, user):
        h = part.likes()
        keep = np.ones(len(h), bool) if user is None else h.user == user
        return h.timestamp[keep].tolist()

    for user in [None] if kind == "global_time" else range(5):
        old, middle, new = (order(part, user) for part in (parts.train, parts.valid, parts.test))
        assert not (old and middle) or max(old) <= min(middle)
        assert not (middle and new) or max(middle) <= min(new)


@given(ROWS, st.integers(0, 80), st.sampled_from(["global_time", "per_user", "cold_items"]))
def test_what_an_earlier_night_knew_is_not_what_a_later_one_asks(rows, count, kind):
    """Ten liked items are there from the first, so that none is held out only for want of others."""
    rows = [(user, item, 10 * place + at, weight) for place, (user, item, at, weight) in enumerate(rows)]
    rows = [(5, item, 0) for item in range(10)] + rows
    before, later = (history_of(part, users=6) for part in (rows[: 10 + count], rows))
    known = cut(before, kind).known().likes()
    assert not set(pairs(known)) & set(pairs(cut(later, kind).test.likes()))


def test_choices_are_made_without_what_any_kind_of_split_judges_on():
    """And nothing else is left out."""
    random = np.random.default_rng(4)
    liked = np.unique(random.integers(0, N, (400, 2)), axis=0)
    times = random.permutation(len(liked))
    history = history_of([(u, i, t) for (u, i), t in zip(liked.tolist(), times.tolist(), strict=True)])
    for kind in KINDS:
        how = Fusion.model_validate({"split": {"kind": kind}})
        parts, found = split_as(history, how, item_ids=IDS), choice_split(history, how, item_ids=IDS)
        judged = {pair for each in KINDS for pair in pairs(split_as(history, how, item_ids=IDS, kind=each).test)}
        assert set(pairs(found.train)) == set(pairs(parts.train)) - judged
        assert set(pairs(found.valid)) == set(pairs(parts.valid)) - judged
        assert len(found.train) and len(found.valid)


def test_a_sample_of_users_does_not_depend_on_who_is_beside_them():
    history = history_of([(user, 0, 0) for user in range(50)])
    nothing = history.where(np.zeros(len(history), np.bool_))
    parts = Split(nothing, nothing, history)
    some = with_some_users(parts, most=20, seed=1).test
    assert len(some) == 20 and with_some_users(parts, most=50, seed=1) is parts
    fewer = with_some_users(replace(parts, test=history.where(history.user % 2 == 0)), most=20, seed=1).test
    assert set(some.user[some.user % 2 == 0].tolist()) <= set(fewer.user.tolist())
    other = with_some_users(parts, most=20, seed=2).test
    assert set(other.user.tolist()) != set(some.user.tolist())
