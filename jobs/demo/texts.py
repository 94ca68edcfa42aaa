"""Titles, descriptions, tags and reviews by a small grammar: topic, kind and hour of the day choose the words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from jobs.demo.words import VOCABULARIES

T = TypeVar("T")


@dataclass(frozen=True)
class Topic:
    """What a text may speak of: the levels of `theme`, `occasion` and `kind`, and the hour in [-1, 1]."""

    theme: int
    occasion: int
    kind: int
    daylight: float


@dataclass(frozen=True)
class Wording:
    """An item's texts in one language."""

    title: str
    description: str
    category: str
    tags: list[str]


def wording(rng: np.random.Generator, language: str, topic: Topic) -> Wording:
    """Put a topic into words of `language` (`en` or `zh`)."""
    words = VOCABULARIES[language]
    fill = _fillings(rng, language, topic)
    title = pick(rng, words.titles).format(**fill)
    return Wording(
        title=title[:1].upper() + title[1:],
        description=pick(rng, words.descriptions).format(**fill),
        category=words.categories[topic.kind],
        tags=[words.theme_tags[topic.theme], words.occasion_tags[topic.occasion]],
    )


def review(rng: np.random.Generator, language: str, topic: Topic, stars: float) -> str:
    """Two short sentences from someone who gave `stars` (0.5 to 5)."""
    words = VOCABULARIES[language]
    opening = pick(rng, words.praise if stars >= 4 else words.shrug if stars >= 3 else words.complaint)
    remark = pick(rng, words.remarks).format(**_fillings(rng, language, topic))
    return (opening + (" " if language == "en" else "") + remark).strip()


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of `choices`, each as likely as the next."""
    return choices[int(rng.integers(len(choices)))]


def _fillings(rng: np.random.Generator, language: str, topic: Topic) -> dict[str, str]:
    words = VOCABULARIES[language]
    theme, feel = pick(rng, words.themes[topic.theme])
    hour = words.hours[min(2, int((topic.daylight + 1) * 1.5))]
    return {
        "theme": theme,
        "feel": feel,
        "kind": pick(rng, words.kinds[topic.kind]),
        "occasion": words.occasions[topic.occasion],
        "hour": pick(rng, hour),
    }
