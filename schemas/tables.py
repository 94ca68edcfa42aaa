"""The tables of the lake, in the order in which a night writes them."""

import pyarrow as pa

from schemas import ledger_checks
from schemas.features import FEATURES, of_given
from schemas.table import (
    BLOCKS,
    FILES,
    MEDIA,
    STRINGS,
    TIMESTAMP,
    VECTOR,
    WEIGHTS,
    Check,
    Column,
    Medium,
    Table,
    query,
)

FUTURE_DAYS = 2
"""A time is believed if it is before midnight UTC, this many days after the start of its night: up to the end of the
day after the night, since clocks and time zones differ."""

COUNTS_AS_OF = (
    f"CASE WHEN updated_at < date + INTERVAL {FUTURE_DAYS} DAY THEN updated_at ELSE date + INTERVAL 1 DAY END"
)
"""When a version of an item counts as written, in SQL that DuckDB and Spark both read, in sessions whose zone is UTC:
at its `updated_at`; at the end of its night's day where it has none, or one too late to be believed. Of the versions of
an item the latest is current; of equally late ones that of the later `date`, and within a night the last in the order
of files and rows. A version without a time is thus later than all that earlier nights brought."""


def _extracted(modality: Medium, contents: str, *, what: str = "content") -> Check:
    """The promise that what a night brought of a modality is in its store, or refused, once the night extracted.

    Args:
        contents: which of them, a file under `schemas/checks/contents/`. Vectors that arrived are contents of the
            encoder `given` alone, texts and files of all others.
        what: what they are, in the promise's name.
    """
    given = of_given("encoder")
    sql = query(
        "any/every_content_was_extracted_or_refused.sql",
        modality=modality,
        contents=query(f"contents/{contents}.sql", modality=modality),
        reads_them=given if contents == "of_vectors" else f"NOT {given}",
    )
    return Check(f"every {what} was extracted or refused", sql)


NEWCOMER = "*"
"""The `user_id` of the row for everybody without a history; no user of the source may have it."""


class Items(Table):
    """An item's version that arrived on a night."""

    name = "items"
    described = (
        Column("date", pa.date32(), "Night on which the version arrived."),
        Column("item_id", pa.string(), "The item, by the identifier that the source gives it."),
        Column("title", pa.string(), "Plain text, without markup; empty where none was given."),
        Column("description", pa.string(), "Plain text, without markup; empty where none was given."),
        Column("category", pa.string(), "As given, without markup; null where none was given.", nullable=True),
        Column("tags", STRINGS, "As given, each once, in their order; an empty list where none was given."),
        Column(
            "language",
            pa.string(),
            "Language of title and description: the given code without region (ISO 639, lower case), else the detected "
            'ISO 639-1 code; "und" where none was given and none stands out.',
        ),
        Column(
            "price",
            pa.float64(),
            "As given, 0 or more, in the source's currency, which is not recorded; null where none was given.",
            nullable=True,
        ),
        Column(
            "attributes",
            pa.map_(pa.string(), pa.string()),
            "Further properties by name; a value that is no string is given as its JSON text.",
        ),
        Column(
            "updated_at",
            TIMESTAMP,
            "When the source changed the item, at the latest on the day after `date`. Of the versions known as of a "
            "night the one with the latest is current, of equally late ones that of the later `date`; null where none "
            "was given, and the version then counts as of the end of its night's day.",
            nullable=True,
        ),
        Column("deleted", pa.bool_(), "The item leaves the catalog with this version; its lists of files are empty."),
        Column(
            "text",
            pa.string(),
            "Title, description, category and tags, a line each: what the text encoder is given; null where all are "
            "empty.",
            nullable=True,
        ),
        Column(
            "text_key",
            pa.string(),
            "SHA-256 of `text`, hex: its `content_key` in `features_text`; null where the item has no text.",
            nullable=True,
        ),
        *(
            column
            for modality in FILES
            for column in (
                Column(
                    f"{modality}_uris",
                    STRINGS,
                    f"The files behind `{modality}_keys`, in the same order: paths relative to RAW. Files that were "
                    "refused are left out, and of files with the same bytes all but the first.",
                ),
                Column(
                    f"{modality}_keys",
                    STRINGS,
                    f"SHA-256 of each {modality} file, hex: its `content_key` in `features_{modality}`; an empty list "
                    "where the item has none.",
                ),
            )
        ),
    )
    key = ("date", "item_id")
    checks = (
        Check("every key has its file", query("items/every_key_has_its_file.sql")),
        _extracted("text", "of_texts"),
        *(_extracted(modality, "of_files") for modality in FILES),
    )


