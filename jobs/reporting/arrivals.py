"""What arrived, was kept and was refused, on the night and on those before it; and who was served."""

from dataclasses import dataclass
from datetime import date

import duckdb

from jobs.reporting.asking import LAST_NIGHTS, ask
from schemas.tables import NEWCOMER

RECORDS = ("clean_items", "clean_interactions")
"""The steps whose accounts are of records of RAW."""
EXAMPLES = 3
REASONS = 12
COLUMNS = 12

ACCOUNTS = f"""
    SELECT date, step, rows_in, kept, refused, duplicates, superseded FROM ledger
    WHERE date IN {LAST_NIGHTS} AND NOT starts_with(step, 'reextract')
    ORDER BY date, list_position(['clean_items', 'clean_interactions', 'clean_media'], step) NULLS LAST, step
"""
REFUSALS = """
    WITH refused AS (
        SELECT *, row_number() OVER (PARTITION BY stage, reason ORDER BY source, position, record_id) AS place
        FROM quarantine WHERE date = $night
    )
    SELECT stage, reason, sum(coalesce(rows, 1)) AS n,
        list({'source': source, 'position': position, 'record_id': record_id, 'detail': detail} ORDER BY place)
            FILTER (place <= $examples)
    FROM refused GROUP BY stage, reason ORDER BY n DESC, stage, reason LIMIT $reasons
"""
UNKNOWN = """
    SELECT step, entry.key, entry.value FROM (
        SELECT step, unnest(map_entries(unknown_columns)) AS entry FROM ledger WHERE date = $night
    ) ORDER BY step, entry.value DESC, entry.key LIMIT $columns
"""
LAST_NIGHT = "SELECT max(date) FROM ledger WHERE date < $night"
KNOWN = "SELECT count(*) FILTER (NOT deleted), count(*) FILTER (deleted AND date = $night) FROM latest"
NEW_ITEMS = """
    SELECT count(*) FROM (SELECT item_id FROM items WHERE date <= $night GROUP BY item_id HAVING min(date) = $night)
"""
SERVED = f"""
    SELECT count(DISTINCT user_id) FILTER (date = $night), count(DISTINCT user_id) FILTER (date = $last)
    FROM recommendations WHERE date IN ($night, $last) AND user_id != '{NEWCOMER}'
"""
CHANGES = f"""
    WITH now AS (
        SELECT user_id, shelf, item_id FROM recommendations WHERE date = $night AND user_id != '{NEWCOMER}'
    ),
    before AS (SELECT user_id, shelf, item_id FROM recommendations WHERE date = $last),
    places AS (
        SELECT user_id, before.item_id IS NULL AS is_new
        FROM now LEFT JOIN before USING (user_id, shelf, item_id) WHERE user_id IN (SELECT user_id FROM before)
    )
    SELECT (SELECT count(DISTINCT user_id) FROM places), (SELECT count(DISTINCT user_id) FROM places WHERE is_new),
        (SELECT count(*) FROM places), (SELECT count(*) FROM places WHERE is_new)
"""


@dataclass(frozen=True)
class Account:
    """What became of the rows of one step of one night."""

    night: date
    step: str
    rows_in: int
    kept: int
    refused: int
    duplicates: int
    superseded: int

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        return (
            ("kept", self.kept),
            ("duplicates", self.duplicates),
            ("superseded", self.superseded),
            ("refused", self.refused),
        )


@dataclass(frozen=True)
class Refusals:
    """Rows that one step refused for one reason; each of `examples` has source, position, record_id and detail."""

    stage: str
    reason: str
    rows: int
    examples: list[dict[str, object]]


@dataclass(frozen=True)
class UnknownColumn:
    """A column that the contract does not have, and in how many records it was."""

    step: str
    column: str
    records: int


@dataclass(frozen=True)
class Changes:
    """What changed since the last night: of users with shelves on both, and the places on these shelves."""

    users: int
    users_changed: int
    places: int
    places_new: int


@dataclass(frozen=True)
class Arrivals:
    """What a night brought.

    Attributes:
        accounts: of all nights that the report looks back on, the oldest first.
        last_night: the night before this one that the ledger has; None where this is the first.
        items, deleted, new_items: of the catalog as of the night: how many there are, how many left it with the night,
            and how many it brought that no earlier night had.
        served, served_last: users with shelves of their own, on the night and on the last one.
        changes: None without a last night.
    """

    night: date
    accounts: list[Account]
    refusals: list[Refusals]
    unknown: list[UnknownColumn]
    last_night: date | None
    items: int
    deleted: int
    new_items: int
    served: int
    served_last: int
    changes: Changes | None

    @property
    def tonight(self) -> list[Account]:
        return [account for account in self.accounts if account.night == self.night]

    def of(self, step: str, night: date | None = None) -> Account | None:
        """The account of a step, of this night unless another is given."""
        wanted = (night or self.night, step)
        return next((account for account in self.accounts if (account.night, account.step) == wanted), None)

    @property
    def nights(self) -> list[date]:
        return sorted({account.night for account in self.accounts})

    def history(self, step: str) -> list[Account | None]:
        """The accounts of a step, one for each of `nights`; None where a night has none."""
        found = {account.night: account for account in self.accounts if account.step == step}
        return [found.get(night) for night in self.nights]


def arrivals(connection: duckdb.DuckDBPyConnection, night: date) -> Arrivals:
    """What the night brought; `connection` has the temporary table `latest` (`lake.asof.create_latest`)."""
    ((last_night,),) = connection.execute(LAST_NIGHT, {"night": night}).fetchall()
    ((items, deleted),) = connection.execute(KNOWN, {"night": night}).fetchall()
    ((new_items,),) = connection.execute(NEW_ITEMS, {"night": night}).fetchall()
    ((served, served_last),) = connection.execute(SERVED, {"night": night, "last": last_night}).fetchall()
    limits = {"examples": EXAMPLES, "reasons": REASONS}
    return Arrivals(
        night=night,
        accounts=ask(connection, Account, ACCOUNTS, night=night),
        refusals=ask(connection, Refusals, REFUSALS, night=night, **limits),
        unknown=ask(connection, UnknownColumn, UNKNOWN, night=night, columns=COLUMNS),
        last_night=last_night,
        items=items,
        deleted=deleted,
        new_items=new_items,
        served=served,
        served_last=served_last,
        changes=ask(connection, Changes, CHANGES, night=night, last=last_night)[0] if last_night else None,
    )
