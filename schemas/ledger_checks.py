"""What the account of each step is compared with: what the tables themselves hold of the rows that it counts (law 3).

What a cleaning was given, and what of it was a duplicate or superseded, is known from RAW alone: no table holds it. The
promises that look at other tables are checks of their own for each step, so that a damaged table leaves the accounts of
steps that do not read it to be checked.
"""

from typing import Literal

from schemas.table import MODALITIES, Check, Modality, query

_KEPT = ("clean_items", "clean_interactions", "clean_media", "recommend")
"""Steps, but for extractions, whose kept rows are counted in the tables."""


def checks() -> tuple[Check, ...]:
    """All promises of the ledger."""
    return (
        Check("rows in = kept + refused + duplicates + superseded", query("ledger/counts_add_up.sql")),
        Check("every account is of a step that is known", query("ledger/steps_are_known.sql")),
        *(Check("kept rows are in the tables", query(f"ledger/kept_by_{step}.sql")) for step in _KEPT),
        Check("rows in were in the tables", query("ledger/rows_in_of_recommend.sql")),
        *(check for modality in MODALITIES for check in _of_extraction(modality)),
        *(check for modality in MODALITIES for check in _of_reextraction(modality)),
        Check(
            "every partition has its account",
            query("ledger/every_partition_has_its_account.sql"),
            severity="warn",  # a step that runs writes its account last
        ),
        Check("refused rows are in quarantine", query("ledger/refused_rows_are_in_quarantine.sql")),
    )


def _of_extraction(modality: Modality) -> tuple[Check, ...]:
    return (
        Check("contents that arrive are extracted or refused", _given("rows_in_of_extraction", "extract", modality)),
        Check("kept contents are in the store of their encoder", _given("kept_by_extraction", "extract", modality)),
    )


def _of_reextraction(modality: Modality) -> tuple[Check, ...]:
    """What is known as of a night may change after the account, when an earlier night is made late or anew: a warning.
    What was kept may only leave the store if a night that extracted it again has refused it."""
    return (
        Check(
            "kept contents are in the store of their encoder", query("ledger/kept_by_reextract.sql", modality=modality)
        ),
        Check(
            "all that is known was extracted again",
            _given("rows_in_of_extraction", "reextract", modality),
            severity="warn",
        ),
        Check(
            "all that is known and stored was kept",
            _given("kept_by_extraction", "reextract", modality),
            severity="warn",
        ),
    )


def _given(check: str, kind: Literal["extract", "reextract"], modality: Modality) -> str:
    """SQL over the contents that an extraction was given: texts of items and interactions, or files of items alone, so
    that the accounts of files do not need the table of interactions; of its night, or of all nights until then."""
    contents = query(f"ledger/contents_of_{'text' if modality == 'text' else 'media'}.sql", modality=modality)
    nights = "=" if kind == "extract" else "<="
    return query(f"ledger/{check}.sql", modality=modality, step=f"{kind}_{modality}", nights=nights, contents=contents)
