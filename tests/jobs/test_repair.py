"""`nightweave repair` says what was damaged, a line each, and which nights to run again; later ones wait for those."""

import shutil
from pathlib import Path

import pytest

from jobs.repair import repair_lake
from jobs.runtime.completeness import incomplete
from jobs.verify import findings
from lake.lake import Lake
from schemas.features import FeaturesText
from schemas.tables import Interactions, Items, Ledger, Recommendations, SimilarItems
from tests.compatibility.test_old_lake import LAST, NEXT, unpacked
from tests.faults.test_damage import FIRST, first_file, folder, last_commit
from tests.jobs.nights import a_night
from tests.jobs.test_cli import nightweave
from tests.lake.test_damage import cut


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two complete nights and RAW of a third."""
    return unpacked(tmp_path)


@pytest.fixture
def lake(place: Path) -> Lake:
    return Lake(str(place / "lake"))


def test_a_whole_lake_is_left_as_it_is(lake: Lake) -> None:
    assert list(repair_lake(lake)) == ["nothing is damaged"]
    assert not (folder(lake, Items).parent / "aside").exists()


def test_a_night_that_lost_what_later_ones_look_back_on_is_incomplete(lake: Lake, place: Path) -> None:
    night = a_night(NEXT, place / "raw", lake)
    assert incomplete(night) == []
    first_file(lake, Items).unlink()
    *_, last = repair_lake(lake)
    assert last == f"run again, the oldest first: {FIRST}"
    assert incomplete(night) == [FIRST]


def test_shelves_that_were_lost_hold_up_no_later_night(lake: Lake, place: Path) -> None:
    first_file(lake, SimilarItems).unlink()
    *_, last = repair_lake(lake)
    assert last == f"run again, the oldest first: {FIRST}"
    assert incomplete(a_night(NEXT, place / "raw", lake)) == []


def test_a_log_goes_back_and_the_nights_after_are_to_be_made_again(lake: Lake, place: Path) -> None:
    cut(last_commit(lake, Interactions))
    first, last = repair_lake(lake)
    assert first.startswith("interactions: _delta_log/") and " back at version " in first
    assert last.startswith("run again, the oldest first: ")
    assert incomplete(a_night(NEXT, place / "raw", lake)) == last.removeprefix("run again, the oldest first: ").split(
        ", "
    )


def test_lost_accounts_and_lost_features(lake: Lake) -> None:
    shutil.rmtree(folder(lake, Ledger) / f"date={LAST}" / "step=recommend")
    lost = first_file(lake, FeaturesText)
    lost.unlink()
    said = list(repair_lake(lake))
    assert [line.partition(": ")[0] for line in said] == ["ledger", "features_text", "run again, the oldest first"]
    assert said[1].endswith("the next night extracts what it held") and said[2].endswith(LAST)


def test_everything_damaged_at_once_is_brought_back_by_one_command(lake: Lake) -> None:
    """What damage is about is told by `verify` before, and none is left after."""
    cut(last_commit(lake, Recommendations))
    cut(first_file(lake, Items))
    before = nightweave("verify", "--lake", lake.uri)
    assert before.returncode == 1
    assert f"fail: items/date={FIRST}: every file is there and whole" in before.stdout
    assert "fail: recommendations: every file is there and whole" in before.stdout
    for command in (["query", "SELECT * FROM recommendations"], ["report", "--date", LAST]):
        told = nightweave(*command, "--lake", lake.uri)
        assert told.returncode == 1 and len(told.stderr.strip().splitlines()) == 1
        assert told.stderr.startswith("nightweave: recommendations: _delta_log/") and "nightweave repair" in told.stderr
    repaired = nightweave("repair", "--lake", lake.uri)
    assert repaired.returncode == 0 and len(repaired.stdout.splitlines()) == 3
    assert nightweave("query", "SELECT count(*) FROM recommendations", "--lake", lake.uri).returncode == 0
    assert not [finding for finding in findings(lake)[1] if finding.promise == "every file is there and whole"]
