import numpy as np
import pytest

from fusion.ranking.nearest_neighbours import similar_items

BLOCKS = {"text": slice(0, 2), "image": slice(2, 4)}


def both(n):
    return {name: np.ones(n, bool) for name in BLOCKS}


def test_by_hand():
    matrix = np.array([[1, 0, 2, 0], [3, 0, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]], np.float32)
    indices, scores = similar_items(np.array([0]), matrix, masks=both(4), blocks=BLOCKS, k=3)
    assert indices.tolist() == [[3, 1, 2]]
    np.testing.assert_allclose(scores, [[np.sqrt(2) / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_one_shared_block_does_not_outrank_two_that_agree():
    angle = np.cos(0.6), np.sin(0.6)
    matrix = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [*angle, *angle]], np.float32)
    masks = {"text": np.ones(3, bool), "image": np.array([True, False, True])}
    indices, _ = similar_items(np.array([0]), matrix, masks=masks, blocks=BLOCKS, k=2)
    assert indices.tolist() == [[2, 1]]


def test_what_a_mask_hides_plays_no_part_and_nothing_shared_is_no_neighbour():
    matrix = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]], np.float32)
    masks = {"text": np.array([True, True, False]), "image": np.array([False, True, True])}
    indices, scores = similar_items(np.array([0, 2]), matrix, masks=masks, blocks=BLOCKS, k=2)
    assert indices.tolist() == [[1, -1], [1, -1]]
    np.testing.assert_allclose(scores[:, 0], 0.5)


def test_blocks_of_queries_do_not_change_the_answer(monkeypatch):
    matrix = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    whole = similar_items(np.arange(40), matrix, masks=both(40), blocks=BLOCKS, k=5)
    monkeypatch.setattr("fusion.ranking.nearest_neighbours.CELLS", 80)
    parts = similar_items(np.arange(40), matrix, masks=both(40), blocks=BLOCKS, k=5)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-5)
    assert not (whole[0] == np.arange(40)[:, None]).any()


@pytest.mark.parametrize("n", [1, 2])
def test_tiny(n):
    indices, _ = similar_items(np.arange(n), np.ones((n, 4), np.float32), masks=both(n), blocks=BLOCKS, k=3)
    assert indices.tolist() == ([[-1]] if n == 1 else [[1, -1], [0, -1]])
    none, _ = similar_items(np.zeros(0, int), np.ones((n, 4), np.float32), masks=both(n), blocks=BLOCKS, k=3)
    assert none.shape == (0, n)


def test_the_same_bits_however_many_are_asked_for_together():
    matrix = np.random.default_rng(2).normal(size=(40, 200)).astype(np.float32)
    blocks = {"text": slice(0, 130), "image": slice(130, 200)}
    whole = similar_items(np.arange(40), matrix, masks=both(40), blocks=blocks, k=12)
    for size in (1, 7, 20):
        parts = [
            similar_items(np.arange(40)[i : i + size], matrix, masks=both(40), blocks=blocks, k=12)
            for i in range(0, 40, size)
        ]
        for place in (0, 1):
            np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), whole[place])
