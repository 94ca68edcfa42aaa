"""What becomes of what a night brings: `quarantine` and `ledger`."""

import pyarrow as pa

from schemas import ledger_checks
from schemas.table import Column, Table
from schemas.values import REASON, STEP


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
        Column(
            "reason",
            pa.string(),
            "The cause as a short, stable name, such as `not_json` or `media_missing`.",
            values=REASON,
        ),
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
            "What the step does, and of an extraction which modality it is of.",
            values=STEP,
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
