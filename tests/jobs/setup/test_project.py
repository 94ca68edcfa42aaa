"""A project of one's own: complete, small, the same each time, and what a night accepts whole."""

import re
from pathlib import Path

import pytest

from jobs.runtime.check_config import check
from jobs.runtime.night import UserError
from jobs.setup.check import check_landing_zone
from jobs.setup.project import write_project
from schemas.config import load


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "shop"
    write_project(folder)
    return folder


def test_a_night_would_take_all_of_it(project: Path) -> None:
    config = load(project / "nightweave.yaml")
    check(config)
    report = check_landing_zone(str(project / "raw"), date_="2026-11-01", config=config)
    assert report.failures == []
    assert [line for line in report.lines if "without a value" not in line] == [
        "items: 16 records in 3 files: 16 kept",
        "media: 28 files of items",
        "interactions: 264 records in 3 files: 264 kept",
    ]
    kinds = {path.parts[-3]: set() for path in (project / "raw").glob("*/ds=*/*")}
    for path in (project / "raw").glob("*/ds=*/*"):
        kinds[path.parts[-3]].add(path.suffix)
    assert kinds == {kind: {".jsonl", ".csv", ".parquet"} for kind in ("items", "interactions")}


def test_what_its_configuration_says_in_comments_is_valid_too(project: Path, tmp_path: Path) -> None:
    text = (project / "nightweave.yaml").read_text("utf-8")
    text = re.sub(r"^  # (?=(columns|marker|aliases):|  )", "  ", text, flags=re.MULTILINE)
    (tmp_path / "night.yaml").write_text(text)
    config = load(tmp_path / "night.yaml")
    assert config.clean.columns.items["image_uris"].column == "images[].large"
    assert config.clean.columns.interactions["event"].default == "rating"
    assert config.landing.marker == "_SUCCESS" and config.events.aliases["order"] == "purchase"


def test_nothing_is_written_over(project: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"already holds README\.md"):
        write_project(project)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        write_project(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be made"):
        write_project(Path("/proc/nowhere/shop"))


def test_its_page_names_commands_that_there_are(project: Path) -> None:
    text = (project / "README.md").read_text("utf-8")
    commands = {line.split()[1] for line in text.splitlines() if line.startswith("nightweave ")}
    assert commands == {"doctor", "check", "night", "explain", "query"}
