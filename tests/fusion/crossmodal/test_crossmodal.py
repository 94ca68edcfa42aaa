"""Modalities told from one another: measures, translators and alignments."""

import numpy as np
import pytest

from fusion.crossmodal import registry
from fusion.crossmodal.measures import r_squared, retrieval_recall
from fusion.crossmodal.projected_items import ProjectedItems, held_out, training_rows
from fusion.crossmodal.ridge import Ridge


def items_of(*, masks=None, **x) -> ProjectedItems:
    x = {m: np.asarray(rows, np.float32) for m, rows in x.items()}
    masks = {m: np.asarray((masks or {}).get(m, np.ones(len(rows), bool)), bool) for m, rows in x.items()}
    return ProjectedItems({m: rows * masks[m][:, None] for m, rows in x.items()}, masks)


def two_modalities(n=120, *, noise=0.1, seed=0) -> ProjectedItems:
    """Two modalities that are linear in the same three numbers."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(n, 3))
    first, second = (truth @ random.normal(size=(3, d)) / np.sqrt(3) for d in (6, 5))
    return items_of(text=first + noise * random.normal(size=(n, 6)), image=second + noise * random.normal(size=(n, 5)))


def test_recall_by_hand():
    """Query 0 finds its own first; 1 ties with the lower row 0 and so comes second; 2 comes last of three."""
    queries = np.array([[1, 0], [1, 1], [0, 1]], np.float32)
    targets = np.array([[2, 1], [1, 2], [1, 0]], np.float32)
    assert [retrieval_recall(queries, targets, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_recall_does_not_hang_on_blocks_and_needs_a_target_a_query(monkeypatch):
    random = np.random.default_rng(0)
    queries = random.normal(size=(30, 4)).astype(np.float32)
    targets = queries + random.normal(size=(30, 4)).astype(np.float32)
    whole = retrieval_recall(queries, targets, 3)
    monkeypatch.setattr("fusion.crossmodal.measures.CELLS", 90)
    assert retrieval_recall(queries, targets, 3) == whole
    with pytest.raises(ValueError, match="one target a query"):
        retrieval_recall(queries, targets[:5], 3)
    assert np.isnan(retrieval_recall(queries[:0], targets[:0], 3))


def test_what_says_nothing_is_found_no_more_often_than_by_chance():
    assert retrieval_recall(np.ones((50, 2), np.float32), np.ones((50, 2), np.float32), 5) == pytest.approx(5 / 50)


def test_r_squared_by_hand():
    """Around the columns' means 1 and 5 lie 1 + 1 and 25 + 25; the errors are 1 and 4 and 0 and 0."""
    observed = np.array([[0, 0], [2, 10]], np.float32)
    predicted = np.array([[1, 0], [2, 8]], np.float32)
    assert r_squared(predicted, observed) == pytest.approx(1 - 5 / 52)
    assert np.isnan(r_squared(observed[:1], observed[:1]))


def test_held_out_rows_are_so_many_and_the_seed_s():
    marked = held_out(10, share=0.25, seed=1)
    assert marked.sum() == 2
    np.testing.assert_array_equal(marked, held_out(10, share=0.25, seed=1))


def test_rows_to_learn_from_are_evenly_spaced(monkeypatch):
    monkeypatch.setattr("fusion.crossmodal.projected_items.MAX_ROWS", 3)
    assert training_rows(np.array([0, 1, 1, 1, 0, 1, 1], bool)).tolist() == [1, 3, 6]
    assert training_rows(np.array([0, 1, 1], bool)).tolist() == [1, 2]
    assert training_rows(np.zeros(4, bool)).tolist() == []


def test_ridge_by_hand():
    """x is -1 or 1 and y = 2 x + 3: with penalty 8 on 8 rows the slope is 16 / (8 + 8), the intercept the mean."""
    x = np.array([[-1], [1]] * 4)
    ridge = Ridge(penalties=[8.0])
    ridge.fit(items_of(text=x, image=2 * x + 3), seed=0)
    np.testing.assert_allclose(ridge.predict(items_of(text=[[1], [-3]], image=[[0], [0]]), "image"), [[4], [0]])


def test_ridge_reads_the_pattern_that_an_item_has():
    """Audio is the sum of text and image. With both it is told; with one, that one; with none, 0."""
    random = np.random.default_rng(0)
    text, image = random.normal(size=(2, 300, 1))
    text, image = text - text.mean(), image - image.mean()
    ridge = Ridge(penalties=[1e-3])
    ridge.fit(items_of(text=text, image=image, audio=text + image), seed=0)
    asked = items_of(
        text=[[2], [2], [0], [0]],
        image=[[1], [0], [1], [0]],
        audio=np.zeros((4, 1)),
        masks={"text": [1, 1, 0, 0], "image": [1, 0, 1, 0], "audio": [0] * 4},
    )
    np.testing.assert_allclose(ridge.predict(asked, "audio")[:, 0], [3, 2, 1, 0], atol=0.2)


def test_a_pattern_seldom_seen_is_told_by_its_part():
    """Only three items have text, image and audio; with text and image given, audio follows from text."""
    random = np.random.default_rng(0)
    text, image = random.normal(size=(2, 100, 1))
    masks = {"image": np.arange(100) < 3}
    items = items_of(text=text, image=image, audio=2 * text, masks=masks)
    ridge = Ridge()
    ridge.fit(items, seed=0)
    np.testing.assert_allclose(ridge.predict(items, "audio"), 2 * text, atol=0.3)


@pytest.mark.parametrize("penalties", [[], [0.0], [1.0, -1.0]])
def test_penalties_out_of_range_are_refused(penalties):
    with pytest.raises(ValueError, match="penalties"):
        Ridge(penalties=penalties)


def test_an_unknown_translator_is_refused_with_the_list():
    with pytest.raises(ValueError, match="'flow': unknown; choose one of ridge, vae"):
        registry.create("flow")
    with pytest.raises(ValueError, match=r"'ridge'.*width"):
        registry.create("ridge", {"width": 3})
