"""What holds for every text encoder."""

import pytest

from features.base import MediaError
from features.registry import encoder


@pytest.mark.parametrize("text", ["", "  \n", "\u200b\x00"])
def test_empty_text_is_refused(text: str) -> None:
    with pytest.raises(MediaError) as refused:
        encoder("text", "e5-small").decode(text)
    assert refused.value.reason == "empty"


def test_lines_stay_apart_when_a_text_is_decoded() -> None:
    decoded = encoder("text", "bag-of-words").decode("A  frog.\r\n \n青蛙\x00。\x0bpond")
    assert decoded == "A frog.\n青蛙 。\npond"


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    bag = encoder("text", "bag-of-words", max_characters=20)
    batch = bag.encode([bag.decode("a frog in the garden"), bag.decode("a frog in the garden and other things")])
    assert batch["vector"][0] == batch["vector"][1]
    assert batch["characters"].to_pylist() == [20, 37]
    assert batch["tokens"].to_pylist()[1] == ["a", "frog", "in", "the", "garden"]


@pytest.mark.parametrize("name", ["e5-small", "word-vectors", "bag-of-words"])
def test_a_text_must_have_room(name: str) -> None:
    with pytest.raises(ValueError, match="max_characters is 0"):
        encoder("text", name, max_characters=0)
