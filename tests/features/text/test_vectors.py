"""Bags of words and word vectors."""

from pathlib import Path

import numpy as np
import pytest

from features.base import Encoder
from features.registry import encoder
from features.text.e5_file import e5_file
from features.text.nlp.terms import TERM_SPACE, hashed_vector, normal_form, term_counts
from features.text.word_vectors import sif_mean


def vectors(made: Encoder, *texts: str) -> np.ndarray:
    batch = made.encode([made.decode(text) for text in texts])
    return np.array(batch["vector"].to_pylist(), np.float32)


def test_terms_are_counted_under_the_same_number_every_night() -> None:
    assert term_counts(["frog"]) == ([744687], [1])
    numbers, counts = term_counts(["青蛙", "frog", "frog"])
    assert numbers == sorted(numbers)
    assert max(numbers) < TERM_SPACE
    assert counts[numbers.index(744687)] == 2


def test_terms_are_compared_in_one_form() -> None:
    assert normal_form("Ｌｉｎｕｘ") == normal_form("LINUX") == "linux"


def test_a_bag_is_the_weighted_sum_of_its_terms() -> None:
    frog, pond = hashed_vector(["frog"], 1024), hashed_vector(["pond"], 1024)
    mixed = np.log(3) * frog + np.log(2) * pond
    ours = hashed_vector(["frog", "pond", "frog"], 1024)
    np.testing.assert_allclose(ours, mixed / np.linalg.norm(mixed), atol=1e-6)


def test_hashed_bags_keep_the_similarity_of_the_full_ones() -> None:
    left, right = [f"word{i}" for i in range(60)], [f"word{i}" for i in range(30, 90)]
    assert hashed_vector(left, 1024) @ hashed_vector(right, 1024) == pytest.approx(0.5, abs=0.1)


def test_forms_of_a_word_and_its_case_are_one_term() -> None:
    bag = encoder("text", "bag-of-words")
    one, other, text_without_words = vectors(bag, "A frog sees it", "a Frog saw it", "!!!")
    np.testing.assert_array_equal(one, other)
    assert np.linalg.norm(text_without_words) == pytest.approx(1)


def test_a_narrow_bag_is_refused() -> None:
    with pytest.raises(ValueError, match="dim is 63"):
        encoder("text", "bag-of-words", dim=63)


def test_frequent_words_weigh_less() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0]])
    expected = np.array([0.5, 0.25]) / np.hypot(0.5, 0.25)
    np.testing.assert_allclose(sif_mean(rows, np.array([0.001, 0.003])), expected, rtol=1e-6)


def test_word_vectors_are_the_weighted_input_embeddings() -> None:
    """The tokens of "frog" are the mark of a space and the word."""
    pieces = {piece: (row, score) for row, (piece, score) in enumerate(e5_file().vocabulary.pieces)}
    rows, scores = zip(*[pieces[piece] for piece in ("▁", "frog")], strict=True)
    expected = (1e-3 / (1e-3 + np.exp(scores))) @ e5_file().embeddings(np.array(rows))
    np.testing.assert_allclose(
        vectors(encoder("text", "word-vectors"), "frog")[0], expected / np.linalg.norm(expected), atol=1e-6
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text("3 2\nfrog 1 0\npond 0 1\n青蛙 3 4\n", encoding="utf-8")
    return path


def test_vectors_of_a_file(file: Path) -> None:
    """The harmonic number of 3 is 11/6, so the words have p = 6/11, 3/11 and 2/11."""
    made = encoder("text", "word-vectors", vectors=str(file))
    assert made.dim == 2
    frog, pond = 1e-3 / (1e-3 + 6 / 11), 1e-3 / (1e-3 + 3 / 11)
    expected = [[0.6, 0.8], np.array([frog, pond]) / np.hypot(frog, pond), np.array([4, 5]) / np.sqrt(41)]
    np.testing.assert_allclose(vectors(made, "青蛙。", "Frog in the pond", "unknown"), expected, atol=1e-6)


def test_a_file_counts_by_its_content(file: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same.txt", tmp_path / "other.txt"
    same.write_bytes(file.read_bytes())
    other.write_text("frog 1 1\n")
    prints = [encoder("text", "word-vectors", vectors=str(path)).fingerprint for path in (file, same, other)]
    assert prints[0] == prints[1] != prints[2]
    fewer = encoder("text", "word-vectors", vectors=str(file), max_words=2)
    assert fewer.fingerprint != prints[0]
    np.testing.assert_allclose(vectors(fewer, "青蛙"), [[np.sqrt(0.5)] * 2], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no word vectors"),
        ("frog 1 2\npond 1\n", "line 2: expected a word and 2 numbers"),
        ("frog 1 2\npond one 2\n", "line 2"),
        ("frog 1 nan\n", "line 1"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        vectors(encoder("text", "word-vectors", vectors=str(path)), "frog")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"'nowhere\.txt', which is no file"):
        encoder("text", "word-vectors", vectors="nowhere.txt")
