"""Boundaries of writes are found and are what they say, and a small lake outlives a kill at some of them; at all of
them: `python -m tests.faults.every_boundary`."""

from pathlib import Path

import pytest

from lake import files
from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.faults import foreign
from tests.faults.boundaries import Killed, watching
from tests.faults.lives import ALL, STEP, Lives, drawn
from tests.lake.test_lake import NIGHT, embeddings

DAY = {"date": NIGHT}


def folder(lake: Lake) -> Path:
    return Path(lake.uri.removeprefix("file://"))


def test_every_change_of_a_file_has_its_boundaries(lake: Lake) -> None:
    folder(lake).mkdir()
    with watching(folder(lake)) as here:
        files.write_json(lake, "runs/one.json", {"a": 1})
        lake.write(UserEmbeddings, embeddings("a"), DAY)
    partition = f"user_embeddings/date={NIGHT}"
    assert here.reached == [
        "folder runs",
        "write runs/one.json.*.partial",
        "half of runs/one.json.*.partial",
        "rename runs/one.json.*.partial",
        "folder user_embeddings",
        f"folder {partition}",
        f"write {partition}/part-*.parquet",
        f"half of {partition}/part-*.parquet",
        "create user_embeddings",
        "half of create user_embeddings",
        "commit to user_embeddings",
        "half of commit to user_embeddings",
    ]
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["a"]


@pytest.mark.parametrize(("at", "rows"), [(1, ["a"]), (2, ["a"]), (3, ["a"]), (4, ["a"]), (5, ["a", "b"])])
def test_at_a_boundary_the_process_writes_nothing_more(lake: Lake, at: int, rows: list[str]) -> None:
    """The write of a partition that there is: before its file, in the middle of it, before its commit, in the middle of
    that; there is no fifth."""
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    before = set(folder(lake).rglob("*"))
    with watching(folder(lake), at=at) as here:
        try:
            lake.write(UserEmbeddings, embeddings("a", "b"), DAY)
        except Killed:
            with pytest.raises(Killed):
                files.write_json(lake, "late.json", {})
    assert here.dead == (at < 5)
    made = {path.name.partition("-")[0]: path for path in set(folder(lake).rglob("*")) - before}
    assert ("00000000000000000002.json#1" in made) == (at == 4)
    assert "late.json" not in made
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == rows


def test_another_reader_that_has_other_rows_is_noticed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.write(UserEmbeddings, embeddings("a", "b"), DAY)
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    assert foreign.differences(lake) == []
    read = Lake.read
    monkeypatch.setattr(Lake, "read", lambda *given: read(*given).slice(1))
    said = foreign.differences(lake)
    assert [line.split(";")[0] for line in said] == [
        "user_embeddings by Polars: 1 rows for 0",
        "user_embeddings by the log replayed: 1 rows for 0",
    ]


@pytest.mark.slow
def test_a_first_step_that_is_killed_is_as_if_it_was_not(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    lives.live_undisturbed(1)
    kills = drawn(lives.kills((STEP,)), 2, seed=7)
    assert len(kills) == 2 and not lives.kills((ALL,))
    assert [outcome for kill in kills if (outcome := lives.disturbed(kill)).lost] == []
