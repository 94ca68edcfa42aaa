"""Shelves of some users, with what they did, the parts of each score, and what came and went since the last night."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import duckdb
from markupsafe import Markup

from jobs.reporting.asking import ask
from jobs.reporting.words import name, number, say
from schemas.table import PARTS
from schemas.tables import NEWCOMER

USERS_SHOWN = 4
"""Beside the shelf for everybody without a history."""
PLACES_SHOWN = 6
PAST_SHOWN = 5
GONE_SHOWN = 4
ITEMS_SHOWN = 6
NEIGHBOURS_SHOWN = 4

# Those first whose places are explained, then people with shelves on both nights: of them the page tells what changed.
# The hash picks the same ones for as long as they are there.
USERS = f"""
    SELECT user_id FROM recommendations WHERE date = $night AND user_id != '{NEWCOMER}' GROUP BY user_id
    ORDER BY user_id IN (SELECT user_id FROM explanations WHERE date = $night) DESC,
        user_id IN (SELECT user_id FROM recommendations WHERE date = $last) DESC, hash(user_id), user_id
    LIMIT {USERS_SHOWN}
"""
PLACES = f"""
    SELECT user_id, shelf, rank, item_id, score, probability,
        {", ".join(f"coalesce(contribution_{p}, 0)" for p in PARTS)},
        (SELECT b.rank FROM recommendations b WHERE b.date = $last AND (b.user_id, b.shelf, b.item_id)
            = (r.user_id, r.shelf, r.item_id))
    FROM recommendations r WHERE date = $night AND rank <= {PLACES_SHOWN} AND user_id IN (SELECT unnest($users))
    ORDER BY user_id, shelf, rank
"""
GONE = """
    SELECT b.user_id, b.shelf, b.item_id, b.rank,
        b.item_id IN (SELECT item_id FROM interactions i WHERE i.date <= $night AND i.user_id = b.user_id),
        coalesce((SELECT deleted FROM latest l WHERE l.item_id = b.item_id), true),
        b.shelf = 'new_items' AND b.item_id IN (SELECT item_id FROM interactions i WHERE i.date <= $night)
    FROM recommendations b
    WHERE b.date = $last AND b.user_id IN (SELECT unnest($users)) AND (b.user_id, b.shelf, b.item_id) NOT IN (
        SELECT (user_id, shelf, item_id) FROM recommendations
        WHERE date = $night AND user_id IN (SELECT unnest($users)))
    ORDER BY b.user_id, b.shelf, b.rank
"""
PAST = f"""
    SELECT user_id, item_id, list(DISTINCT event ORDER BY event), max(timestamp) AS last
    FROM interactions WHERE date <= $night AND user_id IN (SELECT unnest($users)) GROUP BY user_id, item_id
    QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY last DESC, item_id) <= {PAST_SHOWN}
    ORDER BY user_id, last DESC, item_id
"""
BECAUSE = """
    SELECT user_id, shelf, item_id, because_item_id, share, rank_without, shared_words, shared_hues, shared_tempo_bpm
    FROM explanations WHERE date = $night AND user_id IN (SELECT unnest($users))
    ORDER BY user_id, shelf, item_id, owed DESC, because_item_id
"""
NEIGHBOURS = f"""
    SELECT item_id, list({{'item_id': similar_item_id, 'score': score}} ORDER BY rank) FROM similar_items
    WHERE date = $night AND rank <= {NEIGHBOURS_SHOWN} AND item_id IN (
        SELECT item_id FROM similar_items WHERE date = $night GROUP BY item_id ORDER BY hash(item_id), item_id
        LIMIT {ITEMS_SHOWN})
    GROUP BY item_id ORDER BY hash(item_id), item_id
