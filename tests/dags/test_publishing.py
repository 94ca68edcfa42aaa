"""The end of a night: published, left staged, or put before a person."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from dags.wiring import publishing
from lake import publication, staging
from lake.lake import Lake
from schemas.tables import Models
from tests.test_schemas import a_row

DAY = "2026-11-01"
DAG = SimpleNamespace(dag_id="nightly_recommendations")


def staged(lake: Lake, *, close: bool) -> None:
    made = {"date": dt.date(2026, 11, 1), "close": close, "verdict": "users: holds its own against ease; items: so too"}
    night = staging.as_of(lake, DAY)
    night.write(Models, pa.Table.from_pylist([a_row(Models, made)], schema=Models.schema), {"date": DAY})
    night.record_audit(passed=True)


@pytest.fixture
def place(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("NIGHTWEAVE_LAKE", lake.uri)
    monkeypatch.setenv("NIGHTWEAVE_RAW", str(tmp_path))
    return lake


def test_a_night_is_published_by_the_dag(place: Lake) -> None:
    staged(place, close=False)
    publishing.publish(params={"skip_publishing": False}, ds=DAY, dag=DAG)
    assert place.count(Models, {"date": DAY}) == 1
    assert [row.actor for row in publication.history(place)] == ["nightly_recommendations"]


def test_a_night_that_is_to_stay_staged_is_skipped(place: Lake) -> None:
    staged(place, close=False)
    with pytest.raises(AirflowSkipException):
        publishing.publish(params={"skip_publishing": True}, ds=DAY, dag=DAG)
    assert place.count(Models, {"date": DAY}) == 0 and not publication.history(place)
    assert staging.nights(place) == [DAY]


def test_a_night_is_rolled_back_by_whoever_triggers_it(place: Lake) -> None:
    staged(place, close=False)
    publishing.publish(params={"skip_publishing": False}, ds=DAY, dag=DAG)
    run = SimpleNamespace(triggering_user_name="ada")
    for _ in range(2):
        publishing.roll_back(params={"night": DAY, "reason": "odd shelves"}, dag=DAG, dag_run=run)
    assert len(publication.history(place)) == 2
    last = publication.history(place)[-1]
    assert (last.action, last.actor, last.reason) == ("rollback", "ada", "odd shelves")
    assert place.count(Models, {"date": DAY}) == 0


@pytest.mark.parametrize(("ask", "close", "asked"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_person_is_asked_where_the_verdict_is_close(
    place: Lake, ask: bool, close: bool, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(place, close=close)
    requests: list[dict] = []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **request: requests.append(request)
    )
    task = publishing.Approval(task_id="approve", subject=f"Publish the night {DAY}?", fail_on_reject=True)
    context = {"params": {"ask_when_close": ask}, "ds": DAY, "task_instance": SimpleNamespace(id="one")}
    if asked:
        with pytest.raises(TaskAwaitingInput):
            task.execute(context)
        (request,) = requests
        assert request["options"] == ["Approve", "Reject"]
        assert "- users: holds its own against ease\n- items: so too" in request["body"]
    else:
        assert task.execute(context) is None and requests == []
