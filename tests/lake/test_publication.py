"""Readers see a night whole: what they saw before it was published, or all of it, whatever dies in between."""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from lake import publication, staging, vacuum, views
from lake.lake import Lake
from lake.publication import PublicationError
from lake.staging import StagedNight
from schemas.table import Table
from schemas.tables import TABLES, ItemEmbeddings, Items, Ledger, Published, Recommendations, SimilarItems
from tests.faults import boundaries
from tests.faults.boundaries import watching
from tests.test_schemas import ON_SHELF, a_row

FIRST, SECOND = "2026-11-01", "2026-11-02"
SEEN = {
    "recommendations": "SELECT DISTINCT model_version FROM recommendations WHERE date = DATE '{}'",
    "item_embeddings": "SELECT DISTINCT model_version FROM item_embeddings WHERE date = DATE '{}'",
    "similar_items": "SELECT DISTINCT 'model-' || CAST(CAST(score AS INT) AS VARCHAR) FROM similar_items "
    "WHERE date = DATE '{}'",
}


def write(lake: Lake, table: type[Table], night: str, **values: object) -> None:
    row = a_row(table, {"date": dt.date.fromisoformat(night), **values})
    partition = {column: str(row[column]) for column in table.partition_by}
    lake.write(table, pa.Table.from_pylist([row], schema=table.schema), partition)


def make(lake: Lake, night: str, number: int) -> StagedNight:
    """What a run stages; its rows say by which run they were made."""
    staged = staging.as_of(lake, night)
    staged.begin(publish=True)
    write(staged, Items, night, item_id="a")
    write(staged, ItemEmbeddings, night, item_id="a", model_version=f"model-{number}")
    write(staged, Recommendations, night, **ON_SHELF | {"model_version": f"model-{number}"})
    write(staged, SimilarItems, night, score=float(number))
    write(staged, Ledger, night, step="recommend")
    staged.record_audit(passed=True)
    return staged


def publish(lake: Lake, night: str, number: int) -> publication.Publication:
    make(lake, night, number)
    return publication.publish(lake, night, actor="test")


def seen(lake: Lake, night: str) -> dict[str, list[str]]:
    """By which run the rows of a night are that a reader sees, in each table."""
    with views.reading(lake) as connection:
        return {name: [row[0] for row in connection.sql(sql.format(night)).fetchall()] for name, sql in SEEN.items()}


def whole(*models: str) -> dict[str, list[str]]:
    return {name: list(models) for name in SEEN}


def test_readers_see_nothing_of_what_is_staged_and_its_steps_see_all(lake: Lake) -> None:
    staged = make(lake, FIRST, 1)
    assert seen(lake, FIRST) == whole()
    assert seen(staged, FIRST) == whole("model-1")
    assert staged.count(Recommendations, {"date": FIRST}) == 1 and lake.count(Recommendations, {"date": FIRST}) == 0
    assert staging.to_be_published(lake) == [FIRST]


def test_a_published_night_is_seen_whole_and_is_no_longer_staged(lake: Lake) -> None:
    done = publish(lake, FIRST, 1)
    assert seen(lake, FIRST) == whole("model-1")
    assert staging.nights(lake) == []
    assert (done.number, done.audited, done.model_version, done.reason) == (1, True, "model-1", None)
    assert done.versions == {table.name: lake.version(table) for table in (Items, Ledger, ItemEmbeddings)} | {
        table.name: lake.version(table) for table in (Recommendations, SimilarItems)
    }


def test_a_rerun_stands_beside_what_is_published_until_it_is(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    staged = make(lake, FIRST, 2)
    assert seen(lake, FIRST) == whole("model-1") and seen(staged, FIRST) == whole("model-2")
    publication.publish(lake, FIRST, actor="test")
    assert seen(lake, FIRST) == whole("model-2")
    assert len(lake.files(Recommendations)) == 1, "one file in the place of the other"


def test_a_step_alone_is_made_again(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    staged = staging.as_of(lake, FIRST)
    write(staged, SimilarItems, FIRST, score=2.0)
    staged.record_audit(passed=True)
    publication.publish(lake, FIRST, actor="test")
    assert seen(lake, FIRST) == whole("model-1") | {"similar_items": ["model-2"]}


def test_a_partition_may_become_empty(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    staged = staging.as_of(lake, FIRST)
    staged.replace(SimilarItems, [], {"date": FIRST})
    assert seen(staged, FIRST)["similar_items"] == []
    staged.record_audit(passed=True)
    publication.publish(lake, FIRST, actor="test")
    assert lake.count(SimilarItems, {"date": FIRST}) == 0 and seen(lake, FIRST)["similar_items"] == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda staged: staged.record_audit(passed=False), "failed its audit"),
        (lambda staged: write(staged, SimilarItems, FIRST, score=9.0), "was not audited"),
    ],
)
def test_what_was_not_found_good_is_published_only_for_a_reason(
    lake: Lake, spoil: Callable[[StagedNight], None], why: str
) -> None:
    spoil(make(lake, FIRST, 1))
    with pytest.raises(PublicationError, match=why):
        publication.publish(lake, FIRST, actor="test")
    assert seen(lake, FIRST) == whole()
    done = publication.publish(lake, FIRST, actor="ada", reason="the breach is known")
    assert (done.audited, done.actor, done.reason) == (False, "ada", "the breach is known")