class Interactions(Table):
    """One event that arrived on a night."""

    name = "interactions"
    described = (
        Column("date", pa.date32(), "Night on which the event arrived, whenever it happened."),
        Column("user_id", pa.string(), "The user, by the identifier that the source gives them."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `items`; an item that never arrived is allowed."),
        Column("timestamp", TIMESTAMP, "When it happened; at the latest on the day after `date`, as clocks differ."),
        Column(
            "event",
            pa.string(),
            "What happened: view, click, like, dislike, cart, purchase, rating or review, or another event that the "
            "configuration weighs.",
        ),
        Column(
            "value",
            pa.float64(),
            "The number that came with it, in the source's own scale, such as the stars of a rating; null where none "
            "was given.",
            nullable=True,
        ),
        Column(
            "text",
            pa.string(),
            "What the user wrote with it, plain text without markup; null where that is nothing.",
            nullable=True,
        ),
        Column(
            "text_key",
            pa.string(),
            "SHA-256 of `text`, hex: its `content_key` in `features_text`; null where there is no text.",
            nullable=True,
        ),
    )
    key = ("date", "user_id", "item_id", "timestamp", "event")
    checks = (_extracted("text", "of_reviews", what="text"),)


class GivenVectors(Table):
    """A vector that arrived on a night for an item or for a file, of one modality.

    As of a night, the vectors of an item are those of the latest night that brought any under its `item_id`; where none
    did, those of its files, of each file those of the latest night that brought any. Of several the mean counts. The
    table is there from the first night on that brings any.
    """

    name = "given_vectors"
    described = (
        Column("date", pa.date32(), "Night on which the vector arrived."),
        Column("modality", pa.string(), "What it describes: text, image, audio or video."),
        Column(
            "item_id",
            pa.string(),
            "The item that it describes, by its `item_id` in `items`, which may never have arrived; null where it was "
            "given for a file.",
            nullable=True,
        ),
        Column(
            "uri",
            pa.string(),
            "The file that it describes, as `image_uris`, `audio_uris` or `video_uris` of `items` name it; null where "
            "it was given for an item.",
            nullable=True,
        ),
        Column(
            "content_key",
            pa.string(),
            "SHA-256 of the vector's bytes, float32 in little-endian order, hex: its `content_key` in the feature "
            "store of the modality.",
        ),
        Column("vector", VECTOR, "As given, in single precision; of one width for all rows of a night and modality."),
    )
    partition_by = ("date", "modality")
    key = ("date", "modality", "item_id", "uri", "content_key")
    nullable_key = ("item_id", "uri")
    checks = (
        Check("a vector is of an item or of a file", query("given_vectors/of_an_item_or_of_a_file.sql")),
        Check("vectors are finite", query("any/vectors_are_finite.sql", table="given_vectors")),
        *(_extracted(modality, "of_vectors") for modality in MEDIA),
    )


class Quarantine(Table):
    """One thing refused.

    The stage `contradictions` refuses nothing: it warns of items, of all that are known as of the night, whose
    modalities contradict one another.
    """

    name = "quarantine"
    described = (
        Column("date", pa.date32(), "Night whose step refused it."),
        Column("stage", pa.string(), "The step that refused it, as in `step` of `ledger`, or `contradictions`."),
        Column(
            "source",
            pa.string(),
            "Where it comes from: a file, relative to RAW; `text` for a text and `given_vectors` for a vector that was "
            "not extracted, `items` for a contradiction.",
        ),
        Column("position", pa.int64(), "Line or row in `source`, from 1; 0 for a whole file and for what is in none."),
        Column(
            "record_id",
            pa.string(),
            "What is concerned: the `item_id` in `items` (`clean_items`, `clean_media`, `clean_vectors_*`, "
            "`contradictions`), the user (`clean_interactions`) or the `content_key` of the feature store "
            "(extractions); null where not known.",
            nullable=True,
        ),
        Column("reason", pa.string(), "The cause as a short, stable name, such as `not_json` or `media_missing`."),
        Column(
            "detail",
            pa.string(),
            "What arrived, and what was expected instead. That of an extraction begins with the encoder's fingerprint.",
        ),
        Column(
            "rows",
            pa.int64(),
            "How many rows of the step's account it stands for: 0 for a file that is not read, more than 1 where rows "
            "were lost together; null for one, and for a file whose rows cannot be counted: its night failed.",
            nullable=True,
        ),
    )
    partition_by = ("date", "stage")
    key = ("date", "stage", "source", "position", "record_id")
    nullable_key = ("record_id",)


class Ledger(Table):
    """What became of the rows that one step of a night was given.

    A step that has its rows here is complete; the row is written last.
    """

    name = "ledger"
    described = (
        Column("date", pa.date32(), "Night that the step belongs to."),
        Column(
            "step",
            pa.string(),
            "`clean_items`, `clean_interactions`, `clean_media`, `clean_vectors_MODALITY`, `extract_MODALITY`, "
            "`reextract_MODALITY` or `recommend`; of the encoders of a modality beside the first, "
            "`extract_MODALITY.FINGERPRINT` and `reextract_MODALITY.FINGERPRINT`.",
        ),
        Column(
            "rows_in",
            pa.int64(),
            "What the step was given: records of RAW, counted apart from their parser (`clean_items`, "
            "`clean_interactions`, `clean_vectors_*`), files of the night's items (`clean_media`), different contents "
            "of the night's rows (`extract_*`) or of all known as of it (`reextract_*`), users in "
            "`user_embeddings` (`recommend`).",
        ),
        Column(
            "kept",
            pa.int64(),
            "How many of `rows_in` came out: rows in `items`, `interactions` or `given_vectors`, files with a key, "
            "contents that the feature store has under `encoder`, users with a recommendation.",
        ),
        Column(
            "refused",
            pa.int64(),
            "How many of `rows_in` went into `quarantine`, with the step as `stage`; `rows` there has how many each "
            "stands for.",
        ),
        Column("duplicates", pa.int64(), "How many of `rows_in` equal a row that was kept."),
        Column(
            "superseded",
            pa.int64(),
            "How many of `rows_in` have the key of a row that was kept and differ from it; in `recommend`, users for "
            "whom no item was left.",
        ),
        Column(
            "unknown_columns",
            pa.map_(pa.string(), pa.int64()),
            "Columns of RAW that the contract does not have, and in how many records each was found; they are left "
            "out. Empty for other steps than `clean_items`, `clean_interactions` and `clean_vectors_*`.",
        ),
        Column(
            "encoder",
            pa.string(),
            "Fingerprint under which contents were extracted, as in `encoder` of the feature stores; null for other "
            "steps, and in rows of versions that did not record it.",
            nullable=True,
        ),
        Column(
            "files",
            pa.int64(),
            "Files of RAW that the rows came from (`clean_items`, `clean_interactions`, `clean_vectors_*`); null for "
            "other steps.",
            nullable=True,
        ),
        Column(
            "unread_files",
            pa.int64(),
            "Files beside them that are not read, such as of an unknown format; they stand in `quarantine`, and in no "
            "other count; null for other steps than `clean_items`, `clean_interactions` and `clean_vectors_*`.",
            nullable=True,
        ),
    )
    partition_by = ("date", "step")
    key = ("date", "step")
    checks = ledger_checks.checks()


class Metrics(Table):
    """One figure of one model on a night."""

    name = "metrics"
    described = (
        Column("date", pa.date32(), "Night on whose held-out likes the figure was measured."),
        Column(
            "model_version",
            pa.string(),
            "The night's own model, by its `model_version` in `models`, whichever model the figure is of.",
        ),
        Column(
            "model",
            pa.string(),
            "What is measured: the night's model, by its strategy; the same shown a catalog without a modality, "
            "`STRATEGY without MODALITY`; `popularity`, `item_knn` or `last_promoted`, the model that the night's is "
            "to replace. In a validation: each strategy that was tried for the night, and `STRATEGY trial N`, those of "
            "a search for parameters.",
        ),
        Column(
            "split",
            pa.string(),
            "How likes were held out: `global_time`, `per_user` or `cold_items`; followed by ` validation` where they "
            "are the likes by which the night's strategy was chosen.",
        ),
        Column(
            "segment",
            pa.string(),
            "Which held-out likes count: `all`; of `warm_users` or `cold_users`, who have a like that is not held out, "
            "or none; of `warm_items` or `cold_items`, likewise; of `head_items`, `middle_items` or `tail_items`, with "
            "about a third of the likes each; of items `with_MODALITY` or `without_MODALITY`.",
        ),
        Column(
            "metric",
            pa.string(),
            "Finding what is held out: `recall`, `precision`, `f1`, `ndcg`, `map`, `mrr`, `hit_rate`, `accuracy`, "
            "`auc`, and over the pooled pairs of users and items, of a sample of users beyond 8 million pairs, `roc`, "
            "`pr`, `pooled_auc`, `average_precision`. What lists show: "
            "`novelty` (bits), `diversity`, `popularity_bias`, `coverage`, `exposure_gini`. Scores as probabilities: "
            "`platt_*`, `isotonic_*`. `parameter NAME`: a trial's parameter that is a number.",
        ),
        Column(
            "k",
            pa.int32(),
            "Length of the list that is judged; of `roc` and `pr` the percent on the curve's first axis; of "
            "`*_predicted` and `*_observed` the bin, from 1; null for a figure without a cut.",
            nullable=True,
        ),
        Column(
            "value",
            pa.float64(),
            "The figure: a mean over users, or one for all of them; a share from 0 to 1 but for `novelty`, "
            "`popularity_bias` (1 is neutral), `diversity` (1 minus a mean cosine) and parameters.",
        ),
        Column(
            "low",
            pa.float64(),
            "Lower end of the 95% confidence interval of `value`; null where it is no mean over users.",
            nullable=True,
        ),
        Column("high", pa.float64(), "Upper end of that interval; null where `low` is.", nullable=True),
    )
    key = ("date", "model_version", "model", "split", "segment", "metric", "k")
    nullable_key = ("k",)
    checks = (
        Check("figures are finite", query("metrics/figures_are_finite.sql")),
        Check("an interval has two ends, in order", query("metrics/an_interval_has_two_ends.sql")),
    )


class Models(Table):
    """One trained model.

    The fingerprints name what a model was made from: the same strategy and fingerprints make the same model, and give
    it the same version on every night.
    """

    name = "models"
    described = (
        Column("date", pa.date32(), "Night that the model was trained for."),
        Column("model_version", pa.string(), "The strategy, then 12 hex digits of a hash of it and the fingerprints."),
        Column(
            "promoted",
            pa.bool_(),
            "The model serves the night; where false, the last promoted model of the nights before does.",
        ),
        Column("verdict", pa.string(), "Why it was promoted or not, in words, with the differences it rests on."),
        Column(
            "best_so_far",
            pa.string(),
            "The `model_version` that later nights must hold their own against beside the last promoted one, so that "
            "nights cannot each be a little worse; null in rows of versions that knew none.",
            nullable=True,
        ),
        Column("strategy", pa.string(), "The fusion strategy, by its name in the configuration."),
        Column("path", pa.string(), "Folder of the stored model, relative to LAKE."),
        Column("fingerprint_data", pa.string(), "SHA-256, hex, of the catalog, history and reviews that were read."),
        Column("fingerprint_encoders", pa.string(), "SHA-256, hex, of the fingerprints of all modalities' encoders."),
        Column(
            "fingerprint_config",
            pa.string(),
            "SHA-256, hex, of the configuration of fusion and of the strategy's parameters.",
        ),
        Column(
            "fingerprint_code",
            pa.string(),
            "SHA-256, hex, of the code that computes models and of the versions of its libraries.",
        ),
    )
    key = ("date", "model_version")


class ItemEmbeddings(Table):
    """An item as of a night."""

    name = "item_embeddings"
    described = (
        Column("date", pa.date32(), "Night as of which the item is placed."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `items`."),
        Column(
            "model_version",
            pa.string(),
            "The model that serves the night, by its `model_version` in `models`; `content` where no model was ever "
            "promoted, and content alone places the items.",
        ),
        Column(
            "vector",
            VECTOR,
            "The item under that model, made of blocks that lie side by side, one for the history and one a modality; "
            "as wide for all items and users of a night.",
        ),
        Column(
            "blocks",
            BLOCKS,
            "The blocks by name (`history` or a modality), each as [first column, column after its last].",
        ),
        Column(
            "neighbour_blocks",
            BLOCKS,
            "The columns by which `similar_items` compares items, in the form of `blocks`.",
        ),
        Column(
            "combination",
            pa.string(),
            "How the scores of the blocks (dot products with the user's) become one: `sum`, or by the places in the "
            "blocks' own rankings `borda`, `reciprocal_rank` or `vote`; null, in rows of versions that had sums only, "
            "is `sum`.",
            nullable=True,
        ),
        Column(
            "weights",
            WEIGHTS,
            "What the points of each block count, by its name; 1 for a block that is not named, and for all where it "
            "is null, as in rows of versions that had sums only.",
            nullable=True,
        ),
        Column(
            "modalities",
            STRINGS,
            "The modalities of which the item has a feature vector; text also where only its reviews have one; "
            "`attributes` where it has a category, a price or an attribute.",
        ),
        Column("is_new", pa.bool_(), "No user had an event with the item by that night."),
        Column(
            "predicted_rating",
            pa.float32(),
            "The rating that the model predicts for the item, in the units of `interactions.value`, a mean over the "
            "users; null where the model that serves learns no ratings.",
            nullable=True,
        ),
        Column(
            "predicted_category",
            pa.string(),
            "The category that the model predicts from the item's content, one of `items.category`; null where the "
            "item has no content, or the model that serves learns no categories.",
            nullable=True,
        ),
    )
    key = ("date", "item_id")
    checks = (Check("vectors are finite", query("any/vectors_are_finite.sql", table="item_embeddings")),)


class UserEmbeddings(Table):
    """A user as of a night."""

    name = "user_embeddings"
    described = (
        Column("date", pa.date32(), "Night as of which the user is placed."),
        Column(
            "user_id",
            pa.string(),
            f"The user, by their `user_id` in `interactions`; `{NEWCOMER}` is anybody without a history.",
        ),
        Column(
            "model_version",
            pa.string(),
            "The model that serves the night, by its `model_version` in `models`; a night without one has no rows.",
        ),
        Column("vector", VECTOR, "The user under that model, in the `blocks` of the night's `item_embeddings`."),
        Column(
            "new_items_vector",
            VECTOR,
            "The user as new items are ranked for them, in the same blocks; null where that is `vector`.",
            nullable=True,
        ),
    )
    key = ("date", "user_id")
    checks = (Check("vectors are finite", query("any/vectors_are_finite.sql", table="user_embeddings")),)


class Recommendations(Table):
    """One place on one user's shelf on a night.

    The six contributions add up to `score`. Where the model combines rankings (`combination` in `item_embeddings`),
    they are the points that a block gives for the item's place.
    """

    name = "recommendations"
    described = (
        Column("date", pa.date32(), "Night that the shelf was made for."),
        Column(
            "user_id",
            pa.string(),
            f"The user, by their `user_id` in `user_embeddings`; `{NEWCOMER}` is anybody without shelves of their own.",
        ),
        Column(
            "shelf",
            pa.string(),
            "`for_you`: the whole catalog without what the user had an event with; `new_items`: only items that nobody "
            "has had an event with yet.",
        ),
        Column("rank", pa.int32(), "Place on the shelf, from 1, the best."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `item_embeddings`."),
        Column(
            "score",
            pa.float32(),
            "What the shelf is ordered by, falling, in no unit; it compares items for one user on one night only.",
        ),
        Column("model_version", pa.string(), "The model that serves the night, by its `model_version` in `models`."),
        Column("modalities", STRINGS, "`modalities` of the item in `item_embeddings`."),
        Column(
            "contribution_history",
            pa.float32(),
            "Part of `score` that comes from what users did with the items; 0 where the model has no such block.",
        ),
        *(
            Column(
                f"contribution_{modality}",
                pa.float32(),
                f"Part of `score` that comes from the item's {modality}; 0 where the item has none.",
            )
            for modality in MEDIA
        ),
        Column(
            "contribution_attributes",
            pa.float32(),
            "Part of `score` that comes from the item's category, price and attributes; 0 where the item has none, or "
            "the model has no such block; null in rows of versions that did not read them.",
            nullable=True,
        ),
    )
    key = ("date", "user_id", "shelf", "rank")
    checks = (
        Check("ranks run from 1 without gaps", query("recommendations/ranks_run_from_1.sql")),
        Check("an item stands once on a shelf", query("recommendations/an_item_stands_once_on_a_shelf.sql")),
        Check("scores are finite", query("recommendations/scores_are_finite.sql")),
        Check("scores fall with rank", query("recommendations/scores_fall_with_rank.sql")),
        Check("contributions add up to the score", query("recommendations/contributions_add_up.sql")),
        Check(
            "no deleted item is recommended",
            query("recommendations/no_deleted_item.sql", counts_as_of=COUNTS_AS_OF, future_days=str(FUTURE_DAYS)),
        ),
        Check("no seen item is recommended", query("recommendations/no_seen_item.sql")),
    )


class SimilarItems(Table):
    """One neighbour of an item on a night."""

    name = "similar_items"
    described = (
        Column("date", pa.date32(), "Night as of which the items are compared."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `item_embeddings`."),
        Column("rank", pa.int32(), "Place among the item's neighbours, from 1, the most similar."),
        Column("similar_item_id", pa.string(), "The neighbour, by its `item_id` in `item_embeddings`."),
        Column(
            "score",
            pa.float32(),
            "Sum of the cosines of the blocks that both items have, over the number of those blocks plus 1: between -1 "
            "and 1, higher the more blocks agree.",
        ),
    )
    key = ("date", "item_id", "rank")
    checks = (
        Check("no item is its own neighbour", query("similar_items/no_item_is_its_own_neighbour.sql")),
        Check("ranks run from 1 without gaps", query("similar_items/ranks_run_from_1.sql")),
    )


_ALL: tuple[type[Table], ...] = (
    Items,
    Interactions,
    GivenVectors,
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
