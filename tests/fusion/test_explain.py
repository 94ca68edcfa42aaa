import numpy as np
import pytest

from fusion.explain import contributions

BLOCKS = {"history": slice(0, 1), "text": slice(1, 3), "image": slice(3, 3)}


def test_by_hand_and_an_empty_block_adds_nothing():
    users, items = np.array([[1, 2, 3], [1, 1, 1]], np.float32), np.array([[4, 5, 6], [7, 0, 0]], np.float32)
    found = contributions(users, items, BLOCKS)
    assert {name: value.tolist() for name, value in found.items()} == {
        "history": [4, 7],
        "text": [28, 0],
        "image": [0, 0],
    }


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        contributions(np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32), BLOCKS)
