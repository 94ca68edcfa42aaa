"""Several encoders of one modality: each has its rows in the store, its refusals and its account."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.registry import vector_blocks
from jobs.extract import extract_modality
from jobs.reextract import reextract_modality
from jobs.runtime.night import Night
from jobs.verify import findings
from lake.rows import Engine
from schemas.config import Config
from schemas.features import FEATURES
from schemas.tables import Ledger, Quarantine
from tests.jobs.sounds import bring, configured, there

pytestmark = pytest.mark.night
PROMISES = {
    "contents that arrive are extracted or refused",
    "kept contents are in the store of their encoder",
    "every content was extracted or refused",
    "refused rows are in quarantine",
    "every account is of a step that is known",
    "all that is known was extracted again",
    "key is unique",
}


def both() -> Config:
    """Two encoders of sounds; the second cannot encode what says so."""
    encoders = {"audio": [{"name": "tests.jobs.toys:Toy"}, {"name": "tests.jobs.toys:Changed"}]}
    return Config.model_validate({"extract": {"encoders": encoders, "max_refused_share": 0.5}})


def accounts(night: Night) -> dict[str, tuple[int, int, int]]:
    rows = night.lake.read(Ledger).to_pylist()
    return {row["step"]: (row["rows_in"], row["kept"], row["refused"]) for row in rows}


def broken(night: Night) -> set[tuple[str, str]]:
    return {(f.promise, f.place()) for f in findings(night.lake)[1] if f.promise in PROMISES}


def test_each_has_its_rows_its_refusals_and_its_account(engine: Engine, tmp_path: Path) -> None:
    night = bring([b"one", b"three", b"fail"], tmp_path, both())
    first, second = (block.name for block in vector_blocks(night.config.extract.encoders)["audio"])
    extract_modality(lambda *_: engine, night, "audio")
    stored = night.lake.read(FEATURES["audio"]).to_pylist()
    assert sorted((row["encoder"], row["vector"]) for row in stored) == sorted(
        [(first, [3, 1]), (first, [5, 1]), (first, [4, 1]), (second, [6, 2]), (second, [10, 2])]
    )
    assert accounts(night) == {"extract_audio": (3, 3, 0), f"extract_audio.{second}": (3, 2, 1)}
    (refused,) = night.lake.read(Quarantine).to_pylist()
    assert (refused["stage"], refused["source"]) == (f"extract_audio.{second}", "media/fail")
    assert not broken(night)

    reextract_modality(lambda *_: engine, night, "audio", chunk=2)
    assert accounts(night)[f"reextract_audio.{second}"] == (3, 2, 1) and not broken(night)

    step = f"extract_audio.{second}"
    (row,) = night.lake.read(Ledger, where=pc.field("step") == step).to_pylist()
    wrong = pa.Table.from_pylist([row | {"rows_in": 4, "kept": 3}], schema=Ledger.schema)
    night.lake.write(Ledger, wrong, {"date": night.ds, "step": step})
    assert broken(night) == {
        (promise, f"ledger/date={night.ds}/step={step}")
        for promise in (
            "contents that arrive are extracted or refused",
            "kept contents are in the store of their encoder",
        )
    }

    alone = there(tmp_path, configured("Toy"))
    extract_modality(lambda *_: engine, alone, "audio")
    assert set(accounts(alone)) == {"extract_audio", "reextract_audio", f"reextract_audio.{second}"}
    assert set(alone.lake.read(Quarantine)["stage"].to_pylist()) == {f"reextract_audio.{second}"}
    assert len(alone.lake.read(FEATURES["audio"])) == 5, "the store keeps what was extracted"
