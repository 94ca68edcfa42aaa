"""A user or an item is forgotten: the lake is as if it had never come, whatever is killed on the way."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import typer
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction
from typer.testing import CliRunner

from jobs import clean, evaluate, extract, forget, recommend, report, train
from jobs.cli import app, main
from jobs.landing.raw import LandingZoneError, Raw
from jobs.modelling import retention
from jobs.runtime.completeness import incomplete
from jobs.runtime.night import Night, UserError
from jobs.verify import findings
from lake import files, forgotten, publication, staging, storage, vacuum
from lake import lake as tables
from lake.forgotten import Subject
from lake.lake import Lake
from lake.publication import PublicationError
from lake.rows import Engine
from lake.search import search
from schemas.config import Clean
from schemas.features import FeaturesText
from schemas.table import MEDIA, Table
from schemas.tables import (
    Interactions,
    Ledger,
    Models,
    Published,
    Quarantine,
    Recommendations,
)
from tests.faults.rows import differences, rows_of
from tests.jobs.nights import a_night, prepare
from tests.jobs.test_cli import command_line
from tests.test_schemas import ON_SHELF, a_row

FIRST, SECOND = "2026-11-01", "2026-11-02"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ADA, LATE = Subject("user", "ada-lovelace"), Subject("item", "lamp-late")


@dataclass(frozen=True)
class Shop:
    """RAW of two nights, of which the second brings a user and an item, and lakes after each."""

    folder: Path

    def night(self, night: str, lake: Path, *, raw: Path | None = None, staged: bool = True) -> Night:
        place, config = raw or self.folder / "raw", str(self.folder / "night.yaml")
        return Night.of(date_=night, raw=str(place), lake=str(lake), config=config, staged=staged)

    def raw_without(self, subject: Subject, folder: Path) -> Path:
        """RAW as if the subject had never come."""
        shutil.copytree(self.folder / "raw", folder)
        for path in folder.rglob("*.jsonl"):
            path.write_text("".join(line for line in path.open() if subject.id not in line))
        return folder


def run(night: Night, *, reported: bool = False) -> Lake:
    """A night up to its publication, and its report if wanted."""
    clean.run(night)
    for medium in MEDIA:
        extract.run(night, modality=medium)
    train.run(night)
    evaluate.run(night)
    recommend.run(night)
    assert isinstance(night.lake, staging.StagedNight)
    night.lake.record_audit(passed=True)
    lake = Lake(night.lake.uri)
    publication.publish(lake, night.ds, actor="test")
    if reported:
        report.run(night)
    return lake


def land(raw: Path) -> None:
    def event(user: str, item: int, hour: int, **more: Any) -> dict[str, Any]:
        timestamp = f"2026-10-{1 + hour // 24:02}T{hour % 24:02}:00:00Z"
        return {"user_id": user, "item_id": f"lamp-{item % 12:03}", "event": "like", "timestamp": timestamp} | more

    items = [
        {"item_id": f"lamp-{n:03}", "title": f"lamp {n} of {('red', 'blue')[n % 2]} glass", "category": "ab"[n % 2]}
        | {"image_uris": ["media/shared.png"] if n == 3 else []}
        for n in range(12)
    ]
    late = {"item_id": LATE.id, "title": "a late lamp", "image_uris": ["media/shared.png", "media/late.png"]}
    users = [f"user-{n:03}" for n in range(14)]
    said = {"event": "review", "value": 4}
    rows = {
        f"items/ds={FIRST}": items,
        f"items/ds={SECOND}": [late, late | {"price": -1}, {"item_id": "lamp-013", "title": "the last lamp"}],
        f"interactions/ds={FIRST}": [
            event(u, 3 * n + 2 * k + n % 2, 30 * k + n) for n, u in enumerate(users) for k in range(5)
        ],
        f"interactions/ds={SECOND}": [
            *(event(u, 5 * n + 1, 300 + n) for n, u in enumerate(users)),
            *(event(ADA.id, n, 400 + n) for n in range(4)),
            event(ADA.id, 1, 410, **said, text="The Countess approves"),
            event(ADA.id, 2, 411, **said, text="Said by two"),
            event(users[3], 2, 412, **said, text="Said by two"),
            event(ADA.id, 1, 413, event="ponder"),
            event(users[4], 0, 414, item_id=LATE.id),
        ],
    }
    for place, records in rows.items():
        (raw / place).mkdir(parents=True)
        (raw / place / "part.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (raw / "media").mkdir()
    for name in ("shared", "late"):
        (raw / "media" / f"{name}.png").write_bytes(f"the picture {name}".encode())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    land(made.folder / "raw")
    encoders = {medium: {"name": f"tests.toys:{medium.capitalize()}Bytes", "batch_size": 8} for medium in MEDIA}
    # The first night has too few likes to learn from, and is quick: it never knew who is forgotten, and stays.
    config = {"extract": {"encoders": encoders}, "fusion": {"strategy": "decision", "min_likes": 72}}
    (made.folder / "night.yaml").write_text(json.dumps(config))
    run(made.night(FIRST, made.folder / "both"))
    shutil.copytree(made.folder / "both", made.folder / "first")
    run(made.night(SECOND, made.folder / "both"), reported=True)
    return made


def gone(lake: Lake, subject: Subject, *, raw: Raw | None = None, now: datetime = NOW) -> forget.Certificate:
    planned = forget.plan(lake, subject, Clean(), raw=raw)
    return forget.forget(lake, subject, Clean(), planned, raw=raw, now=now)


def holding(folder: Path, subject: Subject) -> set[str]:
    """The files in a folder that hold the id, by the plainest of means and by the search."""
    plain = {
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and subject.id.encode() in p.read_bytes()
    }
    return plain | {found.path for found in search(*storage.filesystem(folder.as_uri()), [""], subject).found}


@pytest.mark.night
def test_a_lake_that_forgot_a_user_is_one_that_never_had_them(shop: Shop, tmp_path: Path) -> None:
    lake = Lake(str(shutil.copytree(shop.folder / "both", tmp_path / "lake")))
    (kept,) = lake.read(Models, where=pa.compute.field("date") == date(2026, 11, 1)).to_pylist()
    assert {path.partition("/")[0] for path in holding(tmp_path / "lake", ADA)} >= {"interactions", "recommendations"}
    done = gone(lake, ADA)
    assert (done.nights, done.found) == ((SECOND,), ())
    assert {table: done.rows[table] for table in ("interactions", "quarantine", "features_text")} == {
        "interactions": 6, "quarantine": 1, "features_text": 1,
    }  # fmt: skip
    assert holding(tmp_path / "lake", ADA) == set()
    assert incomplete(shop.night("2026-11-03", tmp_path / "lake")) == [SECOND] == forget.to_run(lake, done.nights)
    assert lake.count(Interactions, {"date": SECOND}) == 16 and lake.count(Recommendations, {"date": SECOND}) == 0
    assert (tmp_path / "lake" / kept["path"]).is_dir() and lake.count(Recommendations, {"date": FIRST})

    run(shop.night(SECOND, tmp_path / "lake"))  # RAW still has them
    never = tmp_path / "never"
    shutil.copytree(shop.folder / "first", never)
    run(shop.night(SECOND, never, raw=shop.raw_without(ADA, tmp_path / "raw")))
    assert differences(rows_of(lake), rows_of(Lake(str(never)))) == ()
    assert sorted(lake.read(Models)["strategy"].to_pylist()) == ["content", "decision"]
    assert forget.to_run(lake, done.nights) == [] and not findings(lake)[1]
    assert forget.certify(lake, ADA, now=NOW).found == ()


@pytest.mark.night
def test_an_item_is_forgotten_with_the_events_and_contents_that_were_its_alone(
    shop: Shop, engine: Engine, tmp_path: Path
) -> None:
    place, raw = tmp_path / "lake", tmp_path / "raw"
    lake = Lake(str(shutil.copytree(shop.folder / "both", place)))
    shutil.copytree(shop.folder / "raw", raw)
    zone = shop.night(SECOND, place, raw=raw).raw
    planned = forget.plan(lake, LATE, Clean(), raw=zone)
    assert planned.raw and planned.raw.media == ("media/late.png",)
    done = gone(lake, LATE, raw=zone)
    assert (done.raw, done.found) == ({"records": 3, "files": 2, "media": 1}, ())
    assert done.rows["features_image"] == done.rows["features_text"] == done.rows["items"] == 1
    assert [path.name for path in (raw / "media").iterdir()] == ["shared.png"]
    assert holding(raw, LATE) == holding(place, LATE) == set()

    never = Lake(str(shutil.copytree(shop.folder / "first", tmp_path / "never")))
    without = shop.raw_without(LATE, tmp_path / "raw-without")
    for other, landed in ((lake, shop.folder / "raw"), (never, without)):
        prepare(engine, a_night(SECOND, landed, other, config=str(shop.folder / "night.yaml")))
    assert differences(rows_of(lake), rows_of(never)) == ()


def write(lake: Lake, table: type[Table], *rows: dict[str, Any]) -> None:
    made = [a_row(table, row) for row in rows]
    partition = {column: str(made[0][column]) for column in table.partition_by}
    lake.write(table, pa.Table.from_pylist(made, schema=table.schema), partition)


@pytest.fixture
def small(tmp_path: Path) -> Lake:
    """Two nights that know a user, in tables and beside them; one is staged, too, and one table's log names them."""
    lake = Lake(str(tmp_path / "small"))
    for night in map(date.fromisoformat, (FIRST, SECOND)):
        events = [{"date": night, "user_id": user, "item_id": "lamp", "text_key": user} for user in (ADA.id, "bob")]
        write(lake, Interactions, *events)
        write(lake, Interactions, *events)
        write(lake, Recommendations, *(ON_SHELF | {"date": night, "user_id": user} for user in (ADA.id, "bob")))
        write(lake, Ledger, {"date": night, "step": "recommend"})
    refused = {"date": date(2026, 11, 2), "stage": "clean_interactions", "source": "a"}
    write(lake, Quarantine, refused | {"record_id": ADA.id}, refused | {"record_id": None})
    write(lake, Quarantine, refused | {"stage": "extract_text", "record_id": ADA.id, "detail": "e: odd"})
    write(lake, FeaturesText, *({"content_key": key, "encoder": "e", "vector": [1.0]} for key in (ADA.id, "bob")))
    staged = staging.as_of(lake, FIRST)
    staged.begin(publish=True)
    write(staged, Recommendations, ON_SHELF | {"date": date(2026, 11, 1), "user_id": ADA.id})
    publication.publish(lake, FIRST, actor="test", reason=f"{ADA.id} has asked")
    for path in ("reports/2026-11-02.html", "reports/index.html", "tuned/x/2026-11-02.json", "artifacts/old/served/a"):
        files.write_json(lake, path, ADA.id)
    for path in ("choices/c.json", "runs/2026-11-01.json", "aside/1/items/a", "staged/2026-11-03/run.json"):
        files.write_json(lake, path, {"publish": True, "user": ADA.id})
    stats = json.dumps({"numRecords": 2, "minValues": {"user_id": ADA.id}})
    delta = lake.current(Interactions)
    (file,) = lake.files(Interactions, {"date": FIRST}).to_pylist()
    again = AddAction(file["path"], file["size_bytes"], {"date": FIRST}, 0, True, stats)
    delta.create_write_transaction([again], "append", delta.schema(), ["date"])
    return lake


