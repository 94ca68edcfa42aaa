"""What the account of each step is compared with: what the tables themselves hold of the rows that it counts (law 3).

What a cleaning was given, and what of it was a duplicate or superseded, is known from RAW alone: no table holds it. The
promises that look at other tables are checks of their own for each step, so that a damaged table leaves the accounts of
steps that do not read it to be checked.
"""

from typing import Literal

from schemas.features import of_given
from schemas.table import MEDIA, Check, Medium, query

_KEPT = ("clean_items", "clean_interactions", "clean_media", "recommend")
"""Steps, but for extractions, whose kept rows are counted in the tables."""


def checks() -> tuple[Check, ...]:
    """All promises of the ledger."""
    return (
        Check("rows in = kept + refused + duplicates + superseded", query("ledger/counts_add_up.sql")),
        Check("every account is of a step that is known", query("ledger/steps_are_known.sql")),
        *(Check("kept rows are in the tables", query(f"ledger/kept_by_{step}.sql")) for step in _KEPT),
        *(
            Check("kept rows are in the tables", query("ledger/kept_by_clean_vectors.sql", modality=modality))
            for modality in MEDIA
        ),
        Check("rows in were in the tables", query("ledger/rows_in_of_recommend.sql")),
        *(check for modality in MEDIA for given in (False, True) for check in _of_extraction(modality, given)),
        *(check for modality in MEDIA for given in (False, True) for check in _of_reextraction(modality, given)),
        *(check for modality in MEDIA for check in _of_stores(modality)),
        Check(
            "every partition has its account",
            query("ledger/every_partition_has_its_account.sql"),
            severity="warn",  # a step that runs writes its account last
        ),
        Check("refused rows are in quarantine", query("ledger/refused_rows_are_in_quarantine.sql")),
    )


def _of_extraction(modality: Medium, given: bool) -> tuple[Check, ...]:
    rows_in, kept = (
        _over_contents(check, "extract", modality, given=given)
        for check in ("rows_in_of_extraction", "kept_by_extraction")
    )
    return (
        Check("contents that arrive are extracted or refused", rows_in),
        Check("kept contents are in the store of their encoder", kept),
    )


def _of_reextraction(modality: Medium, given: bool) -> tuple[Check, ...]:
    """What is known as of a night may change after the account, when an earlier night is made late or anew: a
    warning."""
    rows_in, kept = (
        _over_contents(check, "reextract", modality, given=given)
        for check in ("rows_in_of_extraction", "kept_by_extraction")
    )
    return (
        Check("all that is known was extracted again", rows_in, severity="warn"),
        Check("all that is known and stored was kept", kept, severity="warn"),
    )


def _of_stores(modality: Medium) -> tuple[Check, ...]:
    """What a re-extraction kept may only leave the store if a night that extracted it again has refused it."""
    kept = query("ledger/kept_by_reextract.sql", modality=modality)
    return (Check("kept contents are in the store of their encoder", kept),)


def _over_contents(check: str, kind: Literal["extract", "reextract"], modality: Medium, *, given: bool) -> str:
    """SQL over the contents that an extraction was to read, of its night, or of all nights until then.

    They are texts of items and interactions, or files of items alone, or for an encoder that is given its vectors those
    that arrived: so that no account needs a table that its step does not read.
    """
    files = ("of_vectors",) if given else ("of_texts", "of_reviews") if modality == "text" else ("of_files",)
    contents = (query(f"contents/{file}.sql", modality=modality) for file in files)
    step = f"{kind}_{modality}"
    given_contents = query(
        "ledger/given_contents.sql",
        step=step,
        nights="=" if kind == "extract" else "<=",
        contents="    UNION ALL\n".join(f"    SELECT date, content_key FROM (\n{one}    )\n" for one in contents),
        encoders=of_given("encoder") if given else f"NOT {of_given('encoder')}",
    )
    return query(f"ledger/{check}.sql", modality=modality, step=step, given_contents=given_contents)
