"""The tables of the lake, in the order in which a night writes them."""

import pyarrow as pa

from schemas import ledger_checks
from schemas.features import FEATURES
from schemas.table import BLOCKS, DATE, MODALITIES, STRINGS, TIMESTAMP, VECTOR, WEIGHTS, Check, Table, finite, string


def _lost(modality: str, key: str) -> str:
    """The condition that a row's content is neither in its feature store nor refused, though its night extracted."""
    return (
        f"i.{key} IS NOT NULL AND i.date IN (SELECT date FROM ledger WHERE step = 'extract_{modality}') "
        f"AND i.{key} NOT IN (SELECT content_key FROM features_{modality}) AND i.{key} NOT IN "
        f"(SELECT record_id FROM quarantine WHERE stage = 'extract_{modality}' AND record_id IS NOT NULL)"
    )


class Items(Table):
    """An item's version that arrived on a night.

    `*_keys` name contents in the feature stores; `*_uris` are the files behind them, relative to RAW, in the same
    order. A null `text_key` or an empty list of keys means that the item has nothing of that modality.
    """

    name = "items"
    schema = pa.schema(
        [
            DATE,
            string("item_id"),
            string("title"),
            string("description"),
            string("category", nullable=True),
            pa.field("tags", STRINGS, nullable=False),
            string("language"),
            pa.field("price", pa.float64()),
            pa.field("attributes", pa.map_(pa.string(), pa.string()), nullable=False),
            pa.field("updated_at", TIMESTAMP),
            pa.field("deleted", pa.bool_(), nullable=False),
            string("text", nullable=True),
            string("text_key", nullable=True),
            *(
                pa.field(f"{modality}_{what}", STRINGS, nullable=False)
                for modality in MODALITIES
                if modality != "text"
                for what in ("uris", "keys")
            ),
        ]
    )
    key = ("date", "item_id")
    checks = (
        Check(
            "every key has its file",
            "SELECT date, item_id FROM items WHERE len(image_uris) != len(image_keys) "
            "OR len(audio_uris) != len(audio_keys) OR len(video_uris) != len(video_keys)",
        ),
        Check(
            "every content was extracted or refused",
            " UNION ALL ".join(
                f"SELECT i.date, i.item_id, '{modality}' AS modality, i.key FROM "
                f"(SELECT date, item_id, {keys} AS key FROM items WHERE NOT deleted) i "
                f"WHERE {_lost(modality, 'key')}"
                for modality, keys in zip(
                    MODALITIES,
                    ("text_key", "unnest(image_keys)", "unnest(audio_keys)", "unnest(video_keys)"),
                    strict=True,
                )
            ),
        ),
    )


class Interactions(Table):
    """One event that arrived on a night.

    `text` is what the user wrote with it, and `text_key` names it in `features_text`.
    """

    name = "interactions"
    schema = pa.schema(
        [
            DATE,
            string("user_id"),
            string("item_id"),
            pa.field("timestamp", TIMESTAMP, nullable=False),
            string("event"),
            pa.field("value", pa.float64()),
            string("text", nullable=True),
            string("text_key", nullable=True),
        ]
    )
    key = ("date", "user_id", "item_id", "timestamp", "event")
    checks = (
        Check(
            "every text was extracted or refused",
            f"SELECT date, user_id, item_id FROM interactions i WHERE {_lost('text', 'text_key')}",
        ),
    )


class Quarantine(Table):
    """One thing refused.

    `stage` is the step that refused it, `source` the raw file (relative to RAW), `position` the line or row in it
    (from 1; 0 for a whole file), `record_id` the item, event or content concerned where it is known. The stage
    `contradictions` refuses nothing: it warns of items, of all that are known as of the night, whose modalities
    contradict one another.
    """

    name = "quarantine"
    schema = pa.schema(
        [
            DATE,
            string("stage"),
            string("source"),
            pa.field("position", pa.int64(), nullable=False),
            string("record_id", nullable=True),
            string("reason"),
            string("detail"),
        ]
    )
    partition_by = ("date", "stage")
    key = ("date", "stage", "source", "position", "record_id")
    nullable_key = ("record_id",)


