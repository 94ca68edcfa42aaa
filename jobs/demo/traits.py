"""The hidden variables of the demo shop: traits of items, tastes of users, and which modality shows which traits.

A user's liking of an item is `user_tastes @ item_traits.T` plus the item's popularity. Each trait shows only
in the modalities of `MODALITY_GROUPS`, so that no modality alone predicts what a user likes.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TASTE_STRENGTH = 1.2
"""Standard deviation, over items, of what one group of weight 1 adds to a liking, in nats; the noise has 1.28."""
ARCHETYPES = 5
"""Clusters of users' tastes in each group of traits."""
ZIPF_EXPONENT = 0.4


@dataclass(frozen=True)
class Trait:
    """One hidden trait: one of `levels` kinds, or a number in [-1, 1] where `levels` is 0."""

    name: str
    group: str
    levels: int = 0


TRAITS = (
    Trait("palette", "style", 6),
    Trait("texture", "style", 5),
    Trait("count", "style", 3),
    Trait("timbre", "mood", 5),
    Trait("tempo", "mood"),
    Trait("pattern", "energy", 5),
    Trait("direction", "energy", 4),
    Trait("speed", "energy"),
    Trait("theme", "topic", 8),
    Trait("occasion", "topic", 5),
    Trait("kind", "kind", 8),
    Trait("daylight", "daylight"),
)
GROUP_WEIGHTS = {"style": 1.0, "mood": 1.0, "energy": 1.0, "topic": 1.0, "kind": 0.5, "daylight": 0.5}
MODALITY_GROUPS = {
    "text": ("topic", "kind", "daylight"),
    "image": ("style", "kind", "daylight"),
    "audio": ("mood", "daylight"),
    "video": ("energy", "daylight"),
}
SAME_PICTURE_EVERY = 40
"""One of so many consecutive items is a variant, with the same picture as the item before it."""
_SAME_LOOK = ("palette", "texture", "count", "kind", "daylight")


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Return the generator for one purpose, and one item, user or night: the only one that is made from the seed."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *index])


def looks_like(item: int) -> int:
    """Return the item whose picture `item` has: itself, or for a variant the one before it."""
    return item - 1 if item % SAME_PICTURE_EVERY == SAME_PICTURE_EVERY // 5 - 1 else item


def hidden_traits(items: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return trait → values [items]: a level or a number in [-1, 1]; more items do not change the first ones."""
    draws = stream(seed, "traits").random((items, len(TRAITS)))
    values = {
        trait.name: np.floor(draw * trait.levels) if trait.levels else 2 * draw - 1
        for trait, draw in zip(TRAITS, draws.T, strict=True)
    }
    shown = np.array([looks_like(item) for item in range(items)], dtype=int)
    return values | {name: values[name][shown] for name in _SAME_LOOK}


def trait_groups() -> dict[str, NDArray[np.int64]]:
    """Return the columns of `item_traits` and `user_tastes` of each group of traits."""
    owners = np.array([trait.group for trait in TRAITS for _ in range(trait.levels or 1)])
    return {group: np.flatnonzero(owners == group) for group in GROUP_WEIGHTS}


def modality_columns(modality: str) -> NDArray[np.int64]:
    """Return the columns of `item_traits` and `user_tastes` that show in one modality."""
    groups = trait_groups()
    return np.concatenate([groups[group] for group in MODALITY_GROUPS[modality]])


def item_traits(items: int, seed: int) -> NDArray[np.float64]:
    """Return float64 [items, D]: centred indicators of levels, numbers of unit variance, groups scaled by weight."""
    values = hidden_traits(items, seed)
    variance = dict.fromkeys(GROUP_WEIGHTS, 0.0)
    for trait in TRAITS:
        variance[trait.group] += 1 - 1 / trait.levels if trait.levels else 1.0
    columns = []
    for trait in TRAITS:
        value = values[trait.name][:, None]
        encoded = (value == np.arange(trait.levels)) - 1 / trait.levels if trait.levels else value * np.sqrt(3)
        columns.append(encoded * GROUP_WEIGHTS[trait.group] / np.sqrt(variance[trait.group]))
    return np.hstack(columns)


def user_tastes(users: int, seed: int) -> NDArray[np.float64]:
    """Return float64 [users, D], in the columns of `item_traits`; in each group, near one of `ARCHETYPES` at random."""
    rng, width = stream(seed, "tastes"), sum(trait.levels or 1 for trait in TRAITS)
    archetypes = rng.normal(size=(ARCHETYPES, width))
    choices = rng.integers(ARCHETYPES, size=(users, len(GROUP_WEIGHTS)))
    own = rng.normal(size=(users, width))
    tastes = np.empty((users, width))
    for choice, columns in zip(choices.T, trait_groups().values(), strict=True):
        leaning = 0.85 * archetypes[choice][:, columns] + 0.5 * own[:, columns]
        length = np.linalg.norm(leaning, axis=1, keepdims=True)
        tastes[:, columns] = TASTE_STRENGTH * leaning * np.sqrt(len(columns)) / length
    return tastes


def popularity(items: int, seed: int) -> NDArray[np.float64]:
    """Return float64 [items], log-odds by a Zipf law over a random ranking, mean 0."""
    ranks = 1 + stream(seed, "popularity").permutation(items)
    odds = -ZIPF_EXPONENT * np.log(ranks)
    return odds - odds.mean()
