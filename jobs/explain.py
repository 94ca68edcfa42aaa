"""Why these recommendations: what history and each modality add to a score, and what would be different without one of
the user's likes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import duckdb

from jobs.runtime.night import Night, UserError
from lake import views
from lake.asof import create_latest
from schemas.table import PARTS

if TYPE_CHECKING:  # it imports what models are made of, seconds that shelves alone need not wait for
    from jobs.modelling.influence import Without

HISTORY_SHOWN = 5
LIKES_SHOWN = 2
"""Of a place, the likes without which it would be lowest."""
POINTS = {
    "borda": "points of a Borda count: above 0 for items in the better half of a part's ranking, below for the others",
    "reciprocal_rank": "points of reciprocal rank fusion: the higher in a part's ranking, the more",
    "vote": "votes of the parts for the first of their rankings; fractions of a vote decide ties",
}
"""What scores are where they are not the sum of the parts' scores."""

SHELVES = f"""
    SELECT r.shelf, r.rank, r.item_id, t.title, r.score, r.probability, r.modalities,
        {", ".join(f"coalesce(r.contribution_{part}, 0) AS {part}" for part in PARTS)}
    FROM recommendations r LEFT JOIN latest t USING (item_id)
    WHERE r.date = $night AND r.user_id = $user ORDER BY r.shelf, r.rank
"""
COMBINATION = "SELECT DISTINCT combination FROM item_embeddings WHERE date = $night"
USERS = "SELECT DISTINCT user_id FROM recommendations WHERE date = $night ORDER BY user_id LIMIT 3"
RECENT = """
    SELECT any_value(t.title), i.item_id, string_agg(DISTINCT i.event, ', ' ORDER BY i.event), max(i.timestamp) AS last
    FROM interactions i LEFT JOIN latest t USING (item_id)
    WHERE i.date <= $night AND i.user_id = $user GROUP BY i.item_id ORDER BY last DESC LIMIT $shown
"""


def explain_shelves(
    night: Night,
    *,
    user: str | None = None,
    item: str | None = None,
    places: int | None = None,
    without_likes: bool = False,
) -> str:
    """A user's shelves in words, down to so many places, or one item of them.

    Without a user, those of the first few users that have a shelf.

    Args:
        without_likes: say also where each item would stand without one of the user's likes, and which share that one
            has in what all of them add to it, and what both items have in common; shelves are made anew for that.

    Raises:
        UserError: the user has no shelf on that night, or the item is not on one; or a shelf cannot be made anew.
    """
    with views.reading(night.lake) as connection:
        create_latest(connection, night.date)
        users = [user] if user else [row[0] for row in connection.execute(USERS, {"night": night.date}).fetchall()]
        if not users:
            raise UserError(f"nobody has a shelf on {night.ds}; the verdict in the table models has the reason")
        combined = [row[0] for row in connection.execute(COMBINATION, {"night": night.date}).fetchall()]
        told = [f"Scores are {POINTS[name]}." for name in combined if name in POINTS]
        shown = {one: _places(connection, night, user=one, item=item, places=places) for one in users}
        owed = _owed(connection, night, shown) if without_likes else {}
        for one in users:
            recent = connection.execute(RECENT, {"night": night.date, "user": one, "shown": HISTORY_SHOWN}).fetchall()
            did = [f"  {title or item_id} ({events})" for title, item_id, events, _ in recent]
            told += [f"{one}, the last events:", *did, "recommendations:"]
            for place in shown[one]:
                line = owed.get((one, place["shelf"], place["item_id"]))
                told += [_reason(place), *([line] if line else [])]
        return "\n".join(told)


def _places(
    connection: duckdb.DuckDBPyConnection, night: Night, *, user: str, item: str | None, places: int | None
) -> list[dict]:
    """The rows of a user's shelves that are asked for."""
    result = connection.execute(SHELVES, {"night": night.date, "user": user})
    columns = [column[0] for column in result.description]
    shelves = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    if not shelves:
        raise UserError(
            f"--user {user!r} has no shelf on {night.ds}; nightweave query lists who has: recommendations.user_id"
        )
    shown = [p for p in shelves if item in (None, p["item_id"]) and (places is None or p["rank"] <= places)]
    if not shown:
        raise UserError(f"--item {item!r} is on no shelf of {user!r} on {night.ds}; leave --item out to see what is")
    return shown


def _reason(place: dict) -> str:
    parts = sorted(((place[part], part) for part in PARTS), key=lambda p: -abs(p[0]))
    why = ", ".join(f"{part} {value:+.3f}" for value, part in parts if value)
    chance = "" if place["probability"] is None else f" ({place['probability']:.1%} likely)"
    title = place["title"] or place["item_id"]
    return f"  {place['shelf']} {place['rank']:>2}. {title}  {place['score']:.3f}{chance} = {why}"


def _owed(
    connection: duckdb.DuckDBPyConnection, night: Night, shown: Mapping[str, Iterable[Mapping]]
) -> dict[tuple[str, str, str], str]:
    """(user, shelf, item) → a line that says where the item would stand without one like or another."""
    from jobs.modelling.explanations import readable
    from jobs.modelling.influence import influences

    scores: dict[str, dict[str, dict[str, float]]] = {user: {} for user in shown}
    ranks = {}
    for user, places in shown.items():
        for place in places:
            scores[user].setdefault(place["shelf"], {})[place["item_id"]] = place["score"]
            ranks[user, place["shelf"], place["item_id"]] = place["rank"]
    found = influences(night, scores)
    titles = dict(connection.execute("SELECT item_id, title FROM latest").fetchall())
    likes = {each.like for several in found.values() for each in several}
    contents = readable(connection, night.date, likes | {item for _, _, item in found})

    def told(item: str, each: "Without") -> str:
        shared = contents[item].shared_with(contents[each.like])
        tempo = shared["shared_tempo_bpm"]
        both = [*shared["shared_words"], *shared["shared_hues"], *([f"{tempo:.0f} beats a minute"] if tempo else [])]
        notes = [f"{each.share:.0%}"] if each.share else []
        notes += [f"both: {', '.join(both)}"] if both else []
        why = f" ({'; '.join(notes)})" if notes else ""
        return f"{titles.get(each.like) or each.like}{why}: place {each.rank}"

    def line(of: tuple[str, str, str]) -> str:
        lower = sorted((each for each in found[of] if each.rank > ranks[of]), key=lambda each: -each.rank)[:LIKES_SHOWN]
        if not lower:
            return "          no like alone holds it there"
        return f"          without the like of {'; of '.join(told(of[2], each) for each in lower)}"

    return {of: line(of) for of in found}
