"""What a feature store lost is extracted again by the next extraction; what is found damaged meanwhile is named."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest

from jobs.extract import extract_modality
from jobs.runtime.night import Night
from jobs.runtime.spark_session import naming_damage
from lake.errors import DamageError
from lake.rows import Engine
from schemas.features import FEATURES
from schemas.tables import Ledger
from tests.jobs.sounds import bring, configured
from tests.lake.test_damage import cut, flip

AUDIO = FEATURES["audio"]
SOUNDS = [b"one", b"three", b"seventeen"]


@pytest.fixture
def night(engine: Engine, tmp_path: Path) -> Night:
    """A night that was extracted."""
    night = bring(SOUNDS, tmp_path, configured("Toy"))
    extract_modality(lambda *_: engine, night, "audio")
    return night


def the_file(night: Night) -> Path:
    return Path(night.lake.filesystem(AUDIO)[1]) / night.lake.files(AUDIO)["path"][0].as_py()


@pytest.mark.parametrize(
    ("plant", "days_later"), [(Path.unlink, 0), (cut, 0), (flip, 0), (flip, 1)], ids=["missing", "cut", "bit", "later"]
)
def test_what_the_store_lost_is_made_again(
    engine: Engine,
    night: Night,
    plant: Callable[[Path], object],
    days_later: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By a rerun of the night, or by the next one."""
    before = night.lake.read(AUDIO).drop_columns(["date"]).sort_by("content_key")
    lost = the_file(night)
    plant(lost)
    extract_modality(lambda *_: engine, replace(night, date=night.date + dt.timedelta(days=days_later)), "audio")
    assert "features_audio: encoder=" in caplog.text and lost.name in caplog.text
    assert "its contents are extracted anew" in caplog.text
    after = night.lake.read(AUDIO).drop_columns(["date"]).sort_by("content_key")
    assert len(after) == len(SOUNDS) and after.equals(before)
    accounts = night.lake.read(Ledger, where=pc.field("step") == "extract_audio").sort_by("date").to_pylist()
    assert [(one["rows_in"], one["kept"]) for one in accounts] == [(3, 3), (0, 0)][: 1 + days_later]


def test_who_meets_a_damaged_file_names_it_in_one_line(either: Engine, night: Night) -> None:
    path = the_file(night)
    flip(path)
    expected = rf"^features_audio: encoder=.*{path.name} .*nightweave repair"
    with pytest.raises(DamageError, match=expected) as raised, naming_damage():
        either.read(night.lake, AUDIO).collect()
    assert "\n" not in str(raised.value)
