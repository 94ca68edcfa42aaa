"""Variants of the data, by hand."""

import numpy as np
import pytest

from fusion.selection.variants import DAY, VARIANTS, variant
from tests.fusion.worlds import catalog_of, history_of

CATALOG = catalog_of(np.eye(3), image=np.eye(3))
HISTORY = history_of([(0, 0, DAY + 5), (0, 1, DAY + 3, 0.0, 2.0), (0, 2, 2 * DAY), (1, 1, 7)])


def rows(name: str) -> list[tuple[int, int, int, float]]:
    found = variant(name, CATALOG, HISTORY, seed=1)
    assert found is not None
    _, history = found
    columns = (history.user, history.item, history.timestamp, history.weight)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_times() -> None:
    """User 0's second item comes before the first, in order of time; at one time the order is that of items."""
    assert rows("full") == [(0, 1, DAY + 3, 0), (0, 0, DAY + 5, 1), (0, 2, 2 * DAY, 1), (1, 1, 7, 1)]
    assert rows("days") == [(0, 0, DAY, 1), (0, 1, DAY, 0), (0, 2, 2 * DAY, 1), (1, 1, 0, 1)]
    assert rows("without_times") == [(0, 0, 0, 1), (0, 1, 0, 0), (0, 2, 0, 1), (1, 1, 0, 1)]
    shuffled = rows("shuffled_times")
    assert sorted(time for _, _, time, _ in shuffled) == sorted(HISTORY.timestamp.tolist())
    assert {row[:2] for row in shuffled} == {row[:2] for row in rows("full")}


def test_every_event_is_a_like_where_ratings_are_views() -> None:
    _, history = variant("as_views", CATALOG, HISTORY, seed=1)
    assert history.weight.tolist() == [1, 1, 1, 1] and np.isnan(history.rating).all()


def test_users_are_drawn_by_their_ids() -> None:
    """An eighth is among the half; about so many are drawn, and with all their rows."""
    history = history_of([(user, item, 0) for user in range(400) for item in range(2)])
    users = {}
    for name in ("half_of_users", "eighth_of_users"):
        _, found = variant(name, CATALOG, history, seed=1)
        users[name] = set(found.user.tolist())
        assert len(found) == 2 * len(users[name])
    assert users["eighth_of_users"] < users["half_of_users"]
    assert 170 < len(users["half_of_users"]) < 230 and 30 < len(users["eighth_of_users"]) < 70


def test_one_modality_alone() -> None:
    catalog, history = variant("image_alone", CATALOG, HISTORY, seed=1)
    assert history is HISTORY and catalog.masks["image"].all()
    assert not catalog.masks["text"].any() and not catalog.vectors["text"].any()
    assert variant("video_alone", CATALOG, HISTORY, seed=1) is None
    only_text = catalog_of(np.eye(3))
    assert variant("text_alone", only_text, HISTORY, seed=1) is None


def test_a_variant_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="variant 'nosuch': expected one of full, half_of_users"):
        variant("nosuch", CATALOG, HISTORY, seed=1)
    assert len(set(VARIANTS)) == len(VARIANTS)
