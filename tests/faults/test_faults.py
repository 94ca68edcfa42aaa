"""A night whose processes are killed at random moments, and that the harness would notice what is lost."""

import itertools
from pathlib import Path

import pytest

from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.faults import kills
from tests.faults.night import STEPS
from tests.faults.outcome import Outcome, table
from tests.faults.reader import read
from tests.faults.rows import differences, digest, rows_of
from tests.faults.world import undisturbed
from tests.lake.test_lake import NIGHT, embeddings

PARTITION = f"user_embeddings/date={NIGHT}"


@pytest.mark.night
@pytest.mark.at_length
@pytest.mark.timeout(1800)
def test_a_night_whose_processes_are_killed_is_as_if_none_was(tmp_path: Path) -> None:
    """Steps that write most of what readers see; `python -m tests.faults` kills all of them, again and again, and
    `test_boundaries.py` steps of a small night wherever they write."""
    world = undisturbed(tmp_path / "world", seed=7)
    outcomes = list(kills.killed_night(world, itertools.cycle(kills.KILLS), (STEPS[0], *STEPS[1::2])))
    assert len(outcomes) >= 4
    assert not [outcome for outcome in outcomes if outcome.lost]


def test_a_reader_complains_of_what_is_neither_old_nor_new(lake: Lake) -> None:
    old = rows_of(lake)
    lake.write(UserEmbeddings, embeddings("a", "b"), {"date": NIGHT})
    new = rows_of(lake)
    allowed = {PARTITION: [None, digest(new[PARTITION])]}
    assert not old and list(read(lake, allowed, {})) == []
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    assert list(read(lake, allowed, {})) == [f"{PARTITION}: 1 rows, neither the old nor the new"]


def test_a_reader_complains_of_a_partition_that_is_gone_or_unknown(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    assert list(read(lake, {}, {})) == [f"{PARTITION}: 1 rows, neither the old nor the new"]
    known = {PARTITION: [digest(rows_of(lake)[PARTITION])]}
    lake.write(UserEmbeddings, embeddings(), {"date": NIGHT})
    assert list(read(lake, known, {})) == [f"{PARTITION}: 0 rows, neither the old nor the new"]


def test_a_reader_complains_of_what_it_cannot_read(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    known = {PARTITION: [digest(rows_of(lake)[PARTITION])]}
    for path in Path(lake.uri.removeprefix("file://")).rglob("*.parquet"):
        path.unlink()
    assert any("cannot be read" in complaint for complaint in read(lake, known, {}))


def test_differences_name_the_partition() -> None:
    assert differences({"t/date=1": ("a", "b"), "t/date=2": ("c",)}, {"t/date=1": ("b", "d"), "t/date=2": ("c",)}) == (
        "t/date=1: 1 rows absent, 1 rows of its own",
    )
    assert differences({"t/date=1": ("a", "a")}, {"t/date=1": ("a",)})


def test_the_table_counts_what_was_lost() -> None:
    said = table(
        [Outcome("kill", "at 1"), Outcome("kill", "at 2", ("rows",)), Outcome("disk", "at 3")], {"x": "no root"}
    )
    assert [line.split() for line in said.splitlines()[1:]] == [
        ["kill", "2", "1", "1"],
        ["disk", "1", "1", "0"],
        ["x", "skipped:", "no", "root"],
    ]
