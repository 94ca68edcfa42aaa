"""Runs show the night that they make, and none is made without one."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pendulum
import pytest
from airflow.timetables.base import DataInterval
from airflow.utils.types import DagRunType

from dags.wiring.nights import Nights
from dags.wiring.notes import NIGHTLY, on_dag_run_running

TIMETABLE = Nights("@daily", timezone="UTC")
NIGHT, AFTER = (pendulum.datetime(2026, 11, day, tz="UTC") for day in (7, 8))


def name(run_type: DagRunType, interval: DataInterval | None) -> str:
    return TIMETABLE.generate_run_id(run_type=run_type, run_after=AFTER, data_interval=interval, partition_key=None)


def test_a_scheduled_run_is_named_by_its_night() -> None:
    assert name(DagRunType.SCHEDULED, DataInterval(NIGHT, AFTER)) == "scheduled__2026-11-07"


def test_runs_that_people_trigger_keep_the_moment_in_their_name() -> None:
    """A night may be triggered more than once."""
    assert name(DagRunType.MANUAL, DataInterval(NIGHT, AFTER)) == "manual__2026-11-08T00:00:00+00:00"


def test_a_run_without_a_logical_date_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"no night to make: .* --logical-date 2026-11-07T00:00:00Z$") as told:
        name(DagRunType.MANUAL, None)
    assert "\n" not in str(told.value)


def test_a_timetable_that_was_stored_is_the_same() -> None:
    assert Nights.deserialize(TIMETABLE.serialize()).serialize() == TIMETABLE.serialize()


@pytest.mark.parametrize(
    ("dag_id", "before", "after"),
    [
        (NIGHTLY, None, "Night 2026-11-07: makes the partitions date=2026-11-07"),
        (NIGHTLY, "after the outage", "after the outage"),
        ("maintenance", None, None),
    ],
)
def test_a_run_has_its_night_for_a_note(dag_id: str, before: str | None, after: str | None) -> None:
    run = SimpleNamespace(dag_id=dag_id, logical_date=datetime(2026, 11, 7, tzinfo=UTC), note=before)
    on_dag_run_running(run)
    assert run.note == after