def state(lake: Lake) -> tuple[Any, ...]:
    """What can be told of a lake whose files have names of chance: rows, changes, and what is beside the tables."""
    changes = [(str(row.date), row.action, row.reason, row.replaced) for row in publication.history(lake)]
    root = Path(lake.uri.removeprefix("file://"))
    beside = {p.name for p in root.iterdir()} - set(tables.TABLES)
    return rows_of(lake), changes, beside, len([*root.rglob("part-*.parquet")])


def test_of_tables_and_of_what_is_beside_them_nothing_is_left(small: Lake) -> None:
    before = small.version(Interactions)
    done = gone(small, ADA)
    root = Path(small.uri.removeprefix("file://"))
    assert holding(root, ADA) == set() and done.found == () and done.nights == (FIRST, SECOND, "2026-11-03")
    assert done.rows == {"interactions": 2, "recommendations": 2, "quarantine": 1, "features_text": 1}
    assert {name: done.files[name] for name in ("reports", "tuned", "artifacts", "choices", "aside", "staged")} == {
        "reports": 2, "tuned": 1, "artifacts": 1, "choices": 1, "aside": 1, "staged": 1,
    }  # fmt: skip
    assert small.read(Interactions)["user_id"].to_pylist() == ["bob", "bob"]
    assert small.read(Quarantine)["record_id"].to_pylist() == [None]
    assert len(small.read(Ledger)) == len(small.read(Recommendations)) == 0
    last = publication.history(small)[-1]
    assert (str(last.date), last.action, last.replaced) == (FIRST, publication.WITHDRAW, ())
    assert last.versions and last.versions["features_text"] == small.version(FeaturesText)
    with pytest.raises(PublicationError, match="nothing of the night 2026-11-01 is staged"):
        publication.publish(small, FIRST, actor="test")
    with pytest.raises(PublicationError, match="was not published"):
        publication.rollback(small, FIRST, actor="test", reason="why")
    with pytest.raises(DeltaError, match="No files in log segment"):
        DeltaTable(small.table_uri(Interactions), version=before)
    kept = json.loads((root / forgotten.path(done.name)).read_text())
    assert kept["rows"] == done.rows and kept["at"] == "2026-12-01T12:00:00+00:00" and kept["searched"]["texts"]


