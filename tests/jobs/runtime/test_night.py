"""A night's arguments, and how the errors that people see end a process."""

import json
from datetime import date
from pathlib import Path

import pytest

from jobs.landing.raw import LandingZoneError, RawChangedError
from jobs.runtime.failure import VARIABLE
from jobs.runtime.night import Night, NightError, UserError, config_source, user_errors
from lake.errors import LakeError
from lake.storage import StorageError
from schemas.config import Config, ConfigError
from schemas.errors import NightweaveError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (ConfigError("x"), 2),
        (LakeError("x"), 2),
        (StorageError("x"), 2),
        (LandingZoneError("x"), 2),
        (RawChangedError("x"), 2),
        (NightError("x", law=3), 1),
    ],
)
def test_an_error_for_people_is_one_line_and_its_exit_code(
    error: NightweaveError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, user_errors():
        raise error
    assert ended.value.code == code == error.exit_code
    assert capsys.readouterr().err == "nightweave: x\n"


def test_an_error_of_the_program_is_not_taken_for_one_of_the_users() -> None:
    with pytest.raises(FileNotFoundError), user_errors():
        raise FileNotFoundError("/usr/lib/nosuch")


def test_a_failed_night_leaves_its_law_and_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "failure.json"))
    with pytest.raises(SystemExit), user_errors():
        raise NightError("too many refused", law=3, partition="date=2026-11-01")
    left = json.loads((tmp_path / "failure.json").read_text())
    assert left == {"message": "too many refused", "law": 3, "partition": "date=2026-11-01"}


def test_options_come_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "night.yaml").write_text("recommend: {k: 3}")
    for name in ("RAW", "LAKE"):
        monkeypatch.setenv(f"NIGHTWEAVE_{name}", str(tmp_path / f"environment-{name.lower()}"))
    monkeypatch.setenv("NIGHTWEAVE_CONFIG", str(tmp_path / "night.yaml"))
    night = Night.of(date_="2026-11-01", raw=str(tmp_path / "given"), lake=None, config="")
    assert (night.date, night.ds) == (date(2026, 11, 1), "2026-11-01")
    assert night.raw.uri == str(tmp_path / "given") and night.lake.uri.endswith("environment-lake")
    assert night.config.recommend.k == 3, "an empty --config is none"
    assert Night.of(date_="2026-11-01", raw=None, lake=None, config="embedded").config == Config()


def test_the_configuration_is_the_default_profile_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTWEAVE_CONFIG", raising=False)
    assert (config_source(None), config_source(""), config_source("gpu")) == ("embedded", "embedded", "gpu")
