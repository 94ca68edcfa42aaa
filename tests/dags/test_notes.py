"""The note of a run: ours above a person's, within what the database takes."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models import DagRun

from dags.wiring import notes


def run(content: str | None = None, user: str | None = None) -> Any:
    before = None if content is None else SimpleNamespace(content=content, user_id=user)
    others = SimpleNamespace(tags=[SimpleNamespace(name="somebody's")])
    return SimpleNamespace(
        dag_id="somebody_s", dag_run_note=before, note=content, logical_date=date(2026, 11, 1), dag_model=others
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (run(), "ours"),
        (run("an older one of ours"), "ours"),
        (run("Ana's", "1"), "ours\n\n---\n\nAna's"),
        (run("an older one of ours\n\n---\n\nAna's", "1"), "ours\n\n---\n\nAna's"),
    ],
)
def test_a_note_of_ours_takes_the_place_of_the_one_before_it(before: Any, after: str) -> None:
    notes._note(before, "ours")
    assert before.note == after


@pytest.mark.parametrize(("theirs", "length"), [("", 1000), ("x" * 500, 1000), ("x" * 950, 950)])
def test_no_note_is_longer_than_the_database_takes_and_a_persons_is_whole(theirs: str, length: int) -> None:
    noted = run(theirs, "1") if theirs else run()
    notes._note(noted, "y" * 2000)
    assert len(noted.note) == length and noted.note.endswith(theirs)


def test_a_run_that_told_nothing_or_is_somebody_elses_has_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = run()
    monkeypatch.setattr(notes, "_session", lambda _: object())
    monkeypatch.setattr(notes, "failures", lambda *_: {})
    notes.on_dag_run_failed(noted)
    notes.on_dag_run_success(noted)
    assert noted.note is None


def test_the_span_of_a_night_is_sent_when_its_run_ends_and_of_no_other_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, bool]] = []
    monkeypatch.setattr(notes, "night_ended", lambda dag_run, failed: sent.append((dag_run.dag_id, failed)))
    monkeypatch.setattr(notes, "_session", lambda _: object())
    monkeypatch.setattr(notes, "failures", lambda *_: {})
    for dag_id in ("nightly_recommendations", "maintenance"):
        ended = run()
        ended.dag_id = dag_id
        notes.on_dag_run_failed(ended)
        notes.on_dag_run_success(ended)
    assert sent == [("nightly_recommendations", True), ("nightly_recommendations", False)]


def test_without_a_scheduler_nothing_is_noted() -> None:
    """As Airflow's `dag.test` calls it, whose run belongs to no session."""
    detached = DagRun(dag_id="nightly_recommendations", run_id="r", logical_date=datetime(2026, 11, 1, tzinfo=UTC))
    notes.on_dag_run_failed(detached)
    notes.on_dag_run_success(detached)
    assert detached.note is None
