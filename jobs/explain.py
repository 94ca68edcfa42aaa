"""Why these recommendations: what history and each modality add to a score, and what the user did before."""

from datetime import date

import duckdb

from jobs.runtime.night import UserError
from lake import views
from lake.asof import create_latest
from lake.lake import Lake
from schemas.table import PARTS

HISTORY_SHOWN = 5
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
    lake: Lake, night: date, *, user: str | None = None, item: str | None = None, places: int | None = None
) -> str:
    """A user's shelves in words, down to so many places, or one item of them.

    Without a user, those of the first few users that have a shelf.

    Raises:
        UserError: the user has no shelf on that night, or the item is not on one.
    """
    with views.reading(lake) as connection:
        create_latest(connection, night)
        users = [user] if user else [row[0] for row in connection.execute(USERS, {"night": night}).fetchall()]
        if not users:
            raise UserError(f"nobody has a shelf on {night}; the verdict in the table models has the reason")
        combined = [row[0] for row in connection.execute(COMBINATION, {"night": night}).fetchall()]
        notes = [f"Scores are {POINTS[name]}." for name in combined if name in POINTS]
        told = [_explain(connection, night, user=one, item=item, places=places) for one in users]
        return "\n".join([*notes, *told])


def _explain(
    connection: duckdb.DuckDBPyConnection, night: date, *, user: str, item: str | None, places: int | None
) -> str:
    result = connection.execute(SHELVES, {"night": night, "user": user})
    columns = [column[0] for column in result.description]
    shelves = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    if not shelves:
        raise UserError(
            f"--user {user!r} has no shelf on {night}; nightweave query lists who has: recommendations.user_id"
        )
    shown = [p for p in shelves if item in (None, p["item_id"]) and (places is None or p["rank"] <= places)]
    if not shown:
        raise UserError(f"--item {item!r} is on no shelf of {user!r} on {night}; leave --item out to see what is")
    recent = connection.execute(RECENT, {"night": night, "user": user, "shown": HISTORY_SHOWN}).fetchall()
    did = [f"  {title or item_id} ({events})" for title, item_id, events, _ in recent]
    return "\n".join([f"{user} did last:", *did, "and is recommended:", *map(_reason, shown)])


def _reason(place: dict) -> str:
    parts = sorted(((place[part], part) for part in PARTS), key=lambda p: -abs(p[0]))
    why = ", ".join(f"{part} {value:+.3f}" for value, part in parts if value)
    chance = "" if place["probability"] is None else f" ({place['probability']:.1%} likely)"
    title = place["title"] or place["item_id"]
    return f"  {place['shelf']} {place['rank']:>2}. {title}  {place['score']:.3f}{chance} = {why}"
