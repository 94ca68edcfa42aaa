"""Rows of `RAW/interactions`, as a tracker would send them."""

from collections.abc import Iterator

import numpy as np

from jobs.demo.behaviour import EVENTS, Events
from jobs.demo.items import topic
from jobs.demo.media import item_id
from jobs.demo.mess import MALFORMED_INTERACTIONS, Content, Row, damaged, timestamp
from jobs.demo.plan import Plan
from jobs.demo.texts import pick, review
from jobs.demo.traits import stream

DUPLICATE_SHARE = 0.015
MALFORMED_EVERY = 200
"""Good rows between two malformed ones."""


def user_id(user: int) -> str:
    return f"user-{user:05d}"


def split_by_format(events: Events, night: int, nights: int) -> dict[str, np.ndarray]:
    """Return the places of the night's events by file format: a tenth is CSV on the second night, or the only one."""
    places = np.flatnonzero(events.night == night)
    csv = (np.arange(len(places)) % 10 == 3) & (night == min(1, nights - 1))
    return {"jsonl": places[~csv], "csv": places[csv]}


def rows(plan: Plan, events: Events, places: np.ndarray, *, malformed: bool) -> Iterator[Row]:
    """Yield the events at `places`, some of them twice; if `malformed`, malformed rows between them."""
    rng = stream(plan.seed, "tracker", *places[:1].tolist())
    for number, place in enumerate(places.tolist(), start=1):
        notation, again, extra = int(rng.integers(4)), rng.random() < DUPLICATE_SHARE, rng.random() < 0.02
        late = ("late_interaction",) if events.late[place] else ()
        content = _content(plan, events, place, notation)
        if extra:
            yield Row(content | {"session": f"s{rng.integers(16**6):06x}"}, (*late, "unknown_column"))
        else:
            yield Row(content, late)
        if again:
            yield Row(_content(plan, events, place, int(rng.integers(4))), (*late, "duplicate_interaction"))
        if malformed and number % MALFORMED_EVERY == 0:
            name = MALFORMED_INTERACTIONS[number // MALFORMED_EVERY % len(MALFORMED_INTERACTIONS)]
            yield damaged(_content(plan, events, place, 0), name)


def _content(plan: Plan, events: Events, place: int, notation: int) -> Content:
    event, user, item = EVENTS[events.event[place]], int(events.user[place]), int(events.item[place])
    row: Content = {
        "user_id": user_id(user),
        "item_id": item_id(item),
        "timestamp": timestamp(int(events.seconds[place]), notation),
        "event": event,
    }
    if not np.isnan(events.stars[place]):
        row["value"] = float(events.stars[place])
    if event == "review":
        rng = stream(plan.seed, "review", user, item)
        language = pick(stream(plan.seed, "speaks", user), ("en", "zh"))
        row["text"] = review(rng, language, topic(plan, item), float(events.stars[place]))
    return row