class Ledger(Table):
    """What became of the rows that one step of a night was given.

    A step that has its rows here is complete; the row is written last. `encoder` is the fingerprint under which
    contents were extracted, null for other steps and in rows of versions that did not name it.
    """

    name = "ledger"
    schema = pa.schema(
        [
            DATE,
            string("step"),
            *(
                pa.field(name, pa.int64(), nullable=False)
                for name in ("rows_in", "kept", "refused", "duplicates", "superseded")
            ),
            pa.field("unknown_columns", pa.map_(pa.string(), pa.int64()), nullable=False),
            string("encoder", nullable=True),
        ]
    )
    partition_by = ("date", "step")
    key = ("date", "step")
    checks = (
        Check(
            "rows in = kept + refused + duplicates + superseded",
            "SELECT * FROM ledger WHERE rows_in != kept + refused + duplicates + superseded",
        ),
        *ledger_checks.checks(),
        Check(
            "every partition has its account",
            " UNION ALL ".join(
                f"SELECT date, '{step}' AS step FROM ({found}) WHERE found > 0 "
                f"AND date NOT IN (SELECT date FROM ledger WHERE step = '{step}')"
                for step, found in ledger_checks.KEPT.items()
            ),
            severity="warn",  # a step that runs writes its account last
        ),
        Check(
            "refused rows are in quarantine",
            "SELECT l.date, l.step, l.refused, count(q.date) AS found FROM ledger l "
            "LEFT JOIN quarantine q ON q.date = l.date AND q.stage = l.step "
            "GROUP BY ALL HAVING count(q.date) != l.refused",
        ),
    )


class Metrics(Table):
    """One figure of one model on a night.

    `value` is a mean over users, and `low` and `high` bound it with 95% confidence; they are null where it is no mean
    over users. `k` is the length of the list that is judged, of a curve (`roc`, `pr`) the percent on its first axis, of
    a calibration the bin, and null for a figure without a cut. A `split` that ends in `validation` is of the strategies
    that were tried for the night, each under its name, and those of a search for parameters as `STRATEGY trial N`, with
    a figure `parameter NAME` for each parameter that is a number.
    """

    name = "metrics"
    schema = pa.schema(
        [
            DATE,
            string("model_version"),
            string("model"),
            string("split"),
            string("segment"),
            string("metric"),
            pa.field("k", pa.int32()),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("low", pa.float64()),
            pa.field("high", pa.float64()),
        ]
    )
    key = ("date", "model_version", "model", "split", "segment", "metric", "k")
    nullable_key = ("k",)
    checks = (
        Check("figures are finite", "SELECT * FROM metrics WHERE NOT isfinite(value)"),
        Check(
            "an interval has two ends, in order",
            "SELECT * FROM metrics WHERE (low IS NULL) != (high IS NULL) OR NOT isfinite(low) OR NOT isfinite(high) "
            "OR low > high",
        ),
    )


class Models(Table):
    """One trained model.

    `path` is relative to LAKE. `fingerprint` names what the model was made from, so that the same night makes the
    same model: data (what training read), encoders, config and code.
    """

    name = "models"
    schema = pa.schema(
        [
            DATE,
            string("model_version"),
            pa.field("promoted", pa.bool_(), nullable=False),
            string("verdict"),
            string("strategy"),
            string("path"),
            *(string(f"fingerprint_{what}") for what in ("data", "encoders", "config", "code")),
        ]
    )
    key = ("date", "model_version")


class ItemEmbeddings(Table):
    """An item as of a night.

    `vector` is made of parts that lie side by side, one for the history and one a modality. `blocks` names each with
    its first column and the one after its last; `neighbour_blocks` are the columns that tell which items are alike.
    `combination` says how the blocks' scores become one: `sum`, or by the places in their own rankings, `borda`,
    `reciprocal_rank` or `vote`; `weights` is what the points of each block count. Both are null in rows of versions
    that knew sums only. `is_new` says that nobody has interacted with the item yet.
    """

    name = "item_embeddings"
    schema = pa.schema(
        [
            DATE,
            string("item_id"),
            string("model_version"),
            pa.field("vector", VECTOR, nullable=False),
            pa.field("blocks", BLOCKS, nullable=False),
            pa.field("neighbour_blocks", BLOCKS, nullable=False),
            string("combination", nullable=True),
            pa.field("weights", WEIGHTS),
            pa.field("modalities", STRINGS, nullable=False),
            pa.field("is_new", pa.bool_(), nullable=False),
        ]
    )
    key = ("date", "item_id")
    checks = (Check("vectors are finite", finite("item_embeddings")),)


