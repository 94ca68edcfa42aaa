"""Items that are like one of the catalog, or like a text or a picture."""

from datetime import date
from pathlib import Path
from typing import Literal

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
CONTENTS = {
    "text": "SELECT item_id, title, category, text_key AS content_key FROM items_as_of($night)",
    "image": "SELECT item_id, title, category, unnest(image_keys) AS content_key FROM items_as_of($night)",
}
"""Modality → the contents that items have of it."""
TO_CONTENT = """
    SELECT row_number() OVER (ORDER BY score DESC, item_id) AS rank, item_id, title, category, score::FLOAT AS score
    FROM (
        SELECT item_id, title, category, avg(nearest) AS score
        FROM (
            SELECT item_id, title, category, encoder, max(list_cosine_similarity(f.vector, a.vector)) AS nearest
            FROM ({contents}) JOIN features_{modality} f USING (content_key) JOIN asked a USING (encoder)
            GROUP BY ALL
        )
        GROUP BY ALL
    )
    ORDER BY rank
    LIMIT $k
"""
ENCODERS = "SELECT DISTINCT encoder FROM features_{modality} ORDER BY 1"
WORDS = {"text": ("text", "words"), "image": ("picture", "a picture file")}
"""Modality → what a content of it is called, and what is expected of one that is given."""


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


def similar_to_content(
    lake: Lake,
    modality: Literal["text", "image"],
    content: str | Path,
    config: Config,
    *,
    night: date | None,
    k: int,
    format_: str,
) -> None:
    """Show the items that have a content nearest to a text or a picture file: the cosine of the nearest of an item's
    contents, a mean over the configured encoders of the modality.

    Args:
        night: as of which the catalog is; the last one that brought items unless given.

    Raises:
        UserError: the content cannot be read, or the lake has no vectors of the configured encoders.
        DamageError: a table is damaged.
    """
    chosen, (called, expected) = config.extract.encoders[modality], WORDS[modality]
    if any(one.is_given for one in chosen):
        raise UserError(
            f"--{modality}: the configured vectors of {called}s are given ones, no encoder reads a {called} for them"
        )
    made = [encoder(modality, one.name, **one.parameters) for one in chosen]
    with views.reading(lake) as connection:
        known = [name for (name,) in connection.execute(ENCODERS.format(modality=modality)).fetchall()]
        usable = [one for one in made if one.fingerprint in known]
        if not usable:
            wanted = ", ".join(one.fingerprint for one in made)
            raise UserError(
                f"--{modality}: no {called} has vectors under {wanted}; there are {', '.join(known) or 'none'}; "
                "give the configuration of the nights with --config"
            )
        try:
            vectors = [one.encode([one.decode(content)])["vector"][0].as_py() for one in usable]
        except MediaError as error:
            raise UserError(f"--{modality} {str(content)!r}: {error.detail}; expected {expected}") from None
        rows = {"encoder": [one.fingerprint for one in usable], "vector": vectors}
        schema = pa.schema([("encoder", pa.string()), ("vector", pa.list_(pa.float32()))])
        connection.register("asked", pa.table(rows, schema=schema))
        sql = TO_CONTENT.format(contents=CONTENTS[modality], modality=modality)
        parameters = {"night": night or _last(connection, Items.name), "k": k}
        found = connection.sql(sql, params=parameters).to_arrow_table()
    show(duckdb.from_arrow(found), format_=format_, limit=k)


def _last(connection: duckdb.DuckDBPyConnection, table: str) -> date | None:
    ((night,),) = connection.execute(f"SELECT max(date) FROM {table}").fetchall()
    return night
