"""A plan says what running its nights then does, and writes nothing."""

import hashlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs import clean, extract
from jobs.cli import main
from jobs.planning.plan import NightPlan, Plan, Wanted, plan
from jobs.planning.showing import as_data, as_table
from jobs.runtime import agreement
from jobs.runtime.completeness import LAST_STEP
from jobs.runtime.ledger import Account, close
from jobs.runtime.night import Night
from lake import staging
from lake.lake import Lake
from lake.rows import Engine
from schemas.features import FEATURES
from schemas.table import MEDIA
from schemas.tables import Ledger
from tests.jobs.nights import a_night

ROOT = Path(__file__).resolve().parents[3]
FIRST, SECOND, THIRD = "2026-11-01", "2026-11-02", "2026-11-03"
TOYS = {medium: {"name": f"tests.toys:{medium.capitalize()}Bytes"} for medium in MEDIA}
TOYS["audio"] = {"name": "tests.jobs.toys:Moody"}  # refuses the content "refuse"
MEDIA_FILES = {"a.png": "a picture", "c.png": "another", "low.wav": "low", "odd.wav": "refuse"}
ITEMS = {
    FIRST: [
        {"item_id": "a", "title": "one", "image_uris": "media/a.png", "audio_uris": "media/low.wav"},
        {"item_id": "b", "title": "two", "image_uris": "media/a.png", "audio_uris": "media/odd.wav"},
    ],
    SECOND: [{"item_id": "c", "title": "three", "image_uris": "media/c.png", "audio_uris": "media/odd.wav"}],
}
REVIEW = {"user_id": "u", "item_id": "a", "timestamp": FIRST, "event": "review", "text": "fine"}


@dataclass(frozen=True)
class Made:
    """A folder with RAW and the lake of two nights that were run, of each the plan before, and how many contents each
    then lacked."""

    folder: Path
    plans: dict[str, NightPlan]
    lacked: list[dict[str, int]]


def land(raw: Path, kind: str, night: str, records: list[dict[str, Any]]) -> Path:
    folder = raw / kind / f"ds={night}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder / "all.jsonl"


def two_nights(folder: Path) -> Night:
    """The first of two nights that have landed; its lake is not there yet."""
    raw = folder / "raw"
    (raw / "media").mkdir(parents=True)
    for name, content in MEDIA_FILES.items():
        (raw / "media" / name).write_text(content)
    for night, items in ITEMS.items():
        land(raw, "items", night, items)
    land(raw, "interactions", FIRST, [REVIEW])
    return under(folder)


def under(folder: Path, **settings: Any) -> Night:
    """The first night under a configuration."""
    config = folder / "night.yaml"
    config.write_text(yaml.safe_dump({"extract": {"encoders": TOYS}} | settings))
    return a_night(FIRST, folder / "raw", Lake(str(folder / "lake")), config=str(config))


def on(night: Night, day: str) -> Night:
    return replace(night, date=date.fromisoformat(day))


def run(engine: Engine, night: Night) -> dict[str, int]:
    """Run a night but for its model, and return how many contents each extraction said that it lacks."""
    said, log = io.StringIO(), logging.getLogger("nightweave.extract")
    handler, level = logging.StreamHandler(said), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    clean.run(night)
    for medium in MEDIA:
        extract.extract_modality(lambda *_: engine, night, medium)
    log.removeHandler(handler)
    log.setLevel(level)
    close(night, LAST_STEP, Account(rows_in=0, kept=0))
    return {step: int(n) for step, n in re.findall(r"(extract_\S+): (\d+) contents to extract under", said.getvalue())}


def planned(first: Night, last: str = SECOND, **wanted: bool) -> Plan:
    return plan(first, date.fromisoformat(last), Wanted(**wanted))


def contents(night: NightPlan) -> dict[str, tuple[int, int, int]]:
    """Of each extraction: contents, how many of them arrive, how many more are tried if they are refused before."""
    return {each.step: (each.contents, each.arriving, each.again_if_refused) for each in night.extractions}


def attempted(night: NightPlan) -> dict[str, int]:
    """What is tried where only the sound is refused that is odd."""
    again = {"extract_audio": 1}
    return {each.step: each.contents + again.get(each.step, 0) * each.again_if_refused for each in night.extractions}


