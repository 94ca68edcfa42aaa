from datetime import date

import pytest

from jobs.landing.raw import Raw
from jobs.runtime.ledger import Account, check_share, close
from jobs.runtime.night import Night, NightError
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Ledger


@pytest.fixture
def night(lake: Lake) -> Night:
    return Night(date(2026, 11, 1), Raw("raw"), lake, Config())


@pytest.mark.parametrize(("refused", "rows"), [(0, 0), (1, 1), (2, 10), (20, 100)])
def test_one_refusal_or_the_set_share_is_borne(night: Night, refused: int, rows: int) -> None:
    check_share(night, "clean_items", refused=refused, rows_in=rows, limit=0.2)


@pytest.mark.parametrize(("refused", "rows"), [(2, 3), (21, 100)])
def test_more_stops_the_night(night: Night, refused: int, rows: int) -> None:
    with pytest.raises(NightError, match="law 3"):
        check_share(night, "clean_items", refused=refused, rows_in=rows, limit=0.2)


def test_an_account_is_written_once_a_step(night: Night) -> None:
    for kept in (1, 2):
        close(night, "clean_items", Account(rows_in=kept + 6, kept=kept, refused=1, duplicates=2, superseded=3))
    (row,) = night.lake.read(Ledger).to_pylist()
    assert (row["rows_in"], row["kept"], row["refused"], row["duplicates"], row["superseded"]) == (8, 2, 1, 2, 3)


def test_an_account_that_does_not_add_up_fails_the_night(night: Night) -> None:
    with pytest.raises(NightError, match="10 rows in, 9 accounted for"):
        close(night, "clean_items", Account(rows_in=10, kept=9))
    assert len(night.lake.read(Ledger)) == 0
