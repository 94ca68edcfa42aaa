"""What two items have in common."""

import numpy as np

from features.image.descriptors.colour import colour_histogram
from jobs.modelling.explanations import Readable


def picture(*colours: tuple[int, int, int]) -> list[float]:
    """The histogram of bands of equal height."""
    return colour_histogram(np.array(colours, np.uint8).repeat(24, axis=0)[:, None].repeat(96, axis=1)).tolist()


RED, BLUE, WHITE = (220, 20, 20), (20, 20, 220), (255, 255, 255)


def test_words_are_those_of_key_phrases_in_either_language() -> None:
    english = Readable.of(["The", "Low", "stool", "for", "a", "low", "room"], ["Low stool", "low room"], None, None)
    assert english.words == {"low", "stool", "room"}
    chinese = Readable.of(["海洋", "音箱", "，", "灵感", "来自", "早晨"], ["海洋音箱", "早晨"], None, None)
    assert chinese.words == {"海洋", "音箱", "早晨"}
    assert Readable.of(None, None, None, None) == Readable(frozenset(), frozenset(), None)


def test_what_two_items_share_by_hand() -> None:
    """A tenth of a picture is enough, grey is no hue; 120 and 124 beats are one tempo, 120 and 125 are not."""
    one = Readable.of(["red", "lamp"], ["red lamp"], picture(RED, WHITE, WHITE, WHITE), 120.0)
    other = Readable.of(["lamp", "shade"], ["lamp shade"], picture(BLUE, RED, WHITE, WHITE), 124.0)
    assert one.shared_with(other) == {"shared_words": ["lamp"], "shared_hues": ["red"], "shared_tempo_bpm": 120.0}
    faster = Readable.of([], [], picture(BLUE, WHITE), 125.0)
    nothing = {"shared_words": [], "shared_hues": [], "shared_tempo_bpm": None}
    assert one.shared_with(faster) == nothing
    silent = Readable.of([], [], None, None)
    assert one.shared_with(silent) == silent.shared_with(silent) == nothing
