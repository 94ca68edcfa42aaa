"""Items, history, reviews and given vectors as of a night: from rows that had arrived by then, and none later."""

from collections.abc import Mapping
from datetime import date

import duckdb
import pyarrow as pa

from lake import views
from lake.lake import Lake
from schemas.table import Medium

EXPLICIT = ("like", "dislike", "rating", "review")
"""Events that state an opinion; if the latest is negative, the pair's weight is 0 whatever its other events."""

REVIEWS = """
    SELECT user_id, item_id, text_key FROM interactions WHERE date <= $night AND text_key IS NOT NULL
    GROUP BY ALL ORDER BY ALL
"""

KNOWN = "CREATE TEMP TABLE known_{column}s AS SELECT DISTINCT {column} FROM interactions WHERE date <= $night"
CODES = "CREATE TYPE {column}s AS ENUM (SELECT {column} FROM known_{column}s ORDER BY {column})"
HISTORY = """
    WITH weighed AS (
        SELECT user_id::user_ids AS user_id, item_id::item_ids AS item_id, timestamp,
            event IN (SELECT unnest($explicit)) AS explicit,
            CASE WHEN event IN ('rating', 'review') THEN value END AS rating,
            CASE WHEN event IN ('rating', 'review') AND value < $threshold THEN 0 ELSE weights.weight END AS weight
        FROM interactions JOIN weights USING (event)
        WHERE date <= $night
    )
    SELECT user_id, item_id, max(timestamp) AS timestamp,
        CASE WHEN arg_max(weight, (timestamp, weight)) FILTER (explicit) = 0 THEN 0 ELSE max(weight) END AS weight,
        arg_max(rating, (timestamp, rating)) FILTER (rating IS NOT NULL) AS rating
    FROM weighed GROUP BY user_id, item_id ORDER BY user_id, timestamp, item_id
"""


GIVEN_TO_ITEMS = """
    WITH arrived AS (
        SELECT date, item_id, uri, content_key FROM given_vectors WHERE modality = $modality AND date <= $night
    ),
    of_items AS (
        SELECT item_id, content_key FROM arrived WHERE item_id IS NOT NULL
        QUALIFY date = max(date) OVER (PARTITION BY item_id)
    ),
    of_files AS (
        SELECT uri, content_key FROM arrived WHERE uri IS NOT NULL
        QUALIFY date = max(date) OVER (PARTITION BY uri)
    )
    SELECT item_id, content_key FROM of_items WHERE item_id IN (SELECT item_id FROM latest WHERE NOT deleted)
    UNION
    SELECT item_id, content_key FROM ({files}) JOIN of_files USING (uri)
    WHERE item_id NOT IN (SELECT item_id FROM of_items)
    ORDER BY item_id, content_key
"""
FILES = "SELECT item_id, unnest({modality}_uris) AS uri FROM latest WHERE NOT deleted"
NO_FILES = "SELECT item_id, NULL::VARCHAR AS uri FROM latest WHERE false"


def create_latest(connection: duckdb.DuckDBPyConnection, night: date) -> None:
    """Make a temporary table `latest`: of every item the latest version as of the night, deleted ones included."""
    connection.execute("CREATE TEMP TABLE latest AS FROM versions_as_of($night)", {"night": night})


def items(lake: Lake, night: date) -> pa.Table:
    """Return the latest version of every item that is not deleted, ascending by `item_id`.

    Which version is the latest is defined by `schemas.tables.COUNTS_AS_OF`.
    """
    with views.reading(lake) as connection:
        create_latest(connection, night)
        return connection.sql("SELECT * FROM latest WHERE NOT deleted ORDER BY item_id").to_arrow_table()


def history(lake: Lake, night: date, *, weights: Mapping[str, float], rating_threshold: float) -> pa.Table:
    """Return one row a (user, item) pair: `user_id`, `item_id`, `timestamp` of its latest event, `weight`, `rating`.

    `weight` is that of the pair's strongest event; 0 where the last explicit one was negative (a dislike, or a rating
    below the threshold), of several at once all of them. `rating` is the value of the pair's latest rating or review
    that has one (the highest where several came at once), null where none has. Ascending by user, timestamp, item: of
    rows with one timestamp none is the later.

    Ids are dictionary-encoded, the dictionaries ascending: a row of strings would cost more than all else in it.

    Args:
        weights: event → how much it counts; events that are not in it are left out.
        rating_threshold: a rating or review below it counts as a dislike.
    """
    weighed = pa.table({"event": list(weights), "weight": list(map(float, weights.values()))})
    parameters = {"night": night, "threshold": rating_threshold, "explicit": list(EXPLICIT)}
    with views.reading(lake) as connection:
        for column in ("user_id", "item_id"):
            connection.execute(KNOWN.format(column=column), {"night": night})
            connection.execute(CODES.format(column=column))
        connection.register("weights", weighed)
        return connection.sql(HISTORY, params=parameters).to_arrow_table()


def reviews(lake: Lake, night: date) -> pa.Table:
    """Return what users wrote: the distinct `user_id`, `item_id`, `text_key`, ascending in that order."""
    with views.reading(lake) as connection:
        return connection.sql(REVIEWS, params={"night": night}).to_arrow_table()


def given_vectors(lake: Lake, night: date, modality: Medium) -> pa.Table:
    """Return the vectors that items were given: the distinct `item_id`, `content_key`, ascending in that order.

    An item has those of the latest night that brought any under its id; where none did, those of its files, of each
    file those of the latest night that brought any. Items that are deleted, or that never arrived, have none.
    """
    files = NO_FILES if modality == "text" else FILES.format(modality=modality)
    parameters = {"night": night, "modality": modality}
    with views.reading(lake) as connection:
        create_latest(connection, night)
        return connection.sql(GIVEN_TO_ITEMS.format(files=files), params=parameters).to_arrow_table()
