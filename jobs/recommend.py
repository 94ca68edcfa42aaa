"""Recommend: every user's shelves and every item's neighbours, scored with the item matrix in every task."""

import logging
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from fusion.ranking.nearest_neighbours import similar_items
from fusion.ranking.rank_aggregation import total
from fusion.ranking.sigmoid import Sigmoid
from fusion.ranking.top_k import top_k
from jobs.modelling.shelf_scores import Shelves, matrix
from jobs.runtime.engines import EngineFor, engines
from jobs.runtime.ledger import Account, close
from jobs.runtime.night import Night
from lake.rows import Rows, Shared
from schemas.table import MODALITIES, OF_EVENTS, PARTS, Table
from schemas.tables import Interactions, ItemEmbeddings, Recommendations, SimilarItems, UserEmbeddings

log = logging.getLogger("nightweave.recommend")

PRODUCTS_FOR_SPARK = 2e10
"""Products of numbers, of users or items times items, that one core takes a quarter of a minute or so for."""
SCORES_AT_ONCE = 4_000_000
"""Scores that a task holds of a block at a time; users are taken in batches accordingly, whatever the size of the
catalog."""


def recommendations(users: Rows, shelves: Shared[Shelves], *, night: Night) -> Rows:
    """Rows of `recommendations` for users with their `vector` and the ids of the items they have `seen`."""
    k = night.config.recommend.k

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        catalog = shelves.value
        size = max(1, SCORES_AT_ONCE // max(1, len(catalog.item_ids)))
        for batch in batches:
            for start in range(0, batch.num_rows, size):
                yield from shelf_rows(batch.slice(start, size), catalog, k=k, night=night)

    return users.map(score, Recommendations.schema)


def shelf_rows(users: pa.RecordBatch, catalog: Shelves, *, k: int, night: Night) -> Iterator[pa.RecordBatch]:
    """Both shelves of a few users: `for_you` leaves out what they have seen, `new_items` what anybody has.

    A user's rows are the same bits in every batch. There are none where items have neither history nor content.
    """
    if not catalog.nonempty_blocks():
        return
    vectors = matrix(pa.chunked_array([users.column("vector")]))
    theirs = ~(vectors == catalog.newcomer).all(axis=1) if len(catalog.newcomer) else np.ones(len(vectors), np.bool_)
    own = users.column("new_items_vector")
    for_new_items = vectors if own.null_count else matrix(pa.chunked_array([own]))
    seen = np.zeros((len(vectors), len(catalog.item_ids)), np.bool_)
    for row, item_ids in enumerate(users.column("seen").to_pylist()):
        seen[row, catalog.places(item_ids or [])] = True
    for shelf, embedded in (("for_you", vectors), ("new_items", for_new_items)):
        items, given, candidates = catalog.scored(shelf, embedded, seen=seen)
        places, best = top_k(total(given), k, exclude=None if candidates is None else ~candidates)
        user, rank = np.nonzero(places >= 0)
        item = places[user, rank]
        zero = np.zeros(len(item), np.float32)
        parts = dict.fromkeys(PARTS, zero) | {name: values[user, item] for name, values in given.items()}
        # What history says of everybody is popularity; of a user without a like it says nothing else.
        common = np.where(theirs[user], items.common_history[item], parts["history"])
        parts |= {"popularity": parts["popularity"] + common, "history": parts["history"] - common}
        columns = {
            "date": pa.repeat(pa.scalar(night.date), len(item)),
            "user_id": users.column("user_id").take(pa.array(user)),
            "shelf": pa.repeat(pa.scalar(shelf), len(item)),
            "rank": pa.array(rank + 1, pa.int32()),
            "item_id": pa.array(items.item_ids[item].tolist(), pa.string()),
            "score": pa.array(best[user, rank], pa.float32()),
            "model_version": users.column("model_version").take(pa.array(user)),
            "modalities": pa.array([[m for m in MODALITIES if items.masks[m][i]] for i in item], pa.list_(pa.string())),
            **{f"contribution_{part}": pa.array(parts[part]) for part in PARTS},
            "probability": pa.array(
                probabilities(
                    best[user, rank], populations(theirs[user], shelf=shelf), calibration=catalog.calibration
                ),
                pa.float32(),
                from_pandas=True,  # null for NaN
            ),
        }
        yield pa.RecordBatch.from_pydict(columns, schema=Recommendations.schema)


def populations(with_history: np.ndarray, *, shelf: str) -> np.ndarray:
    """str [n], the population that each row of a shelf is judged with, given bool [n], whether its user has a like."""
    if shelf == "new_items":
        return np.full(len(with_history), "new_items")
    return np.where(with_history, "with_history", "without_history")


def probabilities(scores: np.ndarray, population: np.ndarray, *, calibration: Mapping[str, Sigmoid]) -> np.ndarray:
    """float32 [n], the chance of a like by score [n] and population, str [n]; NaN where that has no calibration.

    >>> probabilities(np.array([0.5, 0.5]), np.array(["a", "b"]), calibration={"a": Sigmoid(2.0, -1.0)}).tolist()
    [0.5, nan]
    """
    found = np.full(len(scores), np.nan, np.float32)
    for name, sigmoid in calibration.items():
        found[population == name] = sigmoid(scores[population == name])
    return found


def neighbours(places: Rows, shelves: Shared[Shelves], *, night: Night) -> Rows:
    """Rows of `similar_items` for the catalog's rows in the column `place`."""
    k = night.config.recommend.similar_k

    def find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        catalog = shelves.value
        has_history = np.ones(len(catalog.item_ids), np.bool_)
        for batch in batches:
            queries = batch.column("place").to_numpy()
            masks = dict.fromkeys(OF_EVENTS, has_history) | catalog.masks
            found, scores = similar_items(queries, catalog.vectors, masks=masks, blocks=catalog.neighbour_blocks, k=k)
            item, rank = np.nonzero(found >= 0)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.repeat(pa.scalar(night.date), len(item)),
                    pa.array(catalog.item_ids[queries[item]].tolist(), pa.string()),
                    pa.array(rank + 1, pa.int32()),
                    pa.array(catalog.item_ids[found[item, rank]].tolist(), pa.string()),
                    pa.array(scores[item, rank], pa.float32()),
                ],
                schema=SimilarItems.schema,
            )

    return places.map(find, SimilarItems.schema)


