"""The night's accounts: what became of the rows that a step was given."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.night import Night, NightError
from schemas.tables import Ledger, Quarantine

log = logging.getLogger("nightweave.ledger")


@dataclass(frozen=True)
class Account:
    """Counts of rows of one step; they must add up (law 3).

    Attributes:
        encoder: fingerprint of that of an extraction.
        files: how many files of RAW the rows came from; None for steps that read none.
        unread_files: how many files stood beside them that are not read, and so are in no other count.
    """

    rows_in: int
    kept: int
    refused: int = 0
    duplicates: int = 0
    superseded: int = 0
    unknown_columns: Mapping[str, int] = field(default_factory=dict)
    encoder: str | None = None
    files: int | None = None
    unread_files: int | None = None


def too_many(refused: int, *, rows_in: int, limit: float) -> bool:
    """Whether so many refused rows are above the share that a night may have; one never is."""
    return refused > max(1, limit * rows_in)


def check_share(night: Night, step: str, *, refused: int, rows_in: int, limit: float) -> None:
    """Stop the night before anything is published when too much of its input was refused; one thing never is.

    Raises:
        NightError: the share of refused rows is above `limit`.
    """
    if not refused:
        return
    why = _main_cause(night, step)
    log.warning("%s: %d of %d refused%s", step, refused, rows_in, why)
    if too_many(refused, rows_in=rows_in, limit=limit):
        raise NightError(
            f"{step} of {night.ds}: {refused} of {rows_in} refused, above the set share of {limit:.0%} (law 3){why}. "
            f'See all with: nightweave query --staged {night.ds} "SELECT reason, count(*), any_value(detail) '
            f"FROM quarantine WHERE stage = '{step}' AND date = '{night.ds}' GROUP BY 1\"",
            law=3,
            partition=f"date={night.ds}/step={step}",
        )


def _main_cause(night: Night, step: str) -> str:
    """The reason for which a step has refused most rows, with how many, and the first of them in full."""
    refused = (pc.field("date") == night.date) & (pc.field("stage") == step)
    rows = night.lake.read(Quarantine, where=refused)
    if not len(rows):
        return ""
    rows = rows.append_column("count", pc.fill_null(rows["rows"], 1))
    counts = rows.group_by("reason").aggregate([("count", "sum")])
    (most,) = counts.sort_by([("count_sum", "descending"), ("reason", "ascending")]).slice(0, 1).to_pylist()
    alike = rows.filter(pc.field("reason") == most["reason"])
    (first,) = alike.sort_by([("source", "ascending"), ("position", "ascending")]).slice(0, 1).to_pylist()
    place = f"{first['source']} at {first['position']}"
    return f"; {most['count_sum']} for {most['reason']}, the first in {place}: {first['detail']}"


def close(night: Night, step: str, account: Account) -> None:
    """Write a step's account as the last thing that the step does.

    Raises:
        NightError: the counts do not add up.
    """
    out = account.kept + account.refused + account.duplicates + account.superseded
    if account.rows_in != out:
        raise NightError(
            f"{step} of {night.ds}: {account.rows_in} rows in, {out} accounted for (law 3): {account}",
            law=3,
            partition=f"date={night.ds}/step={step}",
        )
    row = {"date": night.date, "step": step} | asdict(account)
    row["unknown_columns"] = sorted(account.unknown_columns.items())
    night.lake.write(Ledger, pa.Table.from_pylist([row], schema=Ledger.schema), {"date": night.ds, "step": step})
    log.info(
        "%s: %d in = %d kept + %d refused + %d duplicates + %d superseded",
        step,
        account.rows_in,
        account.kept,
        account.refused,
        account.duplicates,
        account.superseded,
    )
