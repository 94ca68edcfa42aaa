"""The night's accounts: what became of the rows that a step was given."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from jobs.runtime.night import Night, NightError
from schemas.tables import Ledger

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


def check_share(night: Night, step: str, *, refused: int, rows_in: int, limit: float) -> None:
    """Stop the night before anything is published when too much of its input was refused; one thing never is.

    Raises:
        NightError: the share of refused rows is above `limit`.
    """
    if refused > max(1, limit * rows_in):
        raise NightError(
            f"{step} of {night.ds}: {refused} of {rows_in} refused, above the set share of {limit:.0%} (law 3). "
            f"See why with: nightweave query \"SELECT reason, count(*) FROM quarantine WHERE stage = '{step}' "
            f"AND date = '{night.ds}' GROUP BY 1\"",
            law=3,
            partition=f"date={night.ds}/step={step}",
        )


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