def run(night: Night) -> None:
    """`recommend_night` with engines of its own."""
    with engines(night, f"recommend {night.ds}") as engine_for:
        recommend_night(engine_for, night)


def recommend_night(engine_for: EngineFor, night: Night) -> None:
    """Write the night's `recommendations` and `similar_items` from its embeddings."""
    catalog, placed = Shelves.of(night), night.lake.count(UserEmbeddings, {"date": night.ds})
    n_items, width = catalog.vectors.shape
    work = (placed + n_items) * n_items * width
    engine = engine_for(f"{placed} users, {n_items} items of {width} numbers", work, PRODUCTS_FOR_SPARK)
    shelves = engine.share(catalog)
    places = engine.rows(pa.table({"place": pa.array(range(n_items), pa.int64())}), parts=engine.parallelism)
    _publish(neighbours(places, shelves, night=night), night, SimilarItems)

    had = engine.read(night.lake, Interactions, ("date", "<=", night.ds), columns=["user_id", "item_id"])
    users = engine.read(night.lake, UserEmbeddings, ("date", "=", night.ds)).select(
        """
        SELECT u.*, seen FROM {rows} AS u
        LEFT JOIN (SELECT user_id, array_agg(DISTINCT item_id) AS seen FROM {had} GROUP BY user_id) USING (user_id)
        """,
        had=had,
    )
    read = night.lake.made_from(ItemEmbeddings, {"date": night.ds})
    _publish(recommendations(users.spread("user_id"), shelves, night=night), night, Recommendations, read=read)

    shelved = engine.read(night.lake, Recommendations, ("date", "=", night.ds), columns=["user_id"])
    (served,) = shelved.select("SELECT count(DISTINCT user_id) AS n FROM {rows}").collect()
    log.info("recommend: %d of %d users have a shelf, %d items have neighbours", served["n"], placed, n_items)
    close(night, "recommend", Account(rows_in=placed, kept=served["n"], superseded=placed - served["n"]))


def _publish(rows: Rows, night: Night, table: type[Table], *, read: Mapping[str, int] | None = None) -> None:
    key = [column for column in table.key if column != "date"]
    rows.replace(night.lake, table, {"date": night.ds}, order=key, made_from=read)
