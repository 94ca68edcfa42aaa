"""When a night waits, when it makes room, and which later night it starts again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, DagRunTriggerException

from dags.wiring import alerts
from dags.wiring.order import WAITS, MakesRoom, earlier_nights_done, failed, take_up_next
from lake.lake import Lake
from schemas.tables import Ledger

NIGHTS = ("2026-11-01", "2026-11-02", "2026-11-03")


@dataclass
class Asked:
    """What Airflow would answer the task of a night: the state of each night's run, and of its waiting task."""

    ds: str
    runs: dict[str, str]
    waiting: dict[str, str] = field(default_factory=dict)
    dag_id: str = "nightly_recommendations"
    start_date: datetime = datetime(2026, 11, 24, 3, tzinfo=UTC)

    def get_previous_dagrun(self, state: str) -> SimpleNamespace | None:
        earlier = [day for day, run in self.runs.items() if day < self.ds and run == state]
        return SimpleNamespace(logical_date=datetime.fromisoformat(f"{max(earlier)}T00:00:00Z")) if earlier else None

    def get_dr_count(self, dag_id: str, *, logical_dates: list[datetime], states: list[str]) -> int:
        return sum(self.runs.get(str(moment.date())) in states for moment in logical_dates)

    def get_task_states(
        self, dag_id: str, *, task_ids: list[str], logical_dates: list[datetime] | None = None
    ) -> dict[str, dict[str, str]]:
        (task,) = task_ids
        asked = self.waiting if logical_dates is None else {str(moment.date()) for moment in logical_dates}
        return {f"backfill__{day}": {task: state} for day, state in self.waiting.items() if day in asked}


@pytest.fixture
def complete(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """Marks nights complete in a lake whose raw data has three."""
    for day in NIGHTS:
        (tmp_path / "raw" / "items" / f"ds={day}").mkdir(parents=True)
        (tmp_path / "raw" / "items" / f"ds={day}" / "items.jsonl").write_text('{"item_id": "a"}\n')
    monkeypatch.setenv("NIGHTWEAVE_RAW", str(tmp_path / "raw"))
    monkeypatch.setenv("NIGHTWEAVE_LAKE", lake.uri)

    def mark(*days: str) -> None:
        counts = dict.fromkeys(("rows_in", "kept", "refused", "duplicates", "superseded"), 0)
        for day in days:
            row = {"date": date.fromisoformat(day), "step": "recommend", **counts, "unknown_columns": []}
            lake.write(Ledger, pa.Table.from_pylist([row], schema=Ledger.schema), {"date": day, "step": "recommend"})

    return mark


def ask(night: str, **runs: str) -> bool:
    return earlier_nights_done(ds=night, ti=Asked(night, {f"2026-11-0{day[1:]}": state for day, state in runs.items()}))


def test_the_first_night_waits_for_none(complete) -> None:
    assert ask("2026-11-01", d2="running", d3="queued")


def test_complete_nights_that_nobody_makes_anew_are_enough(complete) -> None:
    complete(*NIGHTS[:2])
    assert ask("2026-11-03", d1="success", d2="failed")
    assert ask("2026-11-03")


def test_nights_that_run_are_waited_for(complete) -> None:
    assert not ask("2026-11-03", d1="running", d2="running")
    complete("2026-11-01")
    assert not ask("2026-11-03", d1="success", d2="running")


def test_a_complete_night_that_is_made_anew_is_waited_for(complete) -> None:
    complete(*NIGHTS)
    assert not ask("2026-11-03", d1="success", d2="running")


def test_room_is_made_for_a_night_that_queues(complete) -> None:
    with pytest.raises(MakesRoom, match="night 2026-11-03 makes room for 2026-11-01, 2026-11-02 and starts again when"):
        ask("2026-11-03", d1="queued", d2="running")
    complete(*NIGHTS)
    with pytest.raises(MakesRoom, match="makes room for 2026-11-02 and starts again"):
        ask("2026-11-03", d1="success", d2="queued")


@pytest.mark.parametrize("first", ["queued", "running"])
def test_room_is_made_for_a_night_that_has_made_room_itself(complete, first: str) -> None:
    runs = {"2026-11-01": first, "2026-11-02": "failed"}
    with pytest.raises(MakesRoom, match="makes room for 2026-11-01, 2026-11-02 and starts again"):
        earlier_nights_done(ds="2026-11-03", ti=Asked("2026-11-03", runs, {"2026-11-02": "failed"}))


def test_nights_that_wait_for_none_that_is_to_come_are_named(complete) -> None:
    """All have failed for want of an earlier night, and there is none any more that would start them again."""
    waiting = dict.fromkeys(NIGHTS[:2], "failed")
    with pytest.raises(AirflowFailException, match=r"not complete: 2026-11-01, 2026-11-02\. Run") as told:
        earlier_nights_done(ds="2026-11-03", ti=Asked("2026-11-03", waiting, waiting))
    assert not isinstance(told.value, MakesRoom)


@pytest.mark.parametrize("state", ["failed", None])
@pytest.mark.parametrize("second", ["success", "queued", "running"])
def test_a_night_that_nobody_runs_is_named(complete, state: str | None, second: str) -> None:
    if second == "success":
        complete("2026-11-02")
    with pytest.raises(AirflowFailException, match=r"night 2026-11-03 .* not complete: 2026-11-01[.,]") as told:
        ask("2026-11-03", **({"d1": state} if state else {}), d2=second)
    assert not isinstance(told.value, MakesRoom)


def test_whoever_is_on_call_is_not_told_of_room_that_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Mapping[str, object]] = []
    monkeypatch.setattr(alerts, "task_failed", told.append)
    failed({"exception": MakesRoom("night 2026-11-03 makes room")})
    assert not told
    of_another = {"exception": AirflowFailException("not complete: 2026-11-01")}
    failed(of_another)
    assert told == [of_another]


def test_the_earliest_night_that_made_room_starts_again(complete) -> None:
    waiting = {"2026-11-02": "failed", "2026-11-03": "failed"}
    with pytest.raises(DagRunTriggerException) as told:
        take_up_next(ds="2026-11-01", ti=Asked("2026-11-01", {}, waiting))
    assert told.value.dag_run_id == "backfill__2026-11-02" and told.value.reset_dag_run
    assert told.value.logical_date == datetime(2026, 11, 2, tzinfo=UTC)


def test_a_later_night_without_raw_data_starts_again_too(complete) -> None:
    with pytest.raises(DagRunTriggerException) as told:
        take_up_next(
            ds="2026-11-03",
            ti=Asked("2026-11-03", {}, {"2026-11-02": "failed", "2026-11-20": "failed"}),
        )
    assert told.value.logical_date == datetime(2026, 11, 20, tzinfo=UTC)


def test_nights_that_failed_of_something_else_are_left_alone(complete) -> None:
    take_up_next(
        ds="2026-11-01",
        ti=Asked("2026-11-01", {}, {"2026-11-02": "success", "2026-11-03": "skipped"}),
    )
    take_up_next(ds="2026-11-03", ti=Asked("2026-11-03", {}, {"2026-11-02": "failed"}))
    assert WAITS == "earlier_nights"
