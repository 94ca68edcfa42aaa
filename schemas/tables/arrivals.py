"""What a night brings: `items`, `interactions` and `given_vectors`."""

import pyarrow as pa

from schemas.features import of_given
from schemas.table import FILES, MEDIA, STRINGS, TIMESTAMP, VECTOR, Check, Column, Medium, Table, query
from schemas.values import EVENT

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
            "What the user did with the item.",
            values=EVENT,
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