class UserEmbeddings(Table):
    """A user as of a night."""

    name = "user_embeddings"
    schema = pa.schema(
        [
            DATE,
            string("user_id"),
            string("model_version"),
            pa.field("vector", VECTOR, nullable=False),
        ]
    )
    key = ("date", "user_id")
    checks = (Check("vectors are finite", finite("user_embeddings")),)


class Recommendations(Table):
    """One place on one user's shelf on a night.

    The five contributions add up to `score`; that of a modality the item lacks is 0. Where the model combines rankings
    (`combination` in `item_embeddings`), they are the points that a block gives for the item's place.
    """

    name = "recommendations"
    schema = pa.schema(
        [
            DATE,
            string("user_id"),
            string("shelf"),
            pa.field("rank", pa.int32(), nullable=False),
            string("item_id"),
            pa.field("score", pa.float32(), nullable=False),
            string("model_version"),
            pa.field("modalities", STRINGS, nullable=False),
            *(pa.field(f"contribution_{part}", pa.float32(), nullable=False) for part in ("history", *MODALITIES)),
        ]
    )
    key = ("date", "user_id", "shelf", "rank")
    checks = (
        Check(
            "ranks run from 1 without gaps",
            "SELECT date, user_id, shelf FROM recommendations GROUP BY ALL "
            "HAVING min(rank) != 1 OR max(rank) != count(*)",
        ),
        Check(
            "an item stands once on a shelf",
            "SELECT date, user_id, shelf, item_id FROM recommendations GROUP BY ALL HAVING count(*) > 1",
        ),
        Check("scores are finite", "SELECT * FROM recommendations WHERE NOT isfinite(score)"),
        Check(
            "scores fall with rank",
            "SELECT * FROM (SELECT date, user_id, shelf, rank, score, "
            "lag(score) OVER (PARTITION BY date, user_id, shelf ORDER BY rank) AS above FROM recommendations) "
            "WHERE above < score",
        ),
        Check(
            "contributions add up to the score",
            "SELECT * FROM recommendations WHERE abs(score - (contribution_history + contribution_text + "
            "contribution_image + contribution_audio + contribution_video)) > 1e-3 * (1 + abs(score))",
        ),
        Check(
            "no deleted item is recommended",
            "SELECT r.date, r.item_id FROM (SELECT DISTINCT date, item_id FROM recommendations) r "
            "JOIN items i ON i.item_id = r.item_id AND i.date <= r.date "
            "GROUP BY ALL HAVING arg_max(i.deleted, i.date)",
        ),
        Check(
            "no seen item is recommended",
            "SELECT r.date, r.user_id, r.item_id FROM recommendations r "
            "JOIN interactions i ON i.user_id = r.user_id AND i.item_id = r.item_id AND i.date <= r.date",
        ),
    )


class SimilarItems(Table):
    """One neighbour of an item on a night."""

    name = "similar_items"
    schema = pa.schema(
        [
            DATE,
            string("item_id"),
            pa.field("rank", pa.int32(), nullable=False),
            string("similar_item_id"),
            pa.field("score", pa.float32(), nullable=False),
        ]
    )
    key = ("date", "item_id", "rank")
    checks = (
        Check("no item is its own neighbour", "SELECT * FROM similar_items WHERE item_id = similar_item_id"),
        Check(
            "ranks run from 1 without gaps",
            "SELECT date, item_id FROM similar_items GROUP BY ALL HAVING min(rank) != 1 OR max(rank) != count(*)",
        ),
    )


_ALL: tuple[type[Table], ...] = (
    Items,
    Interactions,
    Quarantine,
    Ledger,
    *FEATURES.values(),
    Metrics,
    Models,
    ItemEmbeddings,
    UserEmbeddings,
    Recommendations,
    SimilarItems,
)
TABLES: dict[str, type[Table]] = {table.name: table for table in _ALL}
