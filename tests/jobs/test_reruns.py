"""A night that is run again under less data than it had: what RAW lost by accident is not lost in the lake."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import clean
from jobs.runtime.agreement import begin
from jobs.runtime.completeness import LAST_STEP
from jobs.runtime.ledger import Account, close
from jobs.runtime.night import Night, NightError
from lake import staging
from lake.lake import Lake
from lake.rows import Engine
from schemas.config import Config, Landing
from schemas.tables import TABLES, Interactions, Items, Ledger
from tests.jobs.nights import a_night, contents

DAY = "2026-11-01"


def land(raw: Path, *, items: str = "abcd", users: str = "uvwx") -> None:
    shutil.rmtree(raw, ignore_errors=True)
    lines = {
        "items": [f'{{"item_id": "{item}"}}' for item in items],
        "interactions": [f'{{"user_id": "{u}", "item_id": "a", "timestamp": "{DAY}", "event": "like"}}' for u in users],
    }
    raw.mkdir()
    for kind, records in lines.items():
        if records:
            (raw / kind / f"ds={DAY}").mkdir(parents=True)
            (raw / kind / f"ds={DAY}" / "part.jsonl").write_text("\n".join(records))


@pytest.fixture(scope="module")
def cleaned(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with RAW and the lake of a complete night of four items and four events."""
    folder = tmp_path_factory.mktemp("complete")
    land(folder / "raw")
    night = a_night(DAY, folder / "raw", Lake(str(folder / "lake")))
    clean.clean_items(engine, night)
    clean.clean_interactions(engine, night)
    begin(night)
    close(night, LAST_STEP, Account(rows_in=4, kept=4))
    return folder


@pytest.fixture
def complete(cleaned: Path, tmp_path: Path) -> Night:
    """That night in a copy."""
    shutil.copytree(cleaned, tmp_path, dirs_exist_ok=True)
    return a_night(DAY, tmp_path / "raw", Lake(str(tmp_path / "lake")))


def state(lake: Lake) -> dict[str, object]:
    """Rows and versions of every table, and what the run's first step recorded."""
    recorded = (Path(lake.uri.removeprefix("file://")) / "runs" / f"{DAY}.json").stat().st_mtime_ns
    return {**contents(lake), "versions": {n: lake.version(t) for n, t in TABLES.items()}, "recorded": recorded}


NOTHING = {"items": "", "users": ""}


@pytest.mark.parametrize(
    ("less", "publish", "without_data", "why"),
    [
        (NOTHING, True, False, "has not arrived"),
        (NOTHING, True, True, "would remove 4 of the 4 items"),
        (NOTHING, False, True, "would remove 4 of the 4 items"),
        ({"users": ""}, True, False, "would remove 4 of the 4 interactions"),
        ({"items": "d"}, True, False, "would remove 3 of the 4 items"),
        ({"items": "ABCD"}, True, False, "would remove 4 of the 4 items"),  # as many, but none of them
    ],
)
def test_a_rerun_that_would_remove_most_of_the_night_changes_nothing(
    complete: Night, tmp_path: Path, less: dict[str, str], publish: bool, without_data: bool, why: str
) -> None:
    land(tmp_path / "raw", **less)
    before = state(complete.lake)
    with pytest.raises(NightError, match=why):
        clean.run(complete, publish=publish, without_data=without_data)
    assert state(complete.lake) == before
    assert complete.lake.count(Ledger, {"date": DAY, "step": LAST_STEP}), "it is complete, as it was"


def test_who_says_so_may_remove_most_of_a_night(complete: Night, tmp_path: Path) -> None:
    land(tmp_path / "raw", items="dX", users="")
    clean.run(complete, allow_shrinking=True)
    assert sorted(complete.lake.read(Items)["item_id"].to_pylist()) == ["X", "d"]
    assert not len(complete.lake.read(Interactions))


def test_a_rerun_that_removes_less_or_adds_goes_on(complete: Night, tmp_path: Path) -> None:
    land(tmp_path / "raw", items="cdXYZ", users="vwxyz")
    clean.run(complete)
    assert sorted(complete.lake.read(Items)["item_id"].to_pylist()) == ["X", "Y", "Z", "c", "d"]
    assert sorted(complete.lake.read(Interactions)["user_id"].to_pylist()) == ["v", "w", "x", "y", "z"]


def test_a_rerun_is_held_against_what_is_published_and_not_against_what_it_staged(
    complete: Night, tmp_path: Path
) -> None:
    staged = replace(complete, lake=staging.as_of(complete.lake, DAY))
    staged.lake.replace(Items, [], {"date": DAY})
    land(tmp_path / "raw", items="")
    with pytest.raises(NightError, match="would remove 4 of the 4 items"):
        clean.run(staged)


def test_the_share_is_a_setting(complete: Night, tmp_path: Path) -> None:
    land(tmp_path / "raw", items="")
    clean.run(replace(complete, config=Config(landing=Landing(max_removed_share=1))))
    assert not len(complete.lake.read(Items))
