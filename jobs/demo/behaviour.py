"""Simulated events: users visit items by a softmax over taste and popularity; satisfaction decides on the events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jobs.demo.items import HISTORY_DAYS
from jobs.demo.mess import DAY
from jobs.demo.plan import Plan
from jobs.demo.traits import item_traits, popularity, stream, user_tastes

EVENTS = ("view", "click", "like", "dislike", "cart", "purchase", "rating", "review")
VISITS_PER_USER = 26
LATER_NIGHT_SHARE = 0.06
"""Share of all visits on each night after the first (less where there are many)."""
LATE_SHARE, LATE_DAYS = 0.3, 3
"""Share of the visits in the days before a later night that arrive late, and by how many days at most."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """All events, one place each in every array, ascending by night of arrival, then by time.

    Attributes:
        user, item: their numbers.
        night: the night of arrival.
        late: whether the event is older than the day of that night.
        seconds: since 1970-01-01, UTC.
        event: index in `EVENTS`.
        stars: 0.5 to 5 for a rating or review, else NaN.
    """

    user: Ints
    item: Ints
    night: Ints
    late: NDArray[np.bool_]
    seconds: Ints
    event: Ints
    stars: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class _Visits:
    """Visits, one place each: `satisfaction` in [0, 1], `day` counted from the first night."""

    user: Ints
    item: Ints
    day: Ints
    satisfaction: NDArray[np.float64]


def simulate(plan: Plan, users: int, first_midnight: int, *, progress: bool = False) -> Events:
    """Return the events of all nights; `first_midnight`, in epoch seconds, is the start of the first night's day."""
    visits = _all_visits(plan, users, progress=progress)
    rng = stream(plan.seed, "events")
    night = _arrival_nights(rng, visits.day, plan.nights)
    chance = rng.random((len(visits.user), len(EVENTS))) < _likelihoods(visits.satisfaction)
    chance[:, 0] |= ~chance.any(axis=1)
    visit, event = np.nonzero(chance)
    opening = (rng.beta(3, 2, len(visits.user)) * 22 * 3600).astype(np.int64)
    seconds = first_midnight + visits.day[visit] * DAY + opening[visit] + event * rng.integers(20, 600, len(event))
    stars = np.clip(np.round(2 * (1 + 4.2 * visits.satisfaction[visit] + rng.normal(0, 0.5, len(event)))) / 2, 0.5, 5)
    stars[event < EVENTS.index("rating")] = np.nan
    late = (night > 0) & (night > visits.day)
    order = np.lexsort((event, visit, seconds, night[visit]))
    visit, event = visit[order], event[order]
    return Events(
        user=visits.user[visit],
        item=visits.item[visit],
        night=night[visit],
        late=late[visit],
        seconds=seconds[order],
        event=event,
        stars=stars[order],
    )


def _all_visits(plan: Plan, users: int, *, progress: bool) -> _Visits:
    traits, pull = item_traits(plan.items, plan.seed), popularity(plan.items, plan.seed)
    tastes = user_tastes(users, plan.seed)
    found = [
        _visits(plan, user, traits @ tastes[user], pull)
        for user in tqdm(range(users), desc="users", unit="user", disable=not progress)
    ]
    return _Visits(
        user=np.concatenate([part.user for part in found]),
        item=np.concatenate([part.item for part in found]),
        day=np.concatenate([part.day for part in found]),
        satisfaction=np.concatenate([part.satisfaction for part in found]),
    )


def _visits(plan: Plan, user: int, liking: NDArray[np.float64], pull: NDArray[np.float64]) -> _Visits:
    rng = stream(plan.seed, "user", user)
    number = int(np.clip(rng.lognormal(np.log(VISITS_PER_USER) - 0.18, 0.6), 5, plan.items / 3))
    later = min(LATER_NIGHT_SHARE, 0.4 / max(1, plan.nights - 1))
    per_night = rng.multinomial(number, [1 - later * (plan.nights - 1)] + [later] * (plan.nights - 1))
    free, chosen, days = ~plan.cold, [], []
    for night, count in enumerate(per_night.tolist()):
        available = np.flatnonzero(free & (plan.arrival <= night) & (plan.deleted > night))
        utility = liking[available] + pull[available] + rng.gumbel(size=len(available))
        visited = available[rng.permutation(np.argsort(-utility, kind="stable")[:count])]
        free[visited] = False
        chosen.append(visited)
        days.append(
            night - rng.integers(HISTORY_DAYS, size=len(visited)) if night == 0 else np.full(len(visited), night)
        )
    item = np.concatenate(chosen)
    standardised = (liking[item] - liking.mean()) / liking.std()
    satisfaction = 1 / (1 + np.exp(-1.3 * standardised))
    return _Visits(np.full(len(item), user), item, np.concatenate(days), satisfaction)


def _arrival_nights(rng: np.random.Generator, day: Ints, nights: int) -> Ints:
    """The night on which each visit's events arrive: that of its day, or for a few visits a later one."""
    on_time = np.maximum(day, 0)
    delayed = np.minimum(day + rng.integers(1, LATE_DAYS + 1, len(day)), nights - 1)
    late = (rng.random(len(day)) < LATE_SHARE) & (delayed > 0)
    return np.where(late, delayed, on_time)


def _likelihoods(satisfaction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each event, float64 [visits, EVENTS]."""
    ones = np.ones_like(satisfaction)
    return np.stack(
        [
            0.45 * ones,
            0.25 + 0.25 * satisfaction,
            0.35 * satisfaction,
            0.3 * np.maximum(0, 0.5 - satisfaction),
            0.2 * satisfaction,
            0.2 * satisfaction,
            0.2 * ones,
            0.07 * ones,
        ],
        axis=1,
    )