def causes(night: NightPlan) -> list[str]:
    return [cause.cause for cause in night.causes]


def stored(lake: Lake) -> dict[str, int]:
    return {medium: lake.read(FEATURES[medium], columns=["encoder"]).num_rows for medium in MEDIA}


@pytest.fixture(scope="module")
def made(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    first = two_nights(folder)
    found = planned(first).nights
    assert not (folder / "lake").exists()
    return Made(folder, {night.night: night for night in found}, [run(engine, on(first, n.night)) for n in found])


@pytest.fixture
def complete(made: Made, tmp_path: Path) -> Night:
    """The first of these nights, in a copy."""
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return under(tmp_path)


def test_a_plan_of_a_new_lake_is_what_its_nights_then_do(made: Made, complete: Night) -> None:
    one, two = made.plans.values()
    assert [one.state, two.state, causes(one), causes(two)[0]] == ["runs", "runs", ["never_run"], "never_run"]
    none = (0, 0, 0)
    assert contents(one) == {
        "extract_text": (3, 3, 0), "extract_image": (1, 1, 0), "extract_audio": (2, 2, 0), "extract_video": none
    }  # fmt: skip
    assert contents(two) == {
        "extract_text": (1, 1, 0), "extract_image": (1, 1, 0), "extract_audio": (0, 0, 1), "extract_video": none
    }  # fmt: skip
    assert (one.waits_for, two.waits_for) == ((), (FIRST,))
    assert {str(change) for change in one.changes} >= {"items: 2 rows come, 0 go", "interactions: 1 rows come, 0 go"}
    assert made.lacked == [attempted(one), attempted(two)]
    assert stored(complete.lake) == {"text": 4, "image": 2, "audio": 1, "video": 0}


def test_a_plan_of_what_changed_is_what_its_nights_then_do(complete: Night, tmp_path: Path, engine: Engine) -> None:
    found = planned(complete)
    assert [night.state for night in found.nights] == ["complete"] * 2 and found.stale == ()
    assert [(night.rows_from, night.extractions, night.tables) for night in found.nights] == [("lake", (), {})] * 2
    for night in planned(complete, everything=True).nights:  # what was refused is tried again
        assert causes(night)[0] in ("asked", "earlier_night")
        assert attempted(night) == {"extract_text": 0, "extract_image": 0, "extract_audio": 1, "extract_video": 0}

    (tmp_path / "raw" / "media" / "e.png").write_text("a third")
    changed = {**ITEMS[SECOND][0], "title": "tres"}
    new = {"item_id": "e", "title": "two", "image_uris": ["media/e.png", "media/a.png"]}  # its text is known
    land(tmp_path / "raw", "items", SECOND, [changed, new])
    other = under(tmp_path, extract={"encoders": TOYS | {"image": {"name": "tests.toys:ImageNoise"}}})
    one, two = planned(other).nights
    assert causes(one) == ["configuration", "encoder"]
    assert causes(two) == ["raw", "configuration", "encoder", "earlier_night"]
    assert one.changes == () and {str(c) for c in two.changes} >= {"items: 2 rows come, 1 go"}
    assert contents(one)["extract_image"] == (1, 1, 0) and contents(one)["extract_text"] == (0, 0, 0)
    assert contents(two)["extract_image"] == (2, 2, 1) and contents(two)["extract_text"] == (1, 1, 0)
    assert "items" not in one.tables and one.tables["features_image"] == ("configuration", "encoder")
    assert two.tables["items"] == ("raw",) and "features_text" in two.tables and "features_text" not in one.tables
    before = stored(complete.lake)
    for night in (one, two):
        assert run(engine, on(other, night.night)) == attempted(night)
    added = {medium: n - before[medium] for medium, n in stored(complete.lake).items()}
    assert added == {"text": 1, "image": 3, "audio": 0, "video": 0}
    assert [night.state for night in planned(other).nights] == ["complete"] * 2


def test_the_last_night_alone_extracts_what_earlier_ones_lack_and_is_late(
    complete: Night, tmp_path: Path, engine: Engine
) -> None:
    other = on(under(tmp_path, extract={"encoders": TOYS | {"image": {"name": "tests.toys:ImageNoise"}}}), SECOND)
    (two,) = planned(other).nights
    assert contents(two)["extract_image"] == (2, 1, 0), "a.png is of the first night"
    assert run(engine, other) == attempted(two)


def state(folder: Path) -> dict[str, tuple[int, str]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(f): (f.stat().st_mtime_ns, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files}


def test_nothing_is_written(complete: Night, tmp_path: Path) -> None:
    land(tmp_path / "raw", "items", SECOND, [{"item_id": "z", "title": "z"}, *ITEMS[SECOND]])
    before, places = state(tmp_path), sorted(tmp_path.rglob("*"))
    assert [night.state for night in planned(complete, THIRD, reread=True).nights] == ["complete", "runs", "fails"]
    assert state(tmp_path) == before and sorted(tmp_path.rglob("*")) == places


def test_why_a_night_must_run_again_and_whose_rows_may_change(
    complete: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the sound that was refused is tried again by every run
    shelves = {"features_audio", "ledger", "explanations", "recommendations", "similar_items", "published"}
    (one,) = planned(under(tmp_path, recommend={"k": 5}), FIRST).nights
    assert causes(one) == ["configuration"] and one.causes[0].detail == "recommend.k was 20, is 5"
    assert set(one.tables) == shelves
    (one,) = planned(under(tmp_path, fusion={"seed": 5}), FIRST).nights
    assert set(one.tables) == shelves | {
        "quarantine", "metrics", "models", "item_embeddings", "user_embeddings"
    }  # fmt: skip
    (one,) = planned(under(tmp_path, clean={"max_text_chars": 2}), FIRST).nights
    assert causes(one) == ["configuration"] and one.rows_from == "raw" and "items" in one.tables
    assert planned(under(tmp_path, maintenance={"retention_days": 3}), FIRST).nights[0].state == "complete"
    with monkeypatch.context() as patch:
        patch.setattr(agreement, "code_fingerprint", lambda: "deployed since")
        one, two = planned(complete).nights
        assert causes(one) == ["code"] and causes(two) == ["code", "earlier_night"]
        assert one.rows_from == "raw" and "items" not in one.tables, "cleaned by the new code, to the same rows"
    assert planned(complete, FIRST).stale == ()
    assert planned(under(tmp_path, fusion={"seed": 5}), FIRST).stale == (SECOND,)


def test_raw_files_that_were_put_anew_are_read_and_media_where_that_is_asked(complete: Night, tmp_path: Path) -> None:
    os.utime(land(tmp_path / "raw", "items", FIRST, ITEMS[FIRST]), ns=(1, 1))
    one, two = planned(complete).nights
    assert (one.state, one.rows_from, two.state, two.rows_from) == ("complete", "raw", "complete", "lake")
    (tmp_path / "raw" / "media" / "c.png").write_text("retouched")
    assert planned(complete).nights[1].state == "complete", "media files are not looked at"
    two = planned(complete, reread=True).nights[1]
    assert (causes(two), contents(two)["extract_image"]) == (["raw"], (1, 1, 0))


def test_a_record_that_is_of_another_run_than_what_is_published_is_not_trusted(complete: Night) -> None:
    agreement.forget(complete.lake, FIRST)
    (one,) = planned(complete, FIRST).nights
    assert (causes(one), one.rows_from, one.changes) == (["unknown"], "raw", ())
    staged = staging.as_of(complete.lake, SECOND)
    staged.begin(publish=False)
    assert causes(planned(complete).nights[1]) == ["unknown", "earlier_night"], "a run of it is not published"
    staged.begin(publish=True)
    assert causes(planned(complete).nights[1])[0] == "unfinished"


def test_a_night_that_cannot_begin_keeps_those_after_it_waiting(complete: Night, tmp_path: Path) -> None:
    land(tmp_path / "raw", "items", THIRD, [{"item_id": "x", "price": "cheap"}] * 3)
    land(tmp_path / "raw", "items", "2026-11-04", [{"item_id": "y", "title": "four"}])
    found = planned(complete, "2026-11-06").nights
    assert [night.state for night in found] == ["complete", "complete", "fails", "blocked", "fails", "fails"]
    assert "3 of 3 refused" in (found[2].failure or "") and "has not arrived" in (found[4].failure or "")
    assert (found[3].waits_for, found[3].blocked_by) == ((THIRD,), (THIRD,))
    assert contents(found[3])["extract_text"] == (1, 1, 0), "it is cleaned and extracted all the same"
    assert found[5].waits_for == (THIRD, "2026-11-04") == found[5].blocked_by
    quiet = planned(on(complete, "2026-11-05"), "2026-11-05", without_data=True).nights
    assert quiet[0].state == "blocked"
    complete.lake.replace(Ledger, [], {"date": FIRST, "step": LAST_STEP})
    (two,) = planned(on(complete, SECOND), everything=True).nights
    assert (two.state, two.blocked_by) == ("blocked", (FIRST,))


def test_what_is_forced_is_extracted_again(complete: Night) -> None:
    one, two = planned(complete, everything=True, again=True).nights
    assert contents(one) == {
        "extract_text": (3, 3, 0), "extract_image": (1, 1, 0), "extract_audio": (2, 2, 0), "extract_video": (0, 0, 0)
    }  # fmt: skip
    assert contents(two)["extract_audio"] == (1, 1, 0)


def test_the_command_answers_in_documented_fields_and_loads_neither_spark_nor_tensorflow(
    complete: Night, tmp_path: Path
) -> None:
    land(tmp_path / "raw", "items", SECOND, [{"item_id": "z", "title": "z"}, *ITEMS[SECOND]])
    program = tmp_path / "program.py"
    program.write_text(
        "import sys; from jobs.cli import main\n"
        "try: main()\n"
        "finally: print({'tensorflow', 'keras', 'pyspark', 'airflow'} & set(sys.modules), file=sys.stderr)"
    )
    where = ["--raw", str(tmp_path / "raw"), "--lake", complete.lake.uri, "--config", str(tmp_path / "night.yaml")]
    command = [sys.executable, str(program), "plan", "--from", FIRST, "--to", SECOND, "--format", "json", *where]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert told.stderr.strip() == "set()"
    data = json.loads(told.stdout)
    assert data == as_data(planned(complete)) | {"from": FIRST, "to": SECOND}
    assert data["totals"] == {
        "nights": 1, "contents": {"text": 1, "image": 0, "audio": 1, "video": 0}, "seconds": None
    }  # fmt: skip
    page = (ROOT / "docs" / "howto" / "backfill.md").read_text("utf-8")
    assert fields(data) and not [name for name in fields(data) if f"`{name}`" not in page]


def fields(data: Any) -> set[str]:
    """The names of all fields, but of those that are named by what they hold."""
    if isinstance(data, list):
        return set().union(*map(fields, data))
    if not isinstance(data, dict):
        return set()
    own = {"seconds", "tables", "contents"}
    return set(data).union(*(fields(value) for name, value in data.items() if name not in own))


def test_people_are_shown_a_line_a_night(complete: Night, tmp_path: Path) -> None:
    land(tmp_path / "raw", "items", SECOND, [{"item_id": "z", "title": "z"}, *ITEMS[SECOND]])
    lines = as_table(planned(complete)).splitlines()
    assert lines[0].split() == ["night", "state", "text", "image", "audio", "video", "seconds", "waits", "for", "why"]
    assert lines[1].split() == [FIRST, "complete", "-"]
    assert lines[2].split() == [SECOND, "runs", "1", "0", "1", "0", "unknown", "-", "raw"]
    assert lines[3:6] == ["", f"{SECOND} runs", f"  raw: {lines[5].removeprefix('  raw: ')}"]
    assert "items: 1 rows come, 0 go" in lines[5]
    assert lines[-1] == "1 of 2 nights run; contents to extract: text 1, image 0, audio 1, video 0; seconds: unknown"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--from", "2026-11-02", "--to", "2026-11-01"], "--to 2026-11-01 is before --from 2026-11-02"),
        (["--from", "yesterday"], "--from 'yesterday' is no date; expected YYYY-MM-DD"),
        (["--from", FIRST, "--to", "now"], "--to 'now' is no date; expected YYYY-MM-DD"),
        (["--from", FIRST, "--format", "jsn"], "did you mean json? expected one of table, json"),
        ([], "Missing option '--from'"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "raw").mkdir()
    where = ["--raw", str(tmp_path / "raw"), "--lake", str(tmp_path / "lake")]
    monkeypatch.setattr(sys, "argv", ["nightweave", "plan", *arguments, *where])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2 and len(error.strip().splitlines()) == 1 and expected in error
