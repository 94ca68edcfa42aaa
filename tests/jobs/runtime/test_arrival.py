"""A night's data must have arrived, and a rerun may not take away most of what was there."""

import datetime as dt
from pathlib import Path

import pytest

from jobs.landing.raw import LandingZoneError, Raw
from jobs.runtime.arrival import check_arrived, check_kept
from jobs.runtime.night import Night, NightError
from lake.lake import Lake
from schemas.config import Config, ConfigError, EncoderChoice, Extract, Landing, load
from schemas.tables import Items

NIGHT = dt.date(2026, 11, 7)


def night(raw: Path, landing: Landing, *, given: bool = False) -> Night:
    choice = EncoderChoice(name="given", parameters={"name": "clip", "dim": 2})
    extract = Extract(encoders={"image": choice}) if given else Extract()
    return Night(NIGHT, Raw(str(raw)), Lake(str(raw.parent / "lake")), Config(landing=landing, extract=extract))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def land(raw: Path, *paths: str) -> None:
    for path in paths:
        file = raw / path.format(ds=f"ds={NIGHT}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


ITEMS, EVENTS, VECTORS = "items/{ds}/a.jsonl", "interactions/{ds}/a.csv", "vectors/image/{ds}/a.parquet"
MARKED = Landing(marker="_SUCCESS")
BOTH = Landing(required=("items", "interactions"))


@pytest.mark.parametrize(
    ("landing", "paths"),
    [
        (Landing(), (ITEMS,)),
        (Landing(), (EVENTS,)),
        (BOTH, (ITEMS, EVENTS)),
        (MARKED, (ITEMS, "items/{ds}/_SUCCESS")),
        (MARKED, ("items/{ds}/_SUCCESS",)),  # it has arrived, and is empty
        (MARKED, (ITEMS, "items/{ds}/_SUCCESS", "interactions/{ds}/_other")),  # of which nothing would be read
    ],
)
def test_what_has_arrived(raw: Path, landing: Landing, paths: tuple[str, ...]) -> None:
    land(raw, *paths)
    check_arrived(night(raw, landing))


@pytest.mark.parametrize(
    ("landing", "paths", "lacking"),
    [
        (
            Landing(),
            (),
            "items/{ds}, {raw}/interactions/{ds}: no file that is read; if the day brings no data, declare",
        ),
        (Landing(), ("items/{ds}/_a.jsonl",), "interactions/{ds}: no file that is read"),
        (Landing(), ("items/{ds}/notes.doc",), "items/{ds}, {raw}/interactions/{ds}: no file that is read"),
        (Landing(), (VECTORS,), "items/{ds}, {raw}/interactions/{ds}: no file that is read"),
        (Landing(), ("items/ds=2026-11-06/a.jsonl",), "items/{ds}, {raw}/interactions/{ds}: no file that is read"),
        (BOTH, (ITEMS,), "changed: {raw}/interactions/{ds}: no file that is read"),
        (MARKED, (ITEMS,), "changed: {raw}/items/{ds}: files, but no _SUCCESS, which is put there last"),
        (MARKED, (ITEMS, "items/{ds}/_SUCCESS", EVENTS), "changed: {raw}/interactions/{ds}: files, but no _SUCCESS"),
        (MARKED, ("items/{ds}/_DONE",), "items/{ds}, {raw}/interactions/{ds}: no _SUCCESS; if the day"),
        (
            Landing(marker="_SUCCESS", required=("items", "interactions")),
            (ITEMS, "items/{ds}/_SUCCESS"),
            "changed: {raw}/interactions/{ds}: no _SUCCESS; if the day brings no data, declare it",
        ),
    ],
)
def test_what_has_not(raw: Path, landing: Landing, paths: tuple[str, ...], lacking: str) -> None:
    land(raw, *paths)
    with pytest.raises(NightError) as told:
        check_arrived(night(raw, landing))
    assert lacking.format(raw=raw, ds=f"ds={NIGHT}") in str(told.value)
    assert str(told.value).startswith("night 2026-11-07 has not arrived, and nothing of it was changed: ")
    assert told.value.partition == "date=2026-11-07"


def test_vectors_are_data_where_the_encoder_is_given_them(raw: Path) -> None:
    land(raw, VECTORS)
    check_arrived(night(raw, Landing(), given=True))


def test_days_without_data_are_declared_by_configuration_or_parameter(raw: Path) -> None:
    assert check_arrived(night(raw, Landing(days_without_data=(NIGHT,)))) == "no data, as declared"
    assert check_arrived(night(raw, Landing()), without_data=True) == "no data, as declared"
    with pytest.raises(NightError, match="has not arrived"):
        check_arrived(night(raw, Landing(days_without_data=(dt.date(2026, 11, 6),))))


def test_what_arrives_on_a_day_without_data_must_be_whole(raw: Path) -> None:
    land(raw, ITEMS)
    assert check_arrived(night(raw, Landing())) is None
    assert check_arrived(night(raw, Landing()), without_data=True) == "declared without data, has ['items']"
    with pytest.raises(NightError, match="files, but no _SUCCESS"):
        check_arrived(night(raw, MARKED), without_data=True)


def test_a_landing_zone_that_is_not_there_is_no_day_without_data(raw: Path) -> None:
    with pytest.raises(LandingZoneError, match="no such folder"):
        check_arrived(night(raw / "elsewhere", Landing()), without_data=True)


@pytest.mark.parametrize(
    ("held", "remaining", "share", "stops"),
    [(4, 0, 0.5, True), (4, 1, 0.5, True), (4, 2, 0.5, False), (1, 0, 0.5, False), (2, 0, 0.5, True), (4, 0, 1, False)],
)
def test_a_rerun_removes_no_more_than_the_set_share(
    raw: Path, held: int, remaining: int, share: float, stops: bool
) -> None:
    """One row never stops it."""
    of = night(raw, Landing(max_removed_share=share))
    if not stops:
        check_kept(of, Items, held=held, remaining=remaining)
        return
    with pytest.raises(NightError, match=f"would remove {held - remaining} of the {held} items .* --allow-shrinking"):
        check_kept(of, Items, held=held, remaining=remaining)


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    for wrong in ("marker: a/b", "required: [media]", "days_without_data: [tomorrow]", "max_removed_share: 2"):
        (tmp_path / "c.yaml").write_text(f"landing: {{{wrong}}}")
        with pytest.raises(ConfigError, match=rf"landing\.{wrong.partition(':')[0]}"):
            load(tmp_path / "c.yaml")
