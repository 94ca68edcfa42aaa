"""The hidden tastes can be told from all modalities together, and from no single one."""

from pathlib import Path

import numpy as np
import pytest

from jobs.demo import (
    ITEMS,
    MODALITY_GROUPS,
    SEED,
    USERS,
    item_traits,
    modality_columns,
    trait_groups,
    user_tastes,
    write_catalog,
)
from tests.jobs.demo.reading import good_events

K = 20


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """bool [users, items]: what was done in the oldest 80% of first contacts, and what was liked in the newest."""
    raw: Path = tmp_path_factory.mktemp("signal") / "raw"
    write_catalog(raw, media=False, progress=False)
    first: dict[tuple[int, int], int] = {}
    liked: set[tuple[int, int]] = set()
    for event in sorted(good_events(raw), key=lambda event: event["seconds"]):
        pair = int(event["user_id"].split("-")[1]), int(event["item_id"].split("-")[1])
        first.setdefault(pair, event["seconds"])
        if event["event"] != "dislike" and float(event.get("value") or 5) >= 4:
            liked.add(pair)
    cut = np.quantile(list(first.values()), 0.8)
    past, future = np.zeros((USERS, ITEMS), bool), np.zeros((USERS, ITEMS), bool)
    for pair, when in first.items():
        if when <= cut:
            past[pair] = True
        elif pair in liked:
            future[pair] = True
    return past, future


def recall(scores: np.ndarray, past: np.ndarray, future: np.ndarray) -> float:
    """Mean over users with something held out; whole catalog ranked, what they had before left out."""
    top = np.argsort(-np.where(past, -np.inf, scores), axis=1, kind="stable")[:, :K]
    users = np.flatnonzero(future.any(axis=1))
    return float(np.mean([future[user, top[user]].sum() / future[user].sum() for user in users]))


def figures(past: np.ndarray, future: np.ndarray) -> dict[str, float]:
    traits, tastes = item_traits(ITEMS, SEED), user_tastes(USERS, SEED)
    scores = {"all": tastes @ traits.T, "popularity": np.tile(past.sum(axis=0).astype(float), (USERS, 1))}
    for modality in MODALITY_GROUPS:
        columns = modality_columns(modality)
        scores[modality] = tastes[:, columns] @ traits[:, columns].T
    return {name: recall(score, past, future) for name, score in scores.items()}


def test_true_tastes_beat_popularity_and_every_single_modality(held_out: tuple[np.ndarray, np.ndarray]) -> None:
    reached = figures(*held_out)
    assert reached["all"] > 2 * reached["popularity"]
    for modality in MODALITY_GROUPS:
        assert reached[modality] < 0.65 * reached["all"], reached
        assert reached[modality] > 1.1 * K / ITEMS, reached


def test_there_is_enough_to_learn_from(held_out: tuple[np.ndarray, np.ndarray]) -> None:
    past, future = held_out
    assert 20 <= (past | future).sum() / USERS <= 40
    visits = past.sum(axis=1)
    assert np.quantile(visits, 0.9) > 2 * np.quantile(visits, 0.1)


def test_each_trait_shows_in_its_own_modalities_only() -> None:
    owners = {group: [m for m, groups in MODALITY_GROUPS.items() if group in groups] for group in trait_groups()}
    assert owners["daylight"] == ["text", "image", "audio", "video"]
    assert [owners[group] for group in ("style", "mood", "energy", "topic")] == [
        ["image"],
        ["audio"],
        ["video"],
        ["text"],
    ]


def test_more_items_leave_the_first_ones_as_they_are() -> None:
    np.testing.assert_array_equal(item_traits(50, SEED), item_traits(80, SEED)[:50])


def test_groups_of_equal_weight_count_alike() -> None:
    traits = item_traits(5000, SEED)
    spread = {group: traits[:, columns].var(axis=0).sum() for group, columns in trait_groups().items()}
    for group in ("style", "mood", "energy", "topic"):
        assert spread[group] == pytest.approx(1, rel=0.05)
    assert spread["daylight"] == pytest.approx(0.25, rel=0.05)