"""


@dataclass(frozen=True)
class Because:
    """A like that weighs in a place, as `explanations` has it.

    Attributes:
        share: of what all of the user's likes add.
        rank_without: where the item would stand without it.
    """

    user_id: str
    shelf: str
    item_id: str
    like: str
    share: float
    rank_without: int
    words: list[str]
    hues: list[str]
    tempo_bpm: float | None


@dataclass(frozen=True)
class Place:
    """One place on a shelf.

    Attributes:
        probability: the chance of a like; None where the model has no calibration.
        parts: part of the score → how much it adds or takes away.
        was: the rank on the same shelf on the last night; None where the item was not on it.
        because: the likes that weigh most, the heaviest first; none where the night did not write them for the user.
    """

    user_id: str
    shelf: str
    rank: int
    item_id: str
    score: float
    probability: float | None
    parts: dict[str, float]
    was: int | None
    because: list[Because]


@dataclass(frozen=True)
class Gone:
    """A place of the last night's shelf whose item is on it no more.

    Attributes:
        used: the user has had an event with it since.
        deleted: it has left the catalog.
        known: it is no longer new: somebody has had an event with it.
    """

    user_id: str
    shelf: str
    item_id: str
    rank: int
    used: bool
    deleted: bool
    known: bool


@dataclass(frozen=True)
class Past:
    """What a user did with one item: kinds of events, ascending."""

    user_id: str
    item_id: str
    events: list[str]
    last: object


@dataclass(frozen=True)
class Shelf:
    """A shelf of a user."""

    name: str
    places: list[Place]
    gone: list[Gone]

    @property
    def most(self) -> float:
        """The largest sum of the parts that raise a score."""
        return max((sum(v for v in p.parts.values() if v > 0) for p in self.places), default=0.0)

    @property
    def least(self) -> float:
        """The sum of the parts that lower a score that is farthest from 0; 0 or less."""
        return min((sum(v for v in p.parts.values() if v < 0) for p in self.places), default=0.0)


@dataclass(frozen=True)
class User:
    """A user with shelves; `compared` where the last night had some too."""

    user_id: str
    past: list[Past]
    shelves: list[Shelf]
    compared: bool


@dataclass(frozen=True)
class Neighbours:
    """An item and those most similar to it, as (item_id, score)."""

    item_id: str
    similar: list[tuple[str, float]]


def users(connection: duckdb.DuckDBPyConnection, night: date, last: date | None) -> list[User]:
    """Some users, the one who stands for everybody without a history last.

    Args:
        last: the night before.
    """
    named = {"night": night, "last": last}
    ids = [user_id for (user_id,) in connection.execute(USERS, named).fetchall()]
    shown = {**named, "users": [*ids, NEWCOMER]}
    because: dict[tuple[str, str, str], list[Because]] = {}
    for each in ask(connection, Because, BECAUSE, night=night, users=ids):
        because.setdefault((each.user_id, each.shelf, each.item_id), []).append(each)
    rows = connection.execute(PLACES, shown).fetchall()
    places = [
        Place(
            user_id,
            shelf,
            rank,
            item_id,
            score,
            probability,
            parts=dict(zip(PARTS, parts, strict=True)),
            was=was,
            because=because.get((user_id, shelf, item_id), []),
        )
        for user_id, shelf, rank, item_id, score, probability, *parts, was in rows
    ]
    gone = ask(connection, Gone, GONE, **shown) if last else []
    past = ask(connection, Past, PAST, night=night, users=[*ids, NEWCOMER])
    before = {
        user_id for (user_id,) in connection.execute(BEFORE, {"last": last, "users": [*ids, NEWCOMER]}).fetchall()
    }
    found = []
    for user_id in [*ids, NEWCOMER]:
        own = [place for place in places if place.user_id == user_id]
        shelves = [
            Shelf(
                name,
                [place for place in own if place.shelf == name],
                [each for each in gone if (each.user_id, each.shelf) == (user_id, name)][:GONE_SHOWN],
            )
            for name in dict.fromkeys(place.shelf for place in own)
        ]
        if shelves:
            found.append(User(user_id, [p for p in past if p.user_id == user_id], shelves, user_id in before))
    return found


BEFORE = "SELECT DISTINCT user_id FROM recommendations WHERE date = $last AND user_id IN (SELECT unnest($users))"


def neighbours(connection: duckdb.DuckDBPyConnection, night: date) -> list[Neighbours]:
    """Some items and those most similar to them."""
    return [
        Neighbours(item_id, [(each["item_id"], each["score"]) for each in similar])
        for item_id, similar in connection.execute(NEIGHBOURS, {"night": night}).fetchall()
    ]


def items_of(users: Iterable[User]) -> set[str]:
    """The items that are on the page with some users."""
    found: set[str] = set()
    for user in users:
        found |= {past.item_id for past in user.past}
        for shelf in user.shelves:
            found |= {place.item_id for place in shelf.places} | {gone.item_id for gone in shelf.gone}
            found |= {each.like for place in shelf.places for each in place.because}
    return found


def shared(because: Because) -> Markup:
    """What an item and a like have in common, in both languages."""
    what = [Markup.escape(word) for word in because.words]
    what += [name(hue) for hue in because.hues]
    if because.tempo_bpm:
        what.append(say("{n} beats a minute", "每分钟 {n} 拍", n=number(because.tempo_bpm, 0)))
    return say(", ", "、").join(what)
