"""Stored models carry the number of their format: one that cannot be used is said in one line, by name."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fusion.models import registry
from fusion.models.content import Content
from jobs.modelling import artifacts
from jobs.modelling.artifacts import StoredModelError
from jobs.modelling.earlier_models import promoted_before
from jobs.modelling.populations import LAST_PROMOTED
from jobs.runtime.night import Night
from lake.errors import LakeError
from lake.lake import Lake
from schemas.features import VectorBlock
from schemas.tables import Models
from tests.fusion.worlds import tastes
from tests.jobs.nights import a_night

ENCODERS = {"text": (VectorBlock("t-1", 3),)}


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return a_night("2026-11-03", tmp_path / "raw", Lake(str(tmp_path / "lake")))


def stored(night: Night, date: str) -> Path:
    """The folder of a promoted model of an earlier night."""
    made = artifacts.Identity("content", date, "e", "c", "code")
    catalog, history = tastes()
    model = Content()
    model.fit(catalog, history, seed=1)
    artifacts.save(night, made, {artifacts.SERVED: model}, encoders=ENCODERS)
    row = {field.name: "x" for field in Models.schema} | {
        "promoted": True,
        "judged": True,
        "close": False,
        "path": made.path,
    }
    row |= {"model_version": made.model_version, "best_so_far": made.model_version}
    row |= {"strategy": "content", "weights_from": [], "calibration": []}
    row["date"] = np.datetime64(date).item()
    night.lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), {"date": date})
    return Path(night.lake.uri.removeprefix("file://")) / made.path


def change(path: Path, **values: object) -> None:
    """Of a JSON file; None takes a value away."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def test_what_is_stored_says_its_format(night: Night) -> None:
    folder = stored(night, "2026-11-01")
    assert json.loads((folder / "model.json").read_text())["format"] == artifacts.FORMAT
    assert json.loads((folder / "served" / "strategy.json").read_text())["format"] == registry.FORMAT
    assert promoted_before(night)[LAST_PROMOTED].path == f"artifacts/{folder.name}"


def test_a_model_without_a_number_is_read(night: Night) -> None:
    folder = stored(night, "2026-11-01")
    change(folder / "model.json", format=None)
    change(folder / "served" / "strategy.json", format=None)
    assert artifacts.encoders_of(night, f"artifacts/{folder.name}") == ENCODERS
    assert list(promoted_before(night)) == [LAST_PROMOTED]


def without_encoders(folder: Path) -> None:
    change(folder / "model.json", format=None, encoders=None)


def of_a_later_version(folder: Path) -> None:
    change(folder / "model.json", format=99)


def parts_of_a_later_version(folder: Path) -> None:
    change(folder / "served" / "strategy.json", format=99)


def other_arrays(folder: Path) -> None:
    change(folder / "served" / "strategy.json", format=None)
    np.savez(folder / "served" / "arrays.npz", nosuch=np.zeros(1))


def other_parameters(folder: Path) -> None:
    change(folder / "served" / "strategy.json", format=None, parameters={"nosuch": 1})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (without_encoders, "did not record the model's encoders"),
        (of_a_later_version, "format 99, of a later version"),
        (parts_of_a_later_version, "format 99, of a later version"),
        (other_arrays, "of an earlier version"),
        (other_parameters, "of an earlier version"),
    ],
)
def test_a_model_of_another_format_is_left_out_and_the_one_before_stands_for_it(
    night: Night, make, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    before, newest = stored(night, "2026-11-01"), stored(night, "2026-11-02")
    make(newest)
    assert promoted_before(night)[LAST_PROMOTED].path == f"artifacts/{before.name}"
    (told,) = (record.message for record in caplog.records if "left out" in record.message)
    assert newest.name in told and said in told and "\n" not in told
    make(before)
    assert promoted_before(night) == {}


def test_a_model_of_another_format_is_one_line_where_it_is_asked_for(night: Night) -> None:
    folder = stored(night, "2026-11-01")
    without_encoders(folder)
    with pytest.raises(StoredModelError, match=rf"^artifacts/{folder.name}/model.json: stored by an earlier version"):
        artifacts.encoders_of(night, f"artifacts/{folder.name}")


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["model.json", "served/arrays.npz", "served/strategy.json"])
@pytest.mark.parametrize("plant", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:40])])
def test_a_damaged_model_is_named_and_no_other_takes_its_place(night: Night, file: str, plant) -> None:
    """Which models nights are held against is not to change by a flipped bit."""
    stored(night, "2026-11-01")
    folder = stored(night, "2026-11-02")
    plant(folder / file)
    with pytest.raises(LakeError, match=rf"artifacts/{folder.name}.*(missing|damaged)") as raised:
        promoted_before(night)
    assert "\n" not in str(raised.value)


def test_a_flipped_bit_in_the_arrays_is_found(night: Night) -> None:
    folder = stored(night, "2026-11-01")
    damaged(folder / "served" / "arrays.npz")
    with pytest.raises(LakeError, match="served is missing or damaged"):
        artifacts.load(night, f"artifacts/{folder.name}", artifacts.SERVED)
