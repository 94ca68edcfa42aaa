"""Which nights count as complete while they are made anew, and after that failed."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from unittest import mock

import pytest

from jobs import clean
from jobs.landing.raw import Raw
from jobs.runtime.completeness import LAST_STEP, check_complete, incomplete, reopen_night
from jobs.runtime.ledger import Account, close
from jobs.runtime.night import Night, NightError
from lake import publication, staging
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Items, Ledger
from tests.faults.boundaries import Killed, kill

LATER = date(2026, 11, 2)


@pytest.fixture
def first(tmp_path: Path, lake: Lake) -> Night:
    """The first of two nights, complete."""
    for day in ("2026-11-01", "2026-11-02"):
        folder = tmp_path / "raw" / "items" / f"ds={day}"
        folder.mkdir(parents=True)
        (folder / "items.jsonl").write_text('{"item_id": "a"}\n')
    night = Night(date(2026, 11, 1), Raw(str(tmp_path / "raw")), lake, Config())
    close(night, LAST_STEP, Account(rows_in=3, kept=3))
    return night


def test_a_night_that_was_reopened_is_incomplete_until_it_ends_again(first: Night) -> None:
    later = replace(first, date=LATER)
    assert incomplete(later) == []
    reopen_night(first.lake, first.ds)
    assert incomplete(later) == ["2026-11-01"]
    close(first, LAST_STEP, Account(rows_in=3, kept=3))
    assert incomplete(later) == []


def test_a_night_that_is_not_complete_is_left_alone(first: Night) -> None:
    before = first.lake.current(Ledger).version()
    reopen_night(first.lake, LATER.isoformat())
    assert first.lake.current(Ledger).version() == before and incomplete(replace(first, date=LATER)) == []


def test_a_change_whose_process_died_is_carried_out_before_a_night_trains(first: Night) -> None:
    """The account that the night is complete is in its table, and readers still see the night before it."""
    staged = replace(first, lake=staging.as_of(first.lake, first.date))
    assert isinstance(staged.lake, staging.StagedNight)
    close(staged, LAST_STEP, Account(rows_in=5, kept=5))
    staged.lake.record_audit(passed=True)
    commit = publication._write
    with mock.patch.object(publication, "_write") as write, pytest.raises(Killed):
        write.side_effect = lambda *given: commit(*given) if write.call_count == 1 else kill("the last commit")
        publication.publish(first.lake, first.ds, actor="test")
    assert publication.pins(first.lake)
    check_complete(replace(first, date=LATER))
    assert not publication.pins(first.lake) and staging.nights(first.lake) == []


@pytest.mark.night
@pytest.mark.parametrize("publish", [True, False])
def test_later_nights_do_not_train_beside_a_rerun_that_is_to_be_published(
    first: Night, monkeypatch: pytest.MonkeyPatch, publish: bool
) -> None:
    """The rerun fails half-way. Readers, and a run that is not to be published, leave the night what it was."""

    def fail(*_: object) -> None:
        raise NightError("interactions cannot be read")

    monkeypatch.setattr(clean, "clean_interactions", fail)
    staged = replace(first, lake=staging.as_of(first.lake, first.date))
    with pytest.raises(NightError, match="cannot be read"):
        clean.run(staged, publish=publish)
    assert staged.lake.read(Items)["item_id"].to_pylist() == ["a"] and not len(first.lake.read(Items))
    if publish:
        with pytest.raises(NightError, match=r"not complete: 2026-11-01.*nightweave discard"):
            check_complete(replace(first, date=LATER))
        staging.discard(first.lake, first.ds)
    check_complete(replace(first, date=LATER))
