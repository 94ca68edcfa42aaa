"""Cleaning texts, detecting their language and counting their words."""

import pytest

from features.text.nlp.language import detect_language, may_be_english
from features.text.nlp.normalise import clean_text
from features.text.nlp.words import count_words


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (None, ""),
        ("", ""),
        (" \t\n\u00a0\u3000 ", ""),
        ("<p>Caf&eacute;&nbsp;<b>au</b>\n lait</p>", "Café au lait"),
        ("e\u0301", "\u00e9"),
        ("before<script>alert('<b>')</script>after", "before after"),
        ("before<STYLE type=x>p {}</style >after", "before after"),
        ("cut <script>never closed", "cut"),
        ("x<!-- <b>hidden</b> -->y", "x y"),
        ("one<br/>two", "one two"),
        ("<ul><li>a</li><li>b</li></ul>", "a b"),
        ("bo<b>ld</b>ly", "boldly"),
        ("a < b > c <3", "a < b > c <3"),
        ('<img alt="a > b" src=x>picture', "picture"),
        ("<a title=it's>link</a>", "link"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ('ends in a tag <img src="x', "ends in a tag"),
        ("nul\x00 bell\x07 zero\u200bwidth", "nul bell zerowidth"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("企鹅\uff0d\uff2c的吉祥物。", "企鹅\uff0d\uff2c的吉祥物。"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    ],
)
def test_clean_text(raw: str | None, clean: str) -> None:
    assert clean_text(raw) == clean


def test_clean_text_takes_time_in_proportion_to_length() -> None:
    for hostile in ("<" * 50_000, "<a " * 20_000, "<!--" * 20_000, "<script>" * 10_000, "&#x" * 20_000):
        assert isinstance(clean_text(hostile), str)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "und"),
        ("12:30 -- 45%", "und"),
        ("青蛙。", "zh"),
        ("iPhone 15 手机壳", "zh"),
        ("小米 Redmi Note 12 Pro", "zh"),
        ("蓝色连衣裙 summer dress", "zh"),
        ("The Forbidden City (故宫) in Beijing is a palace of the emperors", "en"),
        ("東京タワー", "ja"),
        ("こんにちは世界", "ja"),
        ("한국어 문장입니다", "ko"),
        ("An albino peahen (a female peafowl, or peacock).", "en"),
        ("Le rouge et le noir est un roman de Stendhal", "fr"),
        ("Это предложение написано на русском языке", "ru"),
        ("Zxqv", "und"),
    ],
)
def test_detect_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("text", "may_be"),
    [
        ("A frog.", True),
        ("A camera. hobbies", True),
        ("Pablo Picasso painted Guernica in 1937.", True),
        ("Das Leben der Anderen", False),
        ("Vestido azul de verano para mujer", False),
        ("Привет мир", False),
        ("12:30", False),
    ],
)
def test_a_short_text_counts_as_english_unless_it_cannot_be(text: str, may_be: bool) -> None:
    assert may_be_english(text) == may_be


def test_count_words() -> None:
    assert count_words("It is a well-known frog") == 6
    assert count_words("青蛙。") == 2
    assert count_words("iPhone手机壳") == 4
    assert count_words("한국어 문장") == 2
    assert count_words("हिन्दी में") == 2
