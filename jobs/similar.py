"""Items that are like one of the catalog, or like a text."""

from datetime import date

import duckdb
import pyarrow as pa

from features.base import MediaError
from features.registry import encoder
from jobs.query import show
from jobs.runtime.night import UserError
from lake import views
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import ItemEmbeddings, Items, SimilarItems

TO_ITEM = """
    SELECT s.rank, s.similar_item_id AS item_id, i.title, i.category, s.score
    FROM similar_items s LEFT JOIN items_as_of($night) i ON i.item_id = s.similar_item_id
    WHERE s.date = $night AND s.item_id = $item AND s.rank <= $k
    ORDER BY s.rank
"""
TO_TEXT = """
    SELECT row_number() OVER (ORDER BY score DESC, item_id) AS rank, item_id, title, category, score::FLOAT AS score
    FROM (
        SELECT i.item_id, i.title, i.category, avg(list_cosine_similarity(f.vector, t.vector)) AS score
        FROM items_as_of($night) i
        JOIN features_text f ON f.content_key = i.text_key
        JOIN asked t USING (encoder)
        GROUP BY ALL
    )
    ORDER BY rank
    LIMIT $k
"""
ENCODERS = "SELECT DISTINCT encoder FROM features_text ORDER BY 1"


def similar_to_item(lake: Lake, item: str, *, night: date | None, k: int, format_: str) -> None:
    """Show the neighbours that a night found of an item, by the blocks of its vector that others have too.

    Args:
        night: the last one that has neighbours unless given.

    Raises:
        UserError: the item has none on that night.
        DamageError: a table is damaged.
    """
    with views.reading(lake) as connection:
        night = night or _last(connection, SimilarItems.name)
        parameters = {"night": night, "item": item, "k": k}
        found = connection.sql(TO_ITEM, params=parameters).to_arrow_table()
        if not len(found):
            placed = "SELECT 1 FROM item_embeddings WHERE date = $night AND item_id = $item"
            if connection.execute(placed, {"night": night, "item": item}).fetchall():
                raise UserError(f"--item {item!r} shares no modality with any other item on {night}")
            raise UserError(
                f"--item {item!r} is not in the catalog of {night}; "
                f"nightweave query lists what is: {ItemEmbeddings.name}.item_id"
            )
    show(duckdb.from_arrow(found), format_=format_, limit=k)


def similar_to_text(lake: Lake, text: str, config: Config, *, night: date | None, k: int, format_: str) -> None:
    """Show the items whose texts are nearest to a text: the mean cosine over the configured text encoders.

    Args:
        night: as of which the catalog is; the last one that brought items unless given.

    Raises:
        UserError: the text is empty, or the lake has no vectors of the configured encoders.
        DamageError: a table is damaged.
    """
    made = [encoder("text", chosen.name, **chosen.parameters) for chosen in config.extract.encoders["text"]]
    if any(chosen.is_given for chosen in config.extract.encoders["text"]):
        raise UserError("--text: the configured vectors of texts are given ones, and no encoder reads a text for them")
    with views.reading(lake) as connection:
        known = [name for (name,) in connection.execute(ENCODERS).fetchall()]
        usable = [one for one in made if one.fingerprint in known]
        if not usable:
            wanted = ", ".join(one.fingerprint for one in made)
            raise UserError(
                f"--text: no text has vectors under {wanted}; there are {', '.join(known) or 'none'}; "
                "give the configuration of the nights with --config"
            )
        try:
            vectors = [one.encode([one.decode(text)])["vector"][0].as_py() for one in usable]
        except MediaError as error:
            raise UserError(f"--text {text!r}: {error.detail}; expected words") from None
        rows = {"encoder": [one.fingerprint for one in usable], "vector": vectors}
        schema = pa.schema([("encoder", pa.string()), ("vector", pa.list_(pa.float32()))])
        connection.register("asked", pa.table(rows, schema=schema))
        parameters = {"night": night or _last(connection, Items.name), "k": k}
        found = connection.sql(TO_TEXT, params=parameters).to_arrow_table()
    show(duckdb.from_arrow(found), format_=format_, limit=k)


def _last(connection: duckdb.DuckDBPyConnection, table: str) -> date | None:
    ((night,),) = connection.execute(f"SELECT max(date) FROM {table}").fetchall()
    return night
