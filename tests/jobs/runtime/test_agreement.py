"""The steps of a run agree on one configuration and one code."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.landing.raw import Raw
from jobs.runtime import agreement, code
from jobs.runtime.agreement import begin, check_agreement
from jobs.runtime.night import Night, NightError
from lake.lake import Lake
from schemas.config import Config
from schemas.features import VectorBlock

TOYS = {m: {"name": f"tests.toys:{m.capitalize()}Bytes"} for m in ("text", "image", "audio", "video")}


def with_settings(night: Night, **sections: Any) -> Night:
    return replace(night, config=Config.model_validate({"extract": {"encoders": TOYS}, **sections}))


@pytest.fixture
def night(tmp_path: Path, lake: Lake) -> Night:
    bare = Night(dt.date(2026, 11, 7), Raw(str(tmp_path / "raw")), lake, Config())
    return with_settings(bare)


def test_steps_that_run_under_what_the_first_one_recorded_go_on(night: Night) -> None:
    begin(night)
    check_agreement(night)
    check_agreement(night, encoders=["text"])
    check_agreement(night, encoders=())


def test_a_night_whose_first_step_was_not_run_is_refused(night: Night) -> None:
    begin(night)
    with pytest.raises(NightError, match=r"night 2026-11-08: its first step, `clean`, was not run .* clear `clean`"):
        check_agreement(replace(night, date=dt.date(2026, 11, 8)))


def test_another_configuration_is_refused_with_the_settings_that_differ(night: Night) -> None:
    begin(night)
    other = with_settings(night, fusion={"strategy": "weighted", "seed": 5}, events={"rating_threshold": 3})
    with pytest.raises(NightError) as told:
        check_agreement(other, encoders=())
    assert (
        "events.rating_threshold was 4.0, is 3.0; fusion.seed was 20261123, is 5; fusion.strategy was 'stack', is "
        in (str(told.value))
    )
    assert told.value.law == 1 and told.value.partition == "date=2026-11-07"


def test_an_encoder_that_was_never_run_is_refused(night: Night) -> None:
    begin(night)
    changed = {"extract": {"encoders": {**TOYS, "image": {"name": "tests.toys:TextNoise"}}}}
    other = replace(night, config=Config.model_validate(changed))
    with pytest.raises(
        NightError, match=r"extract\.encoders\.image\.name was 'tests.toys:ImageBytes', is 'tests.toys:T"
    ):
        check_agreement(other, encoders=())


def test_an_encoder_whose_weights_changed_under_the_same_name_is_refused(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(night)
    other = (VectorBlock("toy-of-other-weights", 3),)
    monkeypatch.setattr(agreement, "vector_blocks", lambda choices: dict.fromkeys(choices, other))
    with pytest.raises(NightError, match=r"encoders\.text was \['histogram-\w+'\], is \['toy-of-other-weights'\]"):
        check_agreement(night, encoders=["text"])
    check_agreement(night, encoders=())


def test_other_code_is_refused(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(night)
    monkeypatch.setattr(agreement, "code_fingerprint", lambda: "deployed meanwhile")
    with pytest.raises(NightError, match="since its first step, `clean`, this has changed: the code\\. Steps"):
        check_agreement(night)


def test_settings_that_no_later_row_depends_on_may_change(night: Night) -> None:
    begin(night)
    check_agreement(
        with_settings(
            night, maintenance={"retention_days": 3}, query={"rows": 5}, landing={"marker": "_SUCCESS"}, spark="always"
        )
    )


def test_a_run_that_begins_anew_takes_the_place_of_the_one_before(night: Night) -> None:
    begin(night)
    other = with_settings(night, fusion={"seed": 5})
    begin(other)
    check_agreement(other)
    with pytest.raises(NightError, match=r"fusion\.seed was 5, is 20261123"):
        check_agreement(night)


def test_the_code_is_that_of_every_package() -> None:
    steps = {path.parent.name for path in code.ROOT.glob("*/__init__.py")} - {"benchmarks", "dags", "tests"}
    assert steps == set(code.PACKAGES)


def test_every_section_that_rows_depend_on_is_agreed_on() -> None:
    assert agreement.READ_LATER | {"landing", "maintenance", "query", "spark"} == Config.model_fields.keys()
