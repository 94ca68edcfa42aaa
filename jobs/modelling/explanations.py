"""Why the first places of some users are theirs: rows of `explanations`."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.image.descriptors.colour import main_hues
from fusion.data.catalog import Catalog, History, id_hashes
from fusion.models.base import Strategy
from fusion.ranking.rank_aggregation import total
from fusion.ranking.top_k import top_k
from jobs.modelling.influence import remake, rows_of
from jobs.modelling.shelf_scores import Shelves, matrix
from jobs.reporting.shelves import PLACES_SHOWN, USERS_SHOWN
from jobs.runtime.night import Night
from lake import views
from schemas.tables import Explanations, UserEmbeddings

LIKES = 3
"""Likes of a place that have rows, at most."""
SAME_TEMPO = 0.04
"""Tempi that are no farther apart are one, as a share of the lower."""
WORD = re.compile(r"\w+")

READABLE = """
    SELECT item_id, text_tokens, text_key_phrases, image_colour, audio_tempo_bpm
    FROM features_joined($night) WHERE item_id IN (SELECT unnest($items))
"""


@dataclass(frozen=True)
class Readable:
    """What people can read, see and hear of an item.

    Attributes:
        words: those of its text's key phrases, case folded.
        hues: names of its first picture's.
        tempo: of its first sound, in beats a minute; None where it has none.
    """

    words: frozenset[str]
    hues: frozenset[str]
    tempo: float | None

    @classmethod
    def of(
        cls,
        tokens: Sequence[str] | None,
        phrases: Sequence[str] | None,
        colour: Sequence[float] | None,
        tempo: float | None,
    ) -> "Readable":
        """Given columns of the feature stores, each None where the item has no such content."""
        text = " ".join(phrases or ()).casefold()
        whole = set(WORD.findall(text))
        folded = {token.casefold() for token in tokens or ()}
        # Chinese phrases have no spaces: a word of two characters and more is looked for within them.
        words = {word for word in folded if word in whole or (len(word) > 1 and not word.isascii() and word in text)}
        hues = main_hues(np.array(colour, np.float32)) if colour else ()
        return cls(frozenset(words), frozenset(hues), tempo)

    def shared_with(self, other: "Readable") -> dict[str, Any]:
        """The columns of `explanations` that say what two items have in common."""
        low, high = sorted((self.tempo or 0, other.tempo or 0))
        return {
            "shared_words": sorted(self.words & other.words),
            "shared_hues": sorted(self.hues & other.hues),
            "shared_tempo_bpm": self.tempo if low and high <= low * (1 + SAME_TEMPO) else None,
        }


def readable(connection: duckdb.DuckDBPyConnection, night: date, items: Collection[str]) -> dict[str, Readable]:
    """Return item → what people can read, see and hear of it as of a night; nothing of one that is not known."""
    rows = connection.execute(READABLE, {"night": night, "items": sorted(items)}).fetchall()
    return {item: Readable.of(None, None, None, None) for item in items} | {
        item_id: Readable.of(*columns) for item_id, *columns in rows
    }


def write_explanations(night: Night, model: Strategy | None, catalog: Catalog, history: History) -> None:
    """Write the night's `explanations`, once its embeddings are written.

    They are of the users and places that the report shows: those with a like whose ids have the lowest hashes, so that
    they stay nearly the same from night to night. Places are found as `recommend` finds them, from `user_embeddings`.

    Args:
        model: what serves the night; None for none.
        catalog: as `model` takes it.
        history: of that catalog.
    """
    found = list(_weighing(night, model, catalog, history)) if model else []
    items = {row[name] for row in found for name in ("item_id", "because_item_id")}
    with views.reading(night.lake) as connection:
        contents = readable(connection, night.date, items)
    for row in found:
        item, like = (contents[row[name]] for name in ("item_id", "because_item_id"))
        row |= item.shared_with(like)
    night.lake.write(Explanations, pa.Table.from_pylist(found, schema=Explanations.schema), {"date": night.ds})


def _weighing(night: Night, model: Strategy, catalog: Catalog, history: History) -> Iterator[dict[str, Any]]:
    """Rows without what the items have in common."""
    shelves, likes = Shelves.of(night), history.likes()
    if not shelves.nonempty_blocks() or not len(likes):
        return
    liking = history.user_ids[np.unique(likes.user)]
    chosen = np.sort(liking[np.argsort(id_hashes(liking, seed=night.config.fusion.seed), kind="stable")[:USERS_SHOWN]])
    where = (pc.field("date") == night.date) & pc.field("user_id").isin(chosen.tolist())
    people = night.lake.read(UserEmbeddings, where=where).sort_by("user_id")
    vectors = {"for_you": matrix(people["vector"]), "new_items": matrix(people["new_items_vector"])}
    for place, user_id in enumerate(people["user_id"].to_pylist()):
        seen = np.zeros((1, len(shelves.item_ids)), np.bool_)
        own = rows_of(history, user_id)
        seen[0, shelves.places(catalog.item_ids[own.item].tolist())] = True
        for shelf, embedded in vectors.items():
            items, given, candidates = shelves.scored(shelf, embedded[[place]], seen=seen)
            first, _ = top_k(
                total(given),
                min(PLACES_SHOWN, night.config.recommend.k),
                exclude=None if candidates is None else ~candidates,
            )
            remade = remake(model, catalog, own, shelves, shelf=shelf)
            for item_id in items.item_ids[first[first >= 0]].tolist():
                weighing = [each for each in remade.without(item_id) if each.share]
                for each in sorted(weighing, key=lambda each: -each.owed)[:LIKES]:
                    yield {
                        "date": night.date,
                        "user_id": user_id,
                        "shelf": shelf,
                        "item_id": item_id,
                        "because_item_id": each.like,
                        "owed": each.owed,
                        "share": each.share,
                        "rank_without": each.rank,
                    }
