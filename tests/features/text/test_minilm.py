"""all-MiniLM-L6-v2 out of its packages."""

import numpy as np
import pytest

from features.registry import encoder
from features.text.minilm import MiniLM
from features.text.nlp.analysis import Analysis

PAIRS = [
    ("A man is eating food.", "A person eats something."),
    ("The stock market fell sharply.", "Shares dropped a lot today."),
    ("How do I repair a bicycle tyre?", "Fixing a flat on my bike"),
    ("A comedy about two friends on a road trip", "Funny film in which a pair of buddies drive across the country"),
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    made = encoder("text", "minilm-l6")
    assert isinstance(made, MiniLM)
    return made


def embedded(minilm: MiniLM, *texts: str) -> np.ndarray:
    return minilm.vectors([Analysis(text, "und", [], []) for text in texts])


def test_a_sentence_is_closest_to_the_one_that_means_the_same(minilm: MiniLM) -> None:
    left, right = embedded(minilm, *(a for a, _ in PAIRS)), embedded(minilm, *(b for _, b in PAIRS))
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1, atol=1e-6)
    assert (left @ right.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_text_has_the_same_bits_whatever_is_beside_it(minilm: MiniLM) -> None:
    texts = [text for pair in PAIRS for text in pair] + ["", "frog", " ".join(["night train"] * 200)]
    together = embedded(minilm, *texts)
    alone = np.concatenate([embedded(minilm, text) for text in reversed(texts)])
    np.testing.assert_array_equal(together, alone[::-1])


def test_similarities_are_those_published_for_the_model(minilm: MiniLM) -> None:
    """For the examples of the library that published it, in full precision; 8 bits move them by some thousandths."""
    left = embedded(minilm, "The cat sits outside", "A man is playing guitar", "The new movie is awesome")
    right = embedded(minilm, "The dog plays in the garden", "A woman watches TV", "The new movie is so great")
    np.testing.assert_allclose((left * right).sum(axis=1), [0.2838, -0.0327, 0.8939], atol=0.01)
