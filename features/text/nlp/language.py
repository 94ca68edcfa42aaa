"""Language detection."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"

_KANA = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")

# A short text in Latin script is similar to a dozen languages; only those with many speakers are candidates.
_LATIN_LANGUAGES = frozenset(
    ("cs", "da", "de", "en", "es", "fi", "fr", "hu", "id", "it", "nl", "no", "pl", "pt", "ro", "sv", "tr", "vi")
)
_LEAST_PROBABILITY = 0.4
_LEAST_ENGLISH = 0.05
_ENOUGH_CHARACTERS = 2000


def detect_language(text: str) -> str:
    """ISO 639-1 code of the language of `text`, "und" where there are no words or no language is probable enough.

    East Asian scripts decide by themselves: kana means Japanese, Hangul Korean, Han characters Chinese, unless the
    text is mostly in other letters: one such character weighs as much as two words, so that "iPhone 15 手机壳" is
    Chinese and an English sentence that quotes a Chinese name is English. All other texts are classified by n-gram
    statistics (py3langid), restricted to 18 languages in Latin script.

    >>> detect_language("小米 Redmi Note 12 Pro"), detect_language("12:30")
    ('zh', 'und')
    """
    text = text[:_ENOUGH_CHARACTERS]
    han, kana, hangul = (len(script.findall(text)) for script in (_HAN, _KANA, _HANGUL))
    others = _WORD.findall(_HAN.sub(" ", _KANA.sub(" ", _HANGUL.sub(" ", text))))
    if 2 * (han + kana + hangul) >= max(1, len(others)):
        if hangul > kana:
            return "ko"
        return "ja" if kana else "zh"
    return _by_statistics(" ".join(others)) if others else UNKNOWN


def may_be_english(text: str) -> bool:
    """Whether `text` is in Latin letters and English has a probability of 5% or more.

    A title of a few words, or a sentence full of names, is often assigned to no language or to a wrong one; but English
    keeps some probability if it is English, and nearly none if it isn't.

    >>> may_be_english("Angela Merkel met Emmanuel Macron in Paris."), may_be_english("La vie est belle")
    (True, False)
    """
    words = " ".join(_WORD.findall(text[:_ENOUGH_CHARACTERS]))
    return _mostly_latin(words) and _shares(words)["en"] >= _LEAST_ENGLISH


def _mostly_latin(words: str) -> bool:
    return 2 * len(_LATIN.findall(words)) > len(words.replace(" ", ""))


def _by_statistics(words: str) -> str:
    best, share = next(iter(_shares(words).items()))
    return best if share >= _LEAST_PROBABILITY else UNKNOWN


@lru_cache(maxsize=2)
def _shares(words: str) -> Mapping[str, float]:
    """The probability of each candidate language, the most probable first.

    The last are kept: a text in one language is asked about as a whole and in parts that are the same words.
    """
    latin = _mostly_latin(words)
    candidates = {
        language: probability
        for language, probability in _identifier().rank(words)
        if (language in _LATIN_LANGUAGES if latin else len(language) == 2)
    }
    total = sum(candidates.values())
    return {language: probability / total for language, probability in candidates.items()}


@cache
def _identifier() -> "LanguageIdentifier":
    """The model, loaded at the first call of a process (about 2 s)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