class Killed(BaseException):
    """The process dies here."""


def killed_at(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Die at one of the moments at which something is written or deleted, half of the files where there are several;
    the function that is returned says how many moments there were."""
    seen = 0

    def dying(function: Callable[..., Any], half: Callable[..., None]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == at:
                half(*given)
                raise Killed
            return function(*given, **named)

        return instead

    def nothing(*_: Any) -> None:
        return None

    remove, beside = vacuum.remove, forget._remove
    for module, name, half in (
        (files, "write_whole", nothing),
        (publication, "commit", nothing),
        (tables, "commit", nothing),
        (vacuum, "remove", lambda lake, table, found: remove(lake, table, found[: len(found) // 2])),
        (retention, "remove", nothing),
        (forget, "_remove", lambda lake, subject, places: beside(lake, subject, dict([*places.items()][:1]))),
    ):
        monkeypatch.setattr(module, name, dying(getattr(module, name), half))
    return lambda: seen


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.at_length), 13])
def test_killed_at_any_moment_it_is_finished_by_the_next(
    small: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    def copied(name: str) -> Lake:
        return Lake(str(shutil.copytree(small.uri.removeprefix("file://"), tmp_path / name)))

    undisturbed = copied("undisturbed")
    with monkeypatch.context() as patched:
        moments = killed_at(patched, 0)
        done = gone(undisturbed, ADA)
        assert moments() > 20
    for at in range(1 + every // 2, moments() + 1, every):
        lake = copied(f"killed-{at}")
        with monkeypatch.context() as patched, pytest.raises(Killed):
            killed_at(patched, at)
            gone(lake, ADA)
        again = gone(lake, ADA)
        assert state(lake) == state(undisturbed), at
        assert (again.rows, again.nights, again.found) == (done.rows, done.nights, ()), at
        assert holding(tmp_path / f"killed-{at}", ADA) == set(), at


def test_forgetting_again_changes_nothing_but_the_time(small: Lake) -> None:
    done = gone(small, ADA)
    before, version = state(small), small.version(Published)
    later = gone(small, ADA, now=NOW.replace(hour=13))
    assert state(small) == before and small.version(Published) == version
    assert later.at == "2026-12-01T13:00:00+00:00" and (later.rows, later.nights) == (done.rows, done.nights)


def test_an_id_that_nothing_has_is_a_mistake(small: Lake) -> None:
    with pytest.raises(UserError, match=r"nothing in .* names it; did you mean ada-lovelace\?"):
        forget.plan(small, Subject("user", "ada-lovelac"), Clean())
    with pytest.raises(UserError, match="item_id"):
        forget.plan(small, Subject("item", ADA.id[:-1]), Clean())
    with pytest.raises(UserError, match="stands for users without a history"):
        forget.plan(small, Subject("user", "*"), Clean())
    with pytest.raises(LandingZoneError, match="no such folder"):
        forget.plan(small, ADA, Clean(), raw=Raw("/no/such/folder"))
    assert not forgotten.read(small).names


def test_a_short_id_is_looked_for_in_columns_of_ids_alone(lake: Lake) -> None:
    day = date(2026, 11, 1)
    write(lake, Interactions, *({"date": day, "user_id": user, "item_id": "7", "text": "7 stars"} for user in "78"))
    files.write_json(lake, "reports/2026-10-01.html", "7")
    done = gone(lake, Subject("user", "7"))
    assert done.rows == {"interactions": 1} and done.found == () and done.searched and not done.searched["texts"]
    assert lake.read(Interactions)["user_id"].to_pylist() == ["8"]
    _, root = lake.filesystem(Interactions)
    log = [f"{lake.version(Interactions):020}.{end}" for end in ("checkpoint.parquet", "json")]
    assert sorted(path.name for path in Path(root, "_delta_log").iterdir()) == [*log, "_last_checkpoint"]
    write(lake, Interactions, {"date": date(2026, 11, 2), "user_id": "9", "item_id": "7"})
    assert sorted(lake.read(Interactions)["user_id"].to_pylist()) == ["8", "9"]
    assert list(lake.damaged(Interactions)) == []


def test_a_file_of_nobody_that_has_the_id_is_found_and_the_command_says_so(
    small: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_json(small, "notes/mine.json", f"ask {ADA.id}!")
    arguments = ["forget", "--user", ADA.id, "--lake", small.uri]
    asked = CliRunner().invoke(app, arguments)
    assert "nothing was changed" in str(asked.exception) and "interactions: 2 rows" in asked.stderr
    with command_line(monkeypatch, *arguments), pytest.raises(SystemExit) as ended:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
        main()
    assert ended.value.code == 2
    assert not forgotten.read(small).names
    done = CliRunner().invoke(app, [*arguments, "--yes", "--format", "json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["found"] == [{"path": "notes/mine.json", "times": 1, "where": "its bytes"}]
    assert told["to_run"] == [FIRST, SECOND, "2026-11-03"] and ADA.id not in done.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "one of --user and --item"),
        (["--user", "a", "--item", "b"], "and not both"),
        (["--item", "b", "--format", "xml"], "expected text or json"),
        (["--item", "b", "--yes"], "nothing in"),
    ],
)
def test_a_mistake_is_said(lake: Lake, options: list[str], expected: str) -> None:
    write(lake, Interactions, {"date": date(2026, 11, 1), "user_id": "bob"})
    told = CliRunner().invoke(app, ["forget", *options, "--lake", lake.uri])
    assert expected in str(told.exception) and not forgotten.read(lake).names


def test_the_nights_are_run_again_in_order_until_one_fails(small: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    done, ran = gone(small, ADA), []

    @dataclass(frozen=True)
    class Ended:
        returncode: int

    def night(command: list[str], **_: Any) -> Ended:
        ran.append(command[command.index("--date") + 1])
        if ran[-1] == FIRST:
            write(small, Ledger, {"date": date(2026, 11, 1), "step": "recommend"})
        return Ended(int(ran[-1] != FIRST))

    monkeypatch.setattr(forget.subprocess, "run", night)
    with pytest.raises(forget.NightError, match=f"the night {SECOND} failed .*: {SECOND}, 2026-11-03"):
        forget.run_again(small, done.nights, raw="raw", config=None)
    assert ran == [FIRST, SECOND]
