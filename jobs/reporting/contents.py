"""What is known of the items' content: how many have which modality, how far the night's vectors are from those before,
and which pictures are nearly the same."""

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from jobs.reporting.asking import LAST_NIGHTS, ask
from schemas.table import FILES, MEDIA, Medium

FEWEST = 5
"""Vectors of fewer new contents tell nothing of drift."""
MOST = 2000
"""Vectors of the night, and of the nights before, that are compared."""
DRAWS = 200
RARE = 0.99
"""Which of the draws without drift is the threshold."""

COVERAGE = f"""
    SELECT date, modality, count(*), any_value(items) FROM (
        SELECT date, unnest(modalities) AS modality, count(*) OVER (PARTITION BY date) AS items
        FROM item_embeddings WHERE date IN {LAST_NIGHTS})
    GROUP BY date, modality ORDER BY date, modality
"""
STORES = " UNION ALL ".join(
    f"SELECT '{m}', encoder, count(*), count(*) FILTER (date = $night) FROM features_{m} WHERE date <= $night "
    "GROUP BY encoder"
    for m in MEDIA
)
# A content's key is a hash: the first ones in its order are a sample drawn at random.
KEYS = {
    "text": "SELECT date, text_key AS content_key FROM items WHERE date <= $night AND text_key IS NOT NULL",
    **{m: f"SELECT date, unnest({m}_keys) AS content_key FROM items WHERE date <= $night" for m in FILES},
}
VECTORS = """
    WITH contents AS (SELECT content_key, min(date) = $night AS is_new FROM ({keys}) GROUP BY content_key),
    encoded AS (SELECT encoder, content_key, is_new FROM features_{modality} JOIN contents USING (content_key)),
    compared AS (
        SELECT * FROM encoded WHERE encoder IN (SELECT encoder FROM encoded WHERE is_new)
        QUALIFY row_number() OVER (PARTITION BY encoder, is_new ORDER BY content_key) <= $most
    )
    SELECT encoder, is_new, list(vector ORDER BY content_key)
    FROM features_{modality} JOIN compared USING (encoder, content_key) GROUP BY encoder, is_new ORDER BY encoder
"""
DUPLICATES = """
    WITH pictures AS (
        SELECT DISTINCT perceptual_hash, item_id FROM features_image
        JOIN (SELECT item_id, unnest(image_keys) AS content_key FROM latest WHERE NOT deleted) USING (content_key)
        WHERE perceptual_hash IS NOT NULL AND NOT coalesce(blank, false)
    )
    SELECT list(item_id ORDER BY item_id) AS item_ids FROM pictures GROUP BY perceptual_hash HAVING count(*) > 1
    ORDER BY count(*) DESC, min(item_id)
"""

COLD = """
    SELECT count(*), count(*) FILTER (is_new), count(*) FILTER (is_new AND item_id IN (
        SELECT item_id FROM recommendations WHERE date = $night))
    FROM item_embeddings WHERE date = $night
"""


@dataclass(frozen=True)
class Cold:
    """How many items a night has, how many of these nobody had an event with, and how many of those are on a shelf."""

    items: int
    new: int
    shown: int


@dataclass(frozen=True)
class Coverage:
    """How many of a night's items have a modality."""

    night: date
    modality: str
    having: int
    items: int

    @property
    def share(self) -> float:
        return self.having / self.items


@dataclass(frozen=True)
class Store:
    """Contents under one encoder: all of them, and those that the night extracted first."""

    modality: str
    encoder: str
    contents: int
    new: int


@dataclass(frozen=True)
class Drift:
    """How far the vectors of a night's new contents are from those of all nights before.

    Attributes:
        new, before: how many vectors were compared.
        distance: None where there are fewer than `FEWEST` of either.
        threshold: what such a distance rarely exceeds without drift.
    """

    modality: Medium
    encoder: str
    new: int
    before: int
    distance: float | None
    threshold: float | None

    @property
    def drifts(self) -> bool:
        return self.distance is not None and self.threshold is not None and self.distance > self.threshold


def coverage(connection: duckdb.DuckDBPyConnection, night: date) -> list[Coverage]:
    """The coverage of each modality on the nights that the report looks back on, the oldest first."""
    return ask(connection, Coverage, COVERAGE, night=night)


def stores(connection: duckdb.DuckDBPyConnection, night: date) -> list[Store]:
    """What each feature store has under each encoder."""
    return ask(connection, Store, STORES, night=night)


def duplicates(connection: duckdb.DuckDBPyConnection) -> list[list[str]]:
    """Groups of items that have a picture of the same perceptual hash, the largest first."""
    return [item_ids for (item_ids,) in connection.execute(DUPLICATES).fetchall()]


def cold(connection: duckdb.DuckDBPyConnection, night: date) -> Cold:
    """The items without events, as of the night."""
    return ask(connection, Cold, COLD, night=night)[0]


def drifts(connection: duckdb.DuckDBPyConnection, night: date) -> list[Drift]:
    """The drift of the vectors of every encoder under which the night brought new contents of items."""
    found = []
    for modality in MEDIA:
        sql = VECTORS.format(modality=modality, keys=KEYS[modality])
        by_encoder: dict[str, dict[bool, NDArray[np.float32]]] = {}
        for encoder, is_new, vectors in connection.execute(sql, {"night": night, "most": MOST}).fetchall():
            by_encoder.setdefault(encoder, {})[is_new] = np.asarray(vectors, np.float32)
        for encoder, parts in by_encoder.items():
            new, before = (parts.get(each, np.zeros((0, 1), np.float32)) for each in (True, False))
            enough = min(len(new), len(before)) >= FEWEST
            distance, threshold = drift(new, before) if enough else (None, None)
            found.append(Drift(modality, encoder, len(new), len(before), distance, threshold))
    return found


def drift(new: NDArray[np.float32], before: NDArray[np.float32]) -> tuple[float, float]:
    """The distance of the means of two sets of vectors, and what it rarely exceeds without drift.

    The distance is squared, in units of what is expected of two samples of one source, the trace of the covariance
    times (1/n + 1/m): about 1 without drift, whatever the width and number of vectors. Its threshold is the 99th
    percentile of `DRAWS` nights without drift: as many vectors drawn from both sets together (a permutation test).

    Args:
        new, before: float32 [n, d] and [m, d].
    """
    pooled = np.concatenate([new, before]).astype(np.float64)
    pooled -= pooled.mean(axis=0)
    n, total = len(new), len(pooled)
    spread = float((pooled**2).sum() / (total - 1)) * (1 / n + 1 / (total - n))
    if spread == 0:
        return 0.0, 0.0
    random = np.random.default_rng(0)
    chosen = np.zeros((DRAWS + 1, total))
    chosen[0, :n] = 1
    for row in chosen[1:]:
        row[random.choice(total, n, replace=False)] = 1
    # The mean of all is 0, so that the mean of those not chosen follows from that of those chosen.
    means = chosen @ pooled / n
    distances = ((means * (total / (total - n))) ** 2).sum(axis=1) / spread
    return float(distances[0]), float(np.quantile(distances[1:], RARE))
