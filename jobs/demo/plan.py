"""The plan of the catalog: when items arrive, change and go, which modalities they lack, and which faults they have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.demo.traits import hidden_traits, looks_like, stream

FIRST_NIGHT_SHARE = 0.8
MISSING_SHARES = {"text": 0.1, "image": 0.12, "audio": 0.22, "video": 0.6}
CHANGED_SHARE = 0.04
DELETED_SHARE = 0.015
DUPLICATE_SHARE = 0.03
REFUSED_SHARE = 0.02
"""At most this share of the first night's item rows is malformed."""
SECOND_PICTURE_SHARE = 0.15
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """The plan, one place an item in every array.

    Attributes:
        traits: hidden trait → its value.
        arrival: the night (0, 1, …) on which the item first arrives.
        changed: the later night on which it has a new title and picture; 0 for never.
        deleted: the night on which it is withdrawn; `nights` for never.
        has: modality → whether the item has it.
        cold: no user interacts with it.
        truncated: its first picture's file is truncated.
        silent: its sound file is silent.
        second_picture: it has two pictures.
        duplicated: its first row is written twice.
        broken: a malformed row precedes its first one.
    """

    items: int
    nights: int
    seed: int
    traits: dict[str, NDArray[np.float64]]
    arrival: NDArray[np.int64]
    changed: NDArray[np.int64]
    deleted: NDArray[np.int64]
    has: dict[str, Flags]
    cold: Flags
    truncated: Flags
    silent: Flags
    second_picture: Flags
    duplicated: Flags
    broken: Flags

    def trait(self, name: str, item: int) -> int:
        """Return the level of a trait that has levels."""
        return int(self.traits[name][item])


def plan_catalog(items: int, nights: int, seed: int, *, media: bool = True) -> Plan:
    """Return the plan that follows from a seed; without `media`, items have text only."""
    rng = stream(seed, "plan")
    arrival = _arrivals(rng, items, nights)
    changed, deleted = _later_events(rng, arrival, nights)
    has = _modalities(rng, items, media=media)
    twins = np.array([looks_like(i) != i or looks_like(min(i + 1, items - 1)) == i for i in range(items)])
    duplicated = _some(rng, np.ones(items, bool), DUPLICATE_SHARE)
    first = arrival == 0
    clean_rows = int(first.sum() + (first & duplicated).sum())
    return Plan(
        items=items,
        nights=nights,
        seed=seed,
        traits=hidden_traits(items, seed),
        arrival=arrival,
        changed=changed,
        deleted=deleted,
        has=has,
        cold=_cold(rng, arrival, nights),
        truncated=_some(rng, has["image"] & ~twins, 0.01),
        silent=_some(rng, has["audio"], 0.015),
        second_picture=has["image"] & (rng.random(items) < SECOND_PICTURE_SHARE),
        duplicated=duplicated,
        broken=_exactly(rng, first, int(clean_rows * REFUSED_SHARE / (1 - REFUSED_SHARE))),
    )


def _exactly(rng: np.random.Generator, among: Flags, count: int) -> Flags:
    """Mark `count` of the items in `among`, or all of them where there are fewer."""
    flags = np.zeros(len(among), bool)
    flags[rng.permutation(np.flatnonzero(among))[:count]] = True
    return flags


def _some(rng: np.random.Generator, among: Flags, share: float) -> Flags:
    """Mark that share of `among`, at least one item."""
    return _exactly(rng, among, max(1, round(share * int(among.sum()))))


def _arrivals(rng: np.random.Generator, items: int, nights: int) -> NDArray[np.int64]:
    if nights == 1:
        return np.zeros(items, np.int64)
    order = rng.permutation(items)
    first = max(1, round(items * FIRST_NIGHT_SHARE))
    arrival = np.zeros(items, np.int64)
    arrival[order[first:]] = 1 + np.arange(items - first) % (nights - 1)
    return arrival


def _later_events(
    rng: np.random.Generator, arrival: NDArray[np.int64], nights: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """On which night each item is changed (0: never) and deleted (`nights`: never); none is both."""
    changed, deleted = np.zeros_like(arrival), np.full_like(arrival, nights)
    if nights > 1:
        lasting = arrival < nights - 1
        gone = _some(rng, lasting, DELETED_SHARE)
        anew = _some(rng, lasting & ~gone, CHANGED_SHARE)
        deleted[gone] = rng.integers(arrival[gone] + 1, nights)
        changed[anew] = rng.integers(arrival[anew] + 1, nights)
    return changed, deleted


def _modalities(rng: np.random.Generator, items: int, *, media: bool) -> dict[str, Flags]:
    has = {modality: rng.random(items) >= share for modality, share in MISSING_SHARES.items()}
    if not media:
        has = {modality: flags & (modality == "text") for modality, flags in has.items()}
    has["text"] |= ~np.any(list(has.values()), axis=0)
    return has


def _cold(rng: np.random.Generator, arrival: NDArray[np.int64], nights: int) -> Flags:
    """A few of the first night's items and half of each later night's."""
    cold = _some(rng, arrival == 0, 0.04)
    for night in range(1, nights):
        cold |= _some(rng, arrival == night, 0.5)
    return cold
