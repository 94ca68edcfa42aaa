"""Titles, descriptions, tags and reviews by a small grammar, from an item's theme, occasion, kind and daylight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from jobs.demo.words import VOCABULARIES

T = TypeVar("T")


@dataclass(frozen=True)
class Topic:
    """The traits that a text may express: levels of `theme`, `occasion` and `kind`, and `daylight` in [-1, 1]."""

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
    """Return texts about a topic in `language` (`en` or `zh`)."""
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
    """Return a review of one or two short sentences that fits `stars` (0.5 to 5)."""
    words = VOCABULARIES[language]
    opening = pick(rng, words.praise if stars >= 4 else words.shrug if stars >= 3 else words.complaint)
    remark = pick(rng, words.remarks).format(**_fillings(rng, language, topic))
    return (opening + (" " if language == "en" else "") + remark).strip()


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Return one of `choices`, drawn uniformly."""
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
