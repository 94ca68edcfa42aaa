"""Maintenance removes what nobody needs, and only that."""

import datetime as dt
import os
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.maintenance import maintain
from jobs.modelling.artifacts import Identity
from jobs.modelling.retention import Unused, remove
from lake import publication, staging
from lake.files import local, write_json
from lake.lake import Lake
from schemas.config import Maintenance
from schemas.tables import ItemEmbeddings, Models, Quarantine, UserEmbeddings
from tests.faults.boundaries import Killed, kill, watching
from tests.lake.test_lake import NIGHT, embeddings

NOW = dt.datetime.now(dt.UTC)
WEEK = Maintenance(retention_days=7)
DAY = {"date": str(NIGHT)}


def age(path: Path, days: float) -> Path:
    """Make a file or folder look as if it was written so many days before now."""
    moment = (NOW - dt.timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))
    return path


def files(lake: Lake) -> set[Path]:
    _, root = lake.filesystem(UserEmbeddings)
    return set(Path(root).rglob("part-*.parquet"))


def staged(lake: Lake, user: str) -> Path:
    _, root = lake.filesystem(UserEmbeddings)
    file = lake.stage(UserEmbeddings, embeddings(user).to_batches(), DAY)
    assert file
    return Path(root, file.path)


@pytest.fixture
def lake(lake: Lake) -> Lake:
    """One that has been written to on many days."""
    for _ in range(10):
        lake.replace(Quarantine, [], DAY | {"stage": "clean_items"})
    work_every_day(lake, until=NOW)
    return lake


def work_every_day(lake: Lake, *, until: dt.datetime) -> None:
    """Make the commits of a table look as if one was made on each of the days until then."""
    _, root = lake.filesystem(Quarantine)
    for back, commit in enumerate(sorted(Path(root, "_delta_log").glob("*.json"), reverse=True)):
        age(commit, back - (until - NOW) / dt.timedelta(days=1))


def run(lake: Lake, *, days_from_now: float = 0, dry_run: bool = False) -> dict[tuple[str, str], int]:
    now = NOW + dt.timedelta(days=days_from_now)
    work_every_day(lake, until=now)
    return {(done.where, done.what): done.count for done in maintain(lake, WEEK, now=now, dry_run=dry_run)}


