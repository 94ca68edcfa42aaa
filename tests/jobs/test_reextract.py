"""A changed encoder over all content, in chunks, beside the nights; and a night's own content again."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest

from jobs import reextract
from jobs.extract import extract_modality
from jobs.reextract import reextract_modality
from jobs.runtime.night import Night
from jobs.verify import findings
from lake.rows import Engine
from schemas.features import FEATURES
from schemas.tables import Ledger, Quarantine
from tests.jobs.sounds import bring, configured

pytestmark = pytest.mark.night
AUDIO = FEATURES["audio"]
SOUNDS = [b"one", b"three", b"seventeen", b"eleven", b"two"]
OLD = sorted([[len(sound), 1.0] for sound in SOUNDS])
NEW = sorted([[2 * len(sound), 2.0] for sound in SOUNDS])


def vectors(night: Night) -> list[list[float]]:
    return sorted(night.lake.read(AUDIO)["vector"].to_pylist())


def commits(night: Night) -> int:
    return night.lake.current(AUDIO).version()


def changed(night: Night) -> Night:
    return replace(night, config=configured("Changed", max_refused_share=0.5))


def later(night: Night) -> Night:
    return replace(night, date=night.date + dt.timedelta(days=1))


def test_each_chunk_is_one_commit_and_the_old_rows_stay(engine: Engine, tmp_path: Path) -> None:
    night = bring(SOUNDS, tmp_path, configured("Toy"))
    extract_modality(lambda *_: engine, night, "audio")
    before = commits(night)
    reextract_modality(lambda *_: engine, changed(night), "audio", chunk=2)
    assert commits(night) == before + 3
    assert vectors(night) == sorted(OLD + NEW)
    (account,) = night.lake.read(Ledger, where=pc.field("step") == "reextract_audio").to_pylist()
    assert (account["rows_in"], account["kept"], account["refused"]) == (5, 5, 0)
    assert not [finding for finding in findings(night.lake)[1] if finding.severity == "fail"]


def test_a_run_that_was_killed_goes_on_with_what_is_lacking(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = bring(SOUNDS, tmp_path, configured("Toy"))
    whole, asked = reextract.extracted, []

    def die_at_the_second(*arguments: object, count: int, **more: object) -> object:
        asked.append(count)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return whole(*arguments, count=count, **more)

    monkeypatch.setattr(reextract, "extracted", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        reextract_modality(lambda *_: engine, changed(night), "audio", chunk=2)
    assert len(vectors(night)) == 2
    reextract_modality(lambda *_: engine, changed(night), "audio", chunk=2)
    assert asked == [2, 2, 2, 1], "what was committed is not made again"
    assert vectors(night) == NEW


def test_once_it_is_complete_a_night_finds_all_but_what_is_new(engine: Engine, tmp_path: Path) -> None:
    night = bring([*SOUNDS, b"fail"], tmp_path, configured("Toy"))
    reextract_modality(lambda *_: engine, changed(night), "audio", chunk=4)
    (refused,) = night.lake.read(Quarantine, where=pc.field("stage") == "reextract_audio").to_pylist()
    assert refused["source"] == "media/fail" and refused["reason"] == "unencodable"
    before = commits(night)

    def no_spark() -> Engine:
        raise AssertionError("there is nothing to extract")

    extract_modality(no_spark, later(changed(night)), "audio")
    assert commits(night) == before and vectors(night) == NEW


def test_nights_go_on_with_their_own_encoder_meanwhile(engine: Engine, tmp_path: Path) -> None:
    night = bring(SOUNDS, tmp_path, configured("Toy"))
    reextract_modality(lambda *_: engine, changed(night), "audio", chunk=100)
    extract_modality(lambda *_: engine, night, "audio")
    assert vectors(night) == sorted(OLD + NEW)


def test_extracting_again_replaces_rows_and_doubles_none(engine: Engine, tmp_path: Path) -> None:
    says = tmp_path / "says"
    night = bring(SOUNDS, tmp_path, configured("Told", {"says": str(says)}, max_refused_share=1))
    says.write_text("1")
    extract_modality(lambda *_: engine, night, "audio")
    says.write_text("7")
    extract_modality(lambda *_: engine, night, "audio")
    assert vectors(night) == OLD, "what is in the store isn't made again"
    extract_modality(lambda *_: engine, night, "audio", again=True)
    assert vectors(night) == sorted([[length, 7.0] for length, _ in OLD])
    extract_modality(lambda *_: engine, later(night), "audio", again=True)
    assert len(vectors(night)) == 5, "the next night brings none of them"


def test_what_is_refused_when_extracted_again_leaves_the_store(engine: Engine, tmp_path: Path) -> None:
    says = tmp_path / "says"
    night = bring([b"one"], tmp_path, configured("Told", {"says": str(says)}, max_refused_share=1))
    says.write_text("1")
    extract_modality(lambda *_: engine, night, "audio")
    says.write_text("fail")
    extract_modality(lambda *_: engine, night, "audio", again=True)
    assert vectors(night) == []
    (account,) = night.lake.read(Ledger).to_pylist()
    assert (account["rows_in"], account["kept"], account["refused"]) == (1, 0, 1)
