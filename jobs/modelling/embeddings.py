"""The vectors of items and users under the model that serves a night."""

import logging
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, nobody
from fusion.data.reviews import with_reviews
from fusion.missing.fill import model_input
from fusion.models.base import Predictions, Strategy
from fusion.models.registry import create
from fusion.ranking.rank_aggregation import SUM, points
from jobs.modelling.dataset import Dataset
from jobs.modelling.earlier_models import Stored
from jobs.modelling.model_selection import CONTENT_ONLY
from jobs.runtime.night import Night
from schemas.table import BLOCKS, CALIBRATION, MODALITIES, STRINGS, WEIGHTS
from schemas.tables import NEWCOMER, ItemEmbeddings, UserEmbeddings

log = logging.getLogger("nightweave.evaluate")


def embed(
    night: Night, dataset: Dataset, model: Strategy | None, serving: Stored | None, *, read: Mapping[str, int]
) -> Catalog:
    """Write the vectors of every item and every user under the model that serves the night.

    Before any was promoted, item vectors are of content alone, and there are no user vectors.

    Args:
        model: what `serving` names, loaded.
        read: name → version of the tables that the data set was read from.

    Returns: the items as the model takes them.
    """
    history, config = dataset.history, night.config.fusion
    version = serving.model_version if serving else CONTENT_ONLY
    probable = [(population, list(sigmoid)) for population, sigmoid in serving.calibration.items()] if serving else None
    catalog = model_input(dataset.catalog, dataset.reviews, history, config)
    masks = with_reviews(dataset.catalog, dataset.reviews, history, share=config.review_share).masks
    everybody: tuple[History, ...] = (history, nobody(NEWCOMER))
    if model is None:
        log.warning("evaluate: no model was ever promoted; this night recommends nothing and shows similar items only")
        model, everybody = create(CONTENT_ONLY), ()
        model.fit(catalog, history, seed=config.seed, progress=False)
    touched = np.zeros(len(catalog), np.bool_)
    touched[history.item] = True
    ids = [user_id for users in everybody for user_id in users.user_ids.tolist()]
    vectors, for_new_items = (
        np.vstack([placed(catalog, users) for users in everybody]) if everybody else np.zeros((0, 0), np.float32)
        for placed in (model.user_vectors, model.new_item_user_vectors)
    )
    embedded = model.item_vectors(catalog)
    items = pa.table(
        {
            "date": pa.repeat(pa.scalar(night.date), len(catalog)),
            "item_id": pa.array(catalog.item_ids.tolist(), pa.string()),
            "model_version": pa.repeat(pa.scalar(version), len(catalog)),
            "vector": _vectors(embedded),
            "blocks": pa.array([_columns(model.blocks)] * len(catalog), BLOCKS),
            "neighbour_blocks": pa.array([_columns(model.neighbour_blocks)] * len(catalog), BLOCKS),
            "combination": pa.repeat(pa.scalar(model.combination), len(catalog)),
            "weights": pa.array([list(model.block_weights.items())] * len(catalog), WEIGHTS),
            "common_history": _common_history(model, embedded, vectors),
            "calibration": pa.array([probable] * len(catalog), CALIBRATION),
            "modalities": pa.array([[m for m in MODALITIES if masks[m][i]] for i in range(len(catalog))], STRINGS),
            "is_new": ~touched,
            **_predicted(model.predictions(catalog, history), len(catalog)),
        }
    )
    night.lake.write(ItemEmbeddings, items, {"date": night.ds}, made_from=read)
    people = pa.table(
        {
            "date": pa.repeat(pa.scalar(night.date), len(ids)),
            "user_id": pa.array(ids, pa.string()),
            "model_version": pa.repeat(pa.scalar(version), len(ids)),
            "vector": _vectors(vectors),
            "new_items_vector": _vectors(for_new_items),
        }
    )
    night.lake.write(UserEmbeddings, people, {"date": night.ds})
    return catalog


def _common_history(model: Strategy, items: NDArray[np.float32], users: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [N], what the history of the mean user with a like adds to the score of each of `items` [N, D]; 0 where
    scores are no sums, and where nobody has a like.

    Args:
        users: float32 [U, D], the newcomer last, whose vector all users without a like have; or none.
    """
    columns, theirs = model.blocks["history"], (users != users[-1:]).any(axis=1)
    if model.combination != SUM or not theirs.any():
        return np.zeros(len(items), np.float32)
    mean = users[theirs].mean(axis=0, dtype=np.float64).astype(np.float32)
    return points(mean[None], items, {"history": columns}, weights=model.block_weights)["history"][0]


def _predicted(found: Predictions | None, n_items: int) -> dict[str, pa.Array]:
    """The columns of `item_embeddings` that hold predictions, null where there are none."""
    if found is None:
        rating, category = pa.nulls(n_items, pa.float32()), pa.nulls(n_items, pa.string())
    else:
        rating = pa.array(found.rating, pa.float32(), from_pandas=True)  # null for NaN
        category = pa.array([name or None for name in found.category.tolist()], pa.string())
    return {"predicted_rating": rating, "predicted_category": category}


def _columns(blocks: dict[str, slice]) -> list[tuple[str, list[int]]]:
    return [(name, [part.start, part.stop]) for name, part in blocks.items()]


def _vectors(matrix: np.ndarray) -> pa.Array:
    """Rows of float32 [n, d] as an Arrow list column."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * (matrix.shape[1] if matrix.ndim == 2 else 0)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(matrix, np.float32).ravel())
