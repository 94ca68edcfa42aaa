"""What the account of each step is held against: what the tables themselves hold of the rows that it counted (law 3).

What a cleaning was given, and what of it was a duplicate or superseded, stands in RAW alone: no table can tell it.
"""

from schemas.table import MODALITIES, Check, Modality

KEPT = {
    "clean_items": "SELECT date, count(*) AS found FROM items GROUP BY date",
    "clean_interactions": "SELECT date, count(*) AS found FROM interactions GROUP BY date",
    "clean_media": "SELECT date, sum(len(image_keys) + len(audio_keys) + len(video_keys)) AS found FROM items "
    "GROUP BY date",
    "recommend": "SELECT date, count(DISTINCT user_id) AS found FROM recommendations GROUP BY date",
}
"""By step, how many of the rows that it kept the tables hold for a night."""

GIVEN = {"recommend": "SELECT date, count(*) AS found FROM user_embeddings GROUP BY date"}
"""By step, how many rows the tables had for it."""

_CONTENTS: dict[Modality, str] = {
    "text": "SELECT date, text_key AS key FROM items WHERE NOT deleted "
    "UNION ALL SELECT date, text_key FROM interactions",
    "image": "SELECT date, unnest(image_keys) AS key FROM items WHERE NOT deleted",
    "audio": "SELECT date, unnest(audio_keys) AS key FROM items WHERE NOT deleted",
    "video": "SELECT date, unnest(video_keys) AS key FROM items WHERE NOT deleted",
}
"""Every content that a night's rows bring; repetitions included."""


def checks() -> tuple[Check, ...]:
    """The promises of the ledger that look at other tables, a step at a time: where a table is damaged, the accounts of
    steps that have nothing to do with it are still looked at."""
    steps = [*KEPT, *(f"{prefix}extract_{modality}" for modality in MODALITIES for prefix in ("", "re"))]
    names = ", ".join(f"'{step}'" for step in steps)
    return (
        Check("every account is of a step that is known", f"SELECT date, step FROM ledger WHERE step NOT IN ({names})"),
        *(Check("kept rows are in the tables", _differs(step, "kept", sql)) for step, sql in KEPT.items()),
        *(Check("rows in were in the tables", _differs(step, "rows_in", sql)) for step, sql in GIVEN.items()),
        *(check for modality in MODALITIES for check in _of_extraction(modality)),
        *(check for modality in MODALITIES for check in _of_reextraction(modality)),
    )


def _differs(step: str, column: str, found: str) -> str:
    return (
        f"SELECT date, step, l.{column}, coalesce(t.found, 0) AS found "
        f"FROM ledger l LEFT JOIN ({found}) t USING (date) "
        f"WHERE step = '{step}' AND l.{column} != coalesce(t.found, 0)"
    )


def _of_extraction(modality: Modality) -> tuple[Check, ...]:
    step = f"extract_{modality}"
    arrived, kept = _extracted(modality, step, nights="=")
    return (
        Check("contents that arrive are extracted or refused", _differs(step, "rows_in", arrived)),
        Check("kept contents are in the store of their encoder", _differs(step, "kept", kept)),
    )


def _of_reextraction(modality: Modality) -> tuple[Check, ...]:
    """What is known as of a night may change after the account, when an earlier night is made late or anew: that is
    told. What was kept may only go from the store if a night that extracted it again has refused it."""
    step = f"reextract_{modality}"
    known, kept = _extracted(modality, step, nights="<=")
    stored = (
        f"(SELECT count(*) FROM features_{modality} f WHERE f.encoder = coalesce(l.encoder, f.encoder)) + "
        f"(SELECT count(DISTINCT record_id) FROM quarantine q WHERE q.stage = 'extract_{modality}' "
        "AND starts_with(q.detail, l.encoder))"
    )
    return (
        Check(
            "kept contents are in the store of their encoder",
            f"SELECT * FROM (SELECT date, step, kept, {stored} AS found FROM ledger l WHERE step = '{step}') "
            "WHERE kept > found",
        ),
        Check("all that is known was extracted again", _differs(step, "rows_in", known), severity="warn"),
        Check("all that is known and stored was kept", _differs(step, "kept", kept), severity="warn"),
    )


def _extracted(modality: Modality, step: str, *, nights: str) -> tuple[str, str]:
    """Queries for how many different contents a step was given on a night, and for how many of them the store has.

    Those that the step itself has refused do not count, though another night may have extracted them since. Those
    that another night has refused since, when it extracted them again, have left the store and do count. A row of an
    earlier version names no encoder; it is held against the rows of all.
    """
    given = (
        f"SELECT DISTINCT l.date, l.encoder, c.key "
        f"FROM ledger l JOIN ({_CONTENTS[modality]}) c ON c.date {nights} l.date "
        f"WHERE l.step = '{step}' AND c.key IS NOT NULL"
    )
    kept = f"""
        SELECT date, count(*) AS found FROM ({given}) g
        WHERE NOT EXISTS (
            SELECT 1 FROM quarantine q WHERE q.date = g.date AND q.stage = '{step}' AND q.record_id = g.key
        ) AND (
            EXISTS (
                SELECT 1 FROM features_{modality} f
                WHERE f.content_key = g.key AND f.encoder = coalesce(g.encoder, f.encoder)
            ) OR EXISTS (
                SELECT 1 FROM quarantine q
                WHERE q.stage = 'extract_{modality}' AND q.record_id = g.key AND starts_with(q.detail, g.encoder)
            )
        )
        GROUP BY date
    """
    return f"SELECT date, count(*) AS found FROM ({given}) GROUP BY date", kept
