"""What tasks know of a collector, and the span of a night that the scheduler sends."""

import os
import threading
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import context, trace

from dags.wiring import tracing
from dags.wiring.tracing import bring_collector, bring_trace, night_ended, place_of
from jobs.runtime.telemetry import PARENT
from tests.collector import collecting

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OF_TRACES, OF_METRICS = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in ("TRACES", "METRICS"))
BEGAN, ENDED = datetime(2026, 11, 2, 1, tzinfo=UTC), datetime(2026, 11, 2, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is brought into the environment is taken out again."""
    for name in [*(name for name in os.environ if name.startswith("OTEL_")), ENDPOINT, OF_TRACES, OF_METRICS, PARENT]:
        monkeypatch.setenv(name, "")


def a_run(run_id: str = "scheduled__2026-11-01", **changed: Any) -> Any:
    run = {"dag_id": "nightly_recommendations", "run_id": run_id, "logical_date": datetime(2026, 11, 1, tzinfo=UTC)}
    return SimpleNamespace(**run | {"start_date": BEGAN, "end_date": ENDED} | changed)


def test_the_tasks_of_a_run_and_the_scheduler_find_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    there = place_of(a_run(start_date=BEGAN.astimezone(tz=None)))
    assert place_of(a_run()) == there and len(there.trace_id) == 32 and len(there.span_id) == 16
    others = [a_run("manual__2026-11-01"), a_run(start_date=ENDED)]
    assert len({there, *map(place_of, others)}) == 3, "another run, and the same one started again"
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    bring_trace({"dag_run": a_run()})
    assert os.environ[PARENT] == str(there)


def test_a_trace_that_is_there_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv(PARENT, "theirs")
    bring_trace({"dag_run": a_run()})
    assert os.environ[PARENT] == "theirs"


def test_a_step_is_below_airflows_own_span_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    of_task = trace.SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(of_task)))
    try:
        bring_trace({"dag_run": a_run()})
    finally:
        context.detach(token)
    assert os.environ[PARENT] == f"00-{'ab'.zfill(32)}-{'cd'.zfill(16)}-01"


def test_airflows_settings_hold_where_the_environment_names_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    bring_collector()
    bring_trace({})
    assert not os.environ[OF_METRICS] and not os.environ[OF_TRACES] and not os.environ[PARENT]
    for name, value in {
        "OTEL_ON": "True",
        "OTEL_HOST": "collector",
        "OTEL_PORT": "4318",
        "OTEL_SSL_ACTIVE": "True",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
    bring_collector()
    assert os.environ[OF_METRICS] == "https://collector:4318/v1/metrics" and not os.environ[OF_TRACES]


def test_a_collector_that_the_environment_names_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", "True")
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    bring_collector()
    assert not os.environ[OF_TRACES]


@pytest.mark.parametrize("airflow_sends_its_own", [False, True])
def test_the_scheduler_sends_the_span_of_a_night_that_ended(
    airflow_sends_its_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", str(airflow_sends_its_own))
    begun: list[threading.Thread] = []

    class Noted(threading.Thread):
        def start(self) -> None:
            begun.append(self)
            super().start()

    monkeypatch.setattr(tracing, "Thread", Noted)
    with collecting() as made:
        monkeypatch.setenv(ENDPOINT, made.url)
        night_ended(a_run(), failed=True)
        for thread in begun:
            thread.join()
    if airflow_sends_its_own:
        assert not made.spans and not begun
        return
    (night,) = made.spans
    place = place_of(a_run())
    assert (night.name, night.trace, night.id, night.parent) == ("night", place.trace_id, place.span_id, "")
    assert night.failed and (night.began, night.ended) == (BEGAN.timestamp(), ENDED.timestamp())
    assert night.attributes["nightweave.night"] == str(date(2026, 11, 1))
