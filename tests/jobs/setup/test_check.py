"""What a night would refuse, without a night."""

import json
import sys
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.setup.check import Report, check_landing_zone
from schemas.config import Config

ITEMS = [
    {"item_id": "a", "title": "Mug", "image_uris": ["media/a.png", "media/b.png"], "colour": "blue"},
    {"item_id": "a", "title": "Mug", "image_uris": ["media/a.png", "media/b.png"], "colour": "red"},
    {"title": "Nameless", "price": "cheap", "tags": 3},
    {"item_id": "c", "price": "cheap", "titel": "Plate"},
    {"item_id": "d", "tags": ["x"]},
]
EVENT = {"user_id": "ann", "item_id": "a", "timestamp": "2026-11-01T10:00:00Z", "event": "view"}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    lay(folder, "items", ITEMS)
    (folder / "items" / "ds=2026-11-01" / "notes.txt").write_text("of no use")
    lay(folder, "interactions", [EVENT, EVENT | {"event": "hover", "timestamp": "noon"}])
    (folder / "media").mkdir()
    (folder / "media" / "a.png").write_bytes(b"a picture")
    return folder


def lay(raw: Path, kind: str, rows: list[dict]) -> None:
    folder = raw / kind / "ds=2026-11-01"
    folder.mkdir(parents=True)
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def checked(raw: Path, *, date: str = "2026-11-01", media: bool = True, **settings: object) -> Report:
    return check_landing_zone(str(raw), date_=date, config=Config.model_validate(settings), media=media)


def test_each_fault_of_each_record_is_counted_and_shown(raw: Path) -> None:
    before = sorted(raw.rglob("*"))
    lines = checked(raw).lines
    assert lines == [
        "items: 5 records in 1 file: 2 kept, 2 refused, 1 duplicates",
        f"  not read: items/ds=2026-11-01/notes.txt: {lines[1].partition('notes.txt: ')[2]}",
        "  2 refused: price_type",
        "    items/ds=2026-11-01/all.jsonl at 3: price is 'cheap'; expected a number: no number",
        "    items/ds=2026-11-01/all.jsonl at 4 (c): price is 'cheap'; expected a number: no number",
        "  1 refused: item_id_missing",
        "    items/ds=2026-11-01/all.jsonl at 3: item_id is None; expected a string or a whole number",
        "  1 refused: tags_type",
        "    items/ds=2026-11-01/all.jsonl at 3: tags is 3; expected a list of strings",
        "  columns that are not read: colour (2), titel (1; did you mean title?)",
        "  fields without a value in any record: description, category, price, attributes, updated_at, "
        "audio_uris, video_uris",
        "media: 1 files of items, 1 refused",
        "  1 refused: media_missing",
        "    item a: media/b.png: No such file or directory",
        "interactions: 2 records in 1 file: 1 kept, 1 refused",
        *lines[15:],
    ]
    assert [line for line in lines[15:] if " refused: " in line] == [
        "  1 refused: timestamp_type",
        "  1 refused: unknown_event",
    ]
    assert sorted(raw.rglob("*")) == before


def test_whether_the_night_would_fail(raw: Path) -> None:
    (found,) = checked(raw).failures
    assert found == "2 of 5 items are refused, above the set share of 20% (clean.max_refused_share)"
    assert checked(raw, clean={"max_refused_share": 0.5}).failures == []
    (found,) = checked(raw, date="2026-11-02").failures
    assert "night 2026-11-02 has not arrived" in found
    (raw / "items" / "ds=2026-11-01" / "torn.csv.gz").write_bytes(b"\x1f\x8b\x08")
    (found,) = checked(raw, clean={"max_refused_share": 0.5}).failures
    assert "torn.csv.gz cannot be read whole" in found and "quarantine" not in found


def test_columns_are_those_of_the_configuration(raw: Path) -> None:
    columns = {"items": {"title": "colour"}}
    lines = checked(raw, media=False, clean={"columns": columns}).lines
    assert "  columns that are not read: titel (1), title (3)" in lines
    assert not [line for line in lines if line.startswith("media")]


def test_the_command_ends_with_1_where_the_night_would_fail(
    raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nightweave", "check", str(raw), "--date", "2026-11-01"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 1 and not printed.err
    assert printed.out.splitlines()[-1].startswith("the night would fail: 2 of 5 items are refused")