def test_a_night_is_rolled_back_to_what_it_replaced_and_published_again(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    publish(lake, FIRST, 2)
    done = publication.rollback(lake, FIRST, actor="ada", reason="odd shelves")
    assert seen(lake, FIRST) == whole("model-1") and done.model_version == "model-1"
    again = publication.publish(lake, FIRST, actor="ada")
    assert seen(lake, FIRST) == whole("model-2") and again.model_version == "model-2"
    publication.rollback(lake, FIRST, actor="ada", reason="still odd")
    publication.rollback(lake, FIRST, actor="ada", reason="and before")
    assert seen(lake, FIRST) == whole() and lake.count(Ledger, {"date": FIRST}) == 0
    with pytest.raises(PublicationError, match="nothing to take back"):
        publication.rollback(lake, FIRST, actor="ada", reason="further")
    assert [row.action for row in publication.history(lake)].count("rollback") == 3


def test_what_was_overruled_is_overruled_again_when_it_comes_back(lake: Lake) -> None:
    make(lake, FIRST, 1).record_audit(passed=False)
    publication.publish(lake, FIRST, actor="ada", reason="the breach is known")
    publication.rollback(lake, FIRST, actor="ada", reason="odd shelves")
    with pytest.raises(PublicationError, match="failed its audit"):
        publication.publish(lake, FIRST, actor="ada")
    again = publication.publish(lake, FIRST, actor="ada", reason="still known")
    assert seen(lake, FIRST) == whole("model-1") and not again.audited


def test_another_night_stays_as_it_is(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    publish(lake, SECOND, 2)
    publication.rollback(lake, SECOND, actor="ada", reason="odd")
    assert seen(lake, FIRST) == whole("model-1") and seen(lake, SECOND) == whole()


def test_files_that_are_gone_are_said_before_anything_changes(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    (old,) = lake.files(Recommendations)["path"].to_pylist()
    publish(lake, FIRST, 2)
    (Path(lake.table_uri(Recommendations).removeprefix("file://")) / old).unlink()
    with pytest.raises(PublicationError, match=f"cannot be rolled back.*{old}"):
        publication.rollback(lake, FIRST, actor="ada", reason="odd")
    assert seen(lake, FIRST) == whole("model-2")


def test_nothing_to_publish_is_said(lake: Lake) -> None:
    with pytest.raises(PublicationError, match="nothing of the night 2026-11-01 is staged or was rolled back"):
        publication.publish(lake, FIRST, actor="test")


def test_maintenance_keeps_what_is_staged(lake: Lake) -> None:
    staged = make(lake, FIRST, 1)
    (file,) = staged.files(Recommendations)["path"].to_pylist()
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
    assert vacuum.unneeded(lake, Recommendations, before=later) == []
    staging.discard(lake, FIRST)
    (found,) = vacuum.unneeded(lake, Recommendations, before=later)
    assert found.path.endswith(file) and found.kind == "orphan"


class Killed(BaseException):
    """The process ends here; nothing of it runs any more."""


COMMITS = 7
"""`published`, five tables, `published`."""


@pytest.mark.parametrize("step", range(1, COMMITS + 2))
def test_killed_before_any_commit_a_night_is_still_seen_whole(
    lake: Lake, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, FIRST, 1)
    make(lake, FIRST, 2)
    commit, numbers = DeltaTable.create_write_transaction, count(1)

    def until_killed(*arguments: Any, **named: Any) -> None:
        if next(numbers) == step:
            raise Killed
        commit(*arguments, **named)

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(DeltaTable, "create_write_transaction", until_killed)
        publication.publish(lake, FIRST, actor="test")
    done = step > COMMITS
    assert seen(lake, FIRST) == whole("model-2" if done else "model-1")
    assert bool(publication.pins(lake)) == (1 < step <= COMMITS)
    if step == 1:  # it has not begun
        return
    publish(lake, SECOND, 3)
    assert seen(lake, FIRST) == whole("model-2") and seen(lake, SECOND) == whole("model-3")
    assert [row.number for row in publication.history(lake)] == [1, 2, 3]
    assert staging.nights(lake) == []


@pytest.mark.parametrize("step", (5, COMMITS))
def test_a_night_that_is_withdrawn_is_seen_whole_or_not_at_all_and_is_not_shown_again(
    lake: Lake, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, FIRST, 1)
    made = make(lake, SECOND, 2)
    partitions = [part for part in staging.parts(made, SECOND) if part.table != Items.name]
    publication.publish(lake, SECOND, actor="test")
    commit, numbers = DeltaTable.create_write_transaction, count(1)

    def until_killed(*arguments: Any, **named: Any) -> None:
        if next(numbers) == step:
            raise Killed
        commit(*arguments, **named)

    nothing = [replace(part, files=()) for part in partitions]
    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(DeltaTable, "create_write_transaction", until_killed)
        publication.withdraw(lake, SECOND, nothing, actor="test", reason="why")
    assert seen(lake, SECOND) == whole(*(["model-2"] if step < COMMITS else []))
    publication.carry_out_unfinished(lake)
    assert seen(lake, SECOND) == whole() and seen(lake, FIRST) == whole("model-1")
    assert lake.count(Items, {"date": SECOND}) == 1
    for show in (publication.publish, partial(publication.rollback, reason="why")):
        with pytest.raises(PublicationError, match=f"the night {SECOND} "):
            show(lake, SECOND, actor="test")
    publication.amend(lake, lambda row: replace(row, reason=row.reason and row.reason.upper()))
    *_, last = publication.history(lake)
    assert (last.action, last.reason, last.replaced, last.versions) == ("withdraw", "WHY", (), versions(lake))
    version = lake.version(Published)
    publication.amend(lake, lambda row: row)
    assert lake.version(Published) == version
    publish(lake, SECOND, 3)
    assert seen(lake, SECOND) == whole("model-3")


def versions(lake: Lake) -> dict[str, int]:
    """The version of every table that there is, but for `published`."""
    found = {name: lake.delta(table) for name, table in TABLES.items() if table is not Published}
    return {name: delta.version() for name, delta in found.items() if delta is not None}


def test_killed_as_it_discards_what_it_has_published_a_night_is_staged_no_more(lake: Lake) -> None:
    """The files of what is staged go one after the other: the process ends before the first, the third, the last."""
    publish(lake, FIRST, 1)
    make(lake, FIRST, 2)
    folder = Path(lake.uri.removeprefix("file://"))
    with watching(folder) as undisturbed:
        publication.publish(lake, FIRST, actor="test")
    deletions = [number for number, name in enumerate(undisturbed.reached, 1) if name.startswith("delete ")]
    assert len(deletions) >= 7
    for run, number in enumerate((deletions[0], deletions[2], deletions[-1]), 3):
        make(lake, FIRST, run)
        with watching(folder, at=number), pytest.raises(boundaries.Killed):
            publication.publish(lake, FIRST, actor="test")
        assert seen(lake, FIRST) == whole(f"model-{run - 1}")
        publication.publish(lake, FIRST, actor="test")
        assert seen(lake, FIRST) == whole(f"model-{run}") and staging.nights(lake) == []


def test_a_rollback_that_was_killed_is_tried_again_and_goes_back_once(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    publish(lake, FIRST, 2)
    with watching(Path(lake.uri.removeprefix("file://")), at=6) as here, pytest.raises(boundaries.Killed):
        publication.rollback(lake, FIRST, actor="ada", reason="odd shelves")
    assert publication.pins(lake) and seen(lake, FIRST) == whole("model-2"), here.reached
    done = publication.rollback(lake, FIRST, actor="ada", reason="odd shelves")
    assert seen(lake, FIRST) == whole("model-1") and done.number == 3
    publication.rollback(lake, FIRST, actor="ada", reason="odd shelves")
    assert seen(lake, FIRST) == whole(), "one that was done is not the same one"


def test_half_of_what_is_discarded_is_not_published(lake: Lake) -> None:
    folder = Path(lake.uri.removeprefix("file://"))
    make(lake, FIRST, 1)
    with watching(folder) as undisturbed:
        staging.discard(lake, FIRST)
    for number in range(2, len(undisturbed.reached)):
        make(lake, FIRST, 1)
        with watching(folder, at=number), pytest.raises(boundaries.Killed):
            staging.discard(lake, FIRST)
        with pytest.raises(PublicationError):
            publication.publish(lake, FIRST, actor="test")
        staging.discard(lake, FIRST)
        assert staging.nights(lake) == []


def test_two_nights_publish_at_once(lake: Lake) -> None:
    for number, night in enumerate((FIRST, SECOND), 1):
        make(lake, night, number)
    context = get_context("spawn")
    processes = [
        context.Process(target=publication.publish, args=(lake, n), kwargs={"actor": n}) for n in (FIRST, SECOND)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert seen(lake, FIRST) == whole("model-1") and seen(lake, SECOND) == whole("model-2")
    rows = lake.read(Published)
    assert sorted(rows["number"].to_pylist()) == [1, 2] and not rows["versions"].null_count


def test_versions_of_a_change_are_the_night_as_other_engines_read_it(lake: Lake) -> None:
    publish(lake, FIRST, 1)
    publish(lake, SECOND, 2)
    first, second = publication.history(lake)
    assert first.versions is not None and second.versions is not None
    then = Lake(lake.uri, versions=first.versions).read(Recommendations)
    assert then["model_version"].to_pylist() == ["model-1"]
    now = Lake(lake.uri, versions=second.versions).read(Recommendations, where=pc.field("date") > dt.date(2026, 11, 1))
    assert now["model_version"].to_pylist() == ["model-2"]
