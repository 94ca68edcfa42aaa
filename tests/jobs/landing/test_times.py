"""Times as sources write them: each is read as the moment that it means, or refused with its cause."""

import datetime as dt
import os
import subprocess
import sys
from decimal import Decimal

import pandas as pd
import pytest

from jobs.landing import records
from jobs.landing.raw import Refusal
from schemas.config import Clean, Events

NIGHT = dt.date(2026, 11, 1)
TEN = dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)
MIDNIGHT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
FIELDS = ("updated_at", "timestamp")


def read(value: object, field: str = "updated_at") -> dt.datetime:
    if field == "updated_at":
        return records.item({"item_id": "x", "updated_at": value}, night=NIGHT, config=Clean())["updated_at"]
    event = {"user_id": "u", "item_id": "x", "event": "view", "timestamp": value}
    return records.interaction(event, night=NIGHT, events=Events(), config=Clean())["timestamp"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        # ISO 8601, without a zone in UTC
        ("2026-11-01T10:00:00Z", TEN),
        ("2026-11-01T18:00:00+08:00", TEN),
        (" 2026-11-01 10:00:00 ", TEN),
        ("2026-11-01 10:00:00 UTC", TEN),
        ("20261101T100000Z", TEN),
        ("2026-11-01", MIDNIGHT),
        # stamps
        ("20261101100000", TEN),
        (20261101100000, TEN),
        (20261101100000.0, TEN),
        (Decimal("20261101100000.0"), TEN),
        ("20261101100000.0", TEN),
        ("202611011000", TEN),
        (20261101100000250, TEN + dt.timedelta(milliseconds=250)),
        ("20261101", MIDNIGHT),
        (20261101, MIDNIGHT),
        # counts since 1970
        (1793527200, TEN),
        ("1793527200", TEN),
        (1793527200.5, TEN + dt.timedelta(milliseconds=500)),
        (Decimal("1793527200.5"), TEN + dt.timedelta(milliseconds=500)),
        (1793527200000, TEN),
        ("1793527200000", TEN),
        (1793527200000000, TEN),
        (1793527200000000000, TEN),
        (946684800000, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)),  # 12 digits
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        # values with a type of their own
        (TEN, TEN),
        (dt.datetime(2026, 11, 1, 10), TEN),
        (dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), TEN),
        (dt.date(2026, 11, 1), MIDNIGHT),
        (pd.Timestamp("2026-11-01T10:00:00.000000999Z"), TEN),
        # up to the end of the day after the night
        ("2026-11-02T23:59:59.999999Z", dt.datetime(2026, 11, 2, 23, 59, 59, 999999, tzinfo=dt.UTC)),
        ("2026-11-03T09:00:00+10:00", dt.datetime(2026, 11, 2, 23, tzinfo=dt.UTC)),
    ],
)
def test_a_time_is_the_moment_that_it_means(value: object, moment: dt.datetime, field: str) -> None:
    found = read(value, field)
    assert found == moment and type(found) is dt.datetime and found.tzinfo is dt.UTC


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("9999-12-31T00:00:00Z", "in_future"),
        ("2036-11-01T00:00:00Z", "in_future"),
        ("2026-11-03T00:00:00Z", "in_future"),
        ("2026-11-02T22:00:00-02:00", "in_future"),
        ("20361101100000", "in_future"),
        (20261103, "in_future"),
        (4100000000, "in_future"),
        ("1969-12-31T23:59:59Z", "before_1970"),
        ("0001-01-01T00:00:00Z", "before_1970"),
        ("1970-01-01T00:00:00+01:00", "before_1970"),
        (-1, "before_1970"),
        ("19690720", "before_1970"),
        ("20261301100000", "type"),
        (20261399, "type"),
        ("0000-00-00 00:00:00", "type"),
        ("2026", "type"),  # a year, or a second of 1970
        (2026, "type"),
        ("202611", "type"),
        ("２０２６１１０１", "type"),
        ("01.11.2026", "type"),
        (10**30, "type"),
        (float("inf"), "type"),
        (True, "type"),
        ("9999-12-31T23:59:59-12:00", "type"),
        ([], "type"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_its_cause(value: object, reason: str, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(value, field)
    assert refused.value.reason == f"{field}_{reason}"


def test_an_item_needs_no_time_and_an_event_does() -> None:
    assert read(None) is None
    with pytest.raises(Refusal, match="timestamp_type"):
        read(None, "timestamp")


def test_no_time_depends_on_the_zone_of_the_machine() -> None:
    code = (
        "import datetime as dt; from tests.jobs.landing.test_times import read; "
        "print([read(v).isoformat() for v in ('2026-11-01', '20261101100000', 1793527200, '2026-11-01 10:00', "
        "dt.datetime(2026, 11, 1, 10), dt.date(2026, 11, 1))])"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True
        ).stdout
        for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles")
    }
    (answer,) = answers
    assert answer.count("2026-11-01T10:00:00+00:00") == 4 and answer.count("2026-11-01T00:00:00+00:00") == 2