def test_an_old_file_that_no_commit_names_is_an_orphan(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    live = files(lake)
    orphan = age(staged(lake, "orphan"), 8)
    for path in live:
        age(path, 30)
    assert run(lake) == {("user_embeddings", "orphan files of failed writes"): 1}
    assert files(lake) == live and not orphan.exists()


@pytest.mark.parametrize("committed_since", [False, True])
def test_a_clock_that_jumps_ahead_makes_nothing_old(lake: Lake, committed_since: bool) -> None:
    """A running night has put a file down, and the machine's clock goes eight days ahead."""
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    file = lake.stage(UserEmbeddings, embeddings("b").to_batches(), DAY)
    assert file
    if committed_since:
        lake.replace(Quarantine, [], DAY | {"stage": "clean_items"})
        _, root = lake.filesystem(Quarantine)
        age(max(Path(root, "_delta_log").glob("*.json")), -8)
    assert list(maintain(lake, WEEK, now=NOW + dt.timedelta(days=8, minutes=1))) == []
    lake.replace(UserEmbeddings, [file], DAY)
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["b"]


def test_half_a_file_is_an_orphan_too(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    torn = staged(lake, "torn")
    torn.write_bytes(torn.read_bytes()[:100])
    age(torn, 8)
    run(lake)
    assert not torn.exists()


def test_what_a_running_night_has_put_down_stays_and_can_be_committed(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    file = lake.stage(UserEmbeddings, embeddings("b").to_batches(), DAY)
    assert file
    _, root = lake.filesystem(UserEmbeddings)
    age(Path(root, file.path), 6.9)
    assert run(lake) == {}
    lake.replace(UserEmbeddings, [file], DAY)
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["b"]


def test_a_night_before_its_tables_first_commit_keeps_its_files(lake: Lake) -> None:
    young = staged(lake, "young")
    assert run(lake) == {} and young.exists()
    assert run(lake, days_from_now=8) == {("user_embeddings", "orphan files of failed writes"): 1}


def test_a_replaced_file_stays_for_readers_that_began_before(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("old"), DAY)
    (replaced,) = files(lake)
    age(replaced, 100)
    lake.write(UserEmbeddings, embeddings("new"), DAY)
    assert run(lake) == {} and replaced.exists(), "it was replaced just now, however old it is"
    assert run(lake, days_from_now=8) == {("user_embeddings", "replaced files"): 1}
    assert not replaced.exists()
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["new"]


def test_live_files_stay_however_old(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    assert run(lake, days_from_now=3650) == {}
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["a"]


def test_a_file_committed_after_the_folder_was_listed_is_live(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    slow = lake.stage(UserEmbeddings, embeddings("slow").to_batches(), DAY)
    assert slow
    _, root = lake.filesystem(UserEmbeddings)
    age(Path(root, slow.path), 8)
    listed = Lake.files

    def committed_first(self: Lake, table: type) -> pa.Table:
        if table is UserEmbeddings and slow.path not in listed(self, table)["path"].to_pylist():
            self.replace(UserEmbeddings, [slow], DAY)
        return listed(self, table)

    monkeypatch.setattr(Lake, "files", committed_first)
    run(lake)
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["slow"]


def test_other_files_in_a_tables_folder_are_not_ours(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    _, root = lake.filesystem(UserEmbeddings)
    notes = Path(root, "notes.txt")
    notes.write_text("by hand")
    age(notes, 100)
    log = set(Path(root, "_delta_log").iterdir())
    run(lake, days_from_now=100)
    assert notes.exists() and set(Path(root, "_delta_log").iterdir()) == log


def model(lake: Lake, name: str, *, days: float) -> Path:
    _, root = lake.filesystem(UserEmbeddings)
    folder = Path(root).parent / "artifacts" / name
    (folder / "served").mkdir(parents=True)
    (folder / "served" / "weights.npz").write_bytes(b"0" * 1000)
    (folder / "model.json").write_text("{}")
    for path in (*folder.rglob("*"), folder):
        age(path, days)
    return folder


def named(lake: Lake, path: str) -> None:
    row = {field.name: "x" for field in Models.schema} | {"date": NIGHT, "promoted": False, "path": path}
    row |= {"judged": True, "close": False, "weights_from": [("new_items", "y")], "calibration": []}
    lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), DAY)


def served(lake: Lake, version: str) -> None:
    row = {"date": NIGHT, "item_id": "i", "model_version": version, "vector": [1.0], "combination": "sum"}
    row |= {"blocks": [], "neighbour_blocks": [], "weights": [], "modalities": [], "is_new": False}
    lake.write(ItemEmbeddings, pa.Table.from_pylist([row], schema=ItemEmbeddings.schema), DAY)


def test_models_stay_while_a_night_names_them_or_was_served_by_them(lake: Lake) -> None:
    named(lake, "artifacts/in-models")
    served(lake, "in-embeddings")
    kept = [model(lake, "in-models", days=400), model(lake, "in-embeddings", days=400), model(lake, "young", days=6)]
    gone = [model(lake, "forgotten", days=8), model(lake, "killed.partial", days=8)]
    assert run(lake)["artifacts", "folders"] == 2
    assert all(folder.exists() for folder in kept) and not any(folder.exists() for folder in gone)


def test_killed_as_it_removes_a_model_it_leaves_none_that_seems_complete(lake: Lake) -> None:
    """A night that makes the same model again finds it there, or makes it."""
    folder = Path(lake.filesystem(UserEmbeddings)[1]).parent
    unused = [Unused("artifacts/unused", 1, is_folder=True)]
    written = {"model.json", "served/weights.npz", "served/strategy.json"}
    for number in range(1, len(written) + 1):
        for name in written:
            (folder / "artifacts" / "unused" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "artifacts" / "unused" / name).touch()
        with watching(folder, at=number + 1), pytest.raises(Killed):
            remove(lake, unused)
        left = {path.relative_to(folder / "artifacts" / "unused").as_posix() for path in folder.rglob("unused/**/*.*")}
        assert len(left) == len(written) - number and "model.json" not in left


def test_a_change_whose_process_died_is_carried_out_before_anything_is_removed(lake: Lake) -> None:
    """Until it is, readers see versions whose files no table has any more."""
    staged, record = staging.as_of(lake, NIGHT), publication._write
    for user in "ab":
        staged.write(UserEmbeddings, embeddings(user), DAY)
        staged.record_audit(passed=True)
        if user == "a":
            publication.publish(lake, str(NIGHT), actor="test")
    with mock.patch.object(publication, "_write") as write, pytest.raises(Killed):
        write.side_effect = lambda *given: record(*given) if write.call_count == 1 else kill("the last commit")
        publication.publish(lake, str(NIGHT), actor="test")
    assert publication.pins(lake)
    run(lake)
    assert not publication.pins(lake)
    assert lake.read(UserEmbeddings)["user_id"].to_pylist() == ["b"]


def test_a_model_with_the_weights_of_another_keeps_the_trained_one_and_its_choice(lake: Lake) -> None:
    """A rerun of the night finds both, and trains nothing anew."""
    named(lake, "artifacts/mixed")
    trained = Identity("x", "x", "x", "x", "x").path
    folder = model(lake, trained.removeprefix("artifacts/"), days=400)
    choice = laid(lake, "choices/c.json", {"model": trained}, days=400)
    run(lake)
    assert folder.exists() and choice.exists()


def test_a_training_that_goes_on_keeps_its_checkpoints(lake: Lake) -> None:
    training = model(lake, "long.partial", days=30)
    age(training / "served" / "weights.npz", 0.1)
    run(lake)
    assert training.exists()


def test_scratch_of_killed_steps_goes_with_age(lake: Lake) -> None:
    _, root = lake.filesystem(UserEmbeddings)
    old, young = (Path(root).parent / "scratch" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "0.parquet").write_bytes(b"0")
    for path in (old / "0.parquet", old):
        age(path, 8)
    assert run(lake)["scratch", "folders"] == 1
    assert not old.exists() and young.exists()


def laid(lake: Lake, path: str, value: object, *, days: float) -> Path:
    """A JSON file of the lake that was written so many days before now."""
    write_json(lake, path, value)
    file = local(lake, path)
    assert file
    return age(file, days)


def test_choices_stay_while_the_model_that_they_led_to_does(lake: Lake) -> None:
    named(lake, "artifacts/named")
    served(lake, "serving")
    kept = [laid(lake, f"choices/{n}.json", {"model": f"artifacts/{n}"}, days=400) for n in ("named", "serving")]
    kept += [laid(lake, "choices/young.json", {"model": "artifacts/none"}, days=6)]
    gone = [
        laid(lake, f"choices/{n}.json", told, days=8)
        for n, told in {"old": {"model": "artifacts/x"}, "mute": {}}.items()
    ]
    torn = laid(lake, "choices/old.json.0.partial", {}, days=8)
    checkpoints = laid(lake, "choices/killed.json.partial/decision/0.json", {}, days=8).parent
    age(checkpoints, 8), age(checkpoints.parent, 8)
    found = run(lake)
    assert (found["choices", "files"], found["choices", "folders"]) == (3, 1)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in (*gone, torn, checkpoints.parent))


def test_what_searches_found_stays_for_choices_that_rest_on_it_and_for_later_nights(lake: Lake) -> None:
    named(lake, "artifacts/named")
    searches = {
        day: laid(lake, f"tuned/decision-1/2026-10-0{day}.json", {"parameters": {}}, days=40) for day in (1, 2, 3, 4)
    }
    other = laid(lake, "tuned/weighted-2/2026-09-01.json", {"parameters": {}}, days=60)
    rests_on = {"model": "artifacts/named", "found_in": ["tuned/decision-1/2026-10-02.json"]}
    forgotten = {"model": "artifacts/gone", "found_in": ["tuned/decision-1/2026-10-01.json"]}
    young = {"model": "artifacts/none", "found_in": ["tuned/decision-1/2026-10-03.json"]}
    for name, told, days in (("a", rests_on, 40), ("b", forgotten, 40), ("c", young, 1)):
        laid(lake, f"choices/{name}.json", told, days=days)
    assert run(lake)["tuned", "files"] == 1
    assert not searches[1].exists()
    assert all(path.exists() for path in (searches[2], searches[3], searches[4], other))


def test_a_dry_run_says_the_same_and_changes_nothing(lake: Lake) -> None:
    parts = [lake.stage(UserEmbeddings, embeddings(user).to_batches(), DAY) for user in "ab"]
    lake.replace(UserEmbeddings, [part for part in parts if part], DAY)
    orphan = age(staged(lake, "orphan"), 8)
    folder = model(lake, "forgotten", days=8)
    would = run(lake, dry_run=True)
    assert orphan.exists() and folder.exists() and lake.files(UserEmbeddings).num_rows == 2
    assert run(lake) == would
    assert would["user_embeddings", "small files"] == 2
    assert not orphan.exists() and not folder.exists() and lake.files(UserEmbeddings).num_rows == 1


def test_the_command(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    orphan = age(staged(lake, "orphan"), 8)
    told = CliRunner().invoke(app, ["maintenance", "--dry-run", "--lake", lake.uri])
    assert told.exit_code == 0 and "user_embeddings: 1 orphan files of failed writes to be removed" in told.output
    assert orphan.exists()
    assert CliRunner().invoke(app, ["maintenance", "--lake", lake.uri]).exit_code == 0
    assert not orphan.exists()
