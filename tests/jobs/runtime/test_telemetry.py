"""A collector on loopback hears what steps did and cost; without one, or with one that is gone, nothing changes."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from jobs.runtime.costs import Cost, keep
from jobs.runtime.night import NightError
from jobs.runtime.telemetry import PARENT, night_span
from jobs.runtime.told import tell
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import Ledger, Metrics, Models, Quarantine
from tests.collector import Collector, collecting
from tests.jobs.runtime.test_costs import DATE, a_night
from tests.test_schemas import a_row

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OUTER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BEGAN = datetime(2026, 11, 2, 1, 30, tzinfo=UTC)
IMAGES = Cost("extract_image", "image", "done", None, BEGAN, 8.0, 12.5, 300 << 20, 4000, 5000, 2.5)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no collector."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(PARENT, raising=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv(ENDPOINT, made.url)
        yield made


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """16 pictures, of which 3 were refused; a model with figures; and what the steps cost."""
    lake = Lake(str(tmp_path_factory.mktemp("told")))
    for step, (kept, refused) in {
        "extract_image": (12, 3),
        "extract_image.hog-1": (15, 0),
        "reextract_image": (7, 0),
    }.items():
        counts = {"rows_in": 16, "kept": kept, "refused": refused, "duplicates": 1, "superseded": 0}
        put(lake, Ledger, [{"step": step, **counts}], step=step)
    reasons: list[dict[str, Any]] = [
        {"reason": "undecodable", "source": "a"},
        {"reason": "timeout", "source": "b", "rows": 2},
    ]
    put(lake, Quarantine, [{"stage": "extract_image", **reason} for reason in reasons], stage="extract_image")
    put(lake, Models, [{"model_version": "stack-1", "strategy": "stack"}])
    figures = [
        ("stack", "per_user", "all", "ndcg", 10, 0.25),
        ("stack", "cold_items", "all", "ndcg", 10, 0.125),
        ("popularity", "per_user", "all", "ndcg", 10, 0.0625),
        ("stack without text", "per_user", "all", "ndcg", 10, 0.2),
        ("stack", "per_user validation", "all", "ndcg", 10, 0.2),
        ("stack", "per_user", "warm_users", "ndcg", 10, 0.2),
        ("stack", "per_user", "all", "recall", 10, 0.2),
    ]
    names = ("model", "split", "segment", "metric", "k", "value")
    put(lake, Metrics, [{"model_version": "stack-1", **dict(zip(names, row, strict=True))} for row in figures])
    for cost in (IMAGES, Cost("evaluate", None, "done", None, BEGAN, 4.0, 4.0, 1, None, None, None)):
        keep(a_night(lake.uri), cost)
    return lake


def put(lake: Lake, table: type[Table], rows: list[dict[str, Any]], **partition: str) -> None:
    filled = [a_row(table, {"date": DATE, **row}) for row in rows]
    lake.write(table, pa.Table.from_pylist(filled, schema=table.schema), {"date": str(DATE), **partition})


def test_a_step_tells_what_it_cost_and_what_became_of_its_rows(judged: Lake, collector: Collector) -> None:
    tell(a_night(judged.uri), "extract_image", None)
    of = {"step": "extract_image", "modality": "image", "outcome": "done"}
    assert collector.figure("nightweave.step.duration", **of) == 8.0
    assert collector.figure("nightweave.step.cpu", **of) == 12.5
    assert collector.figure("nightweave.step.memory.peak", **of) == 300 << 20
    assert collector.figure("nightweave.step.io", direction="read", **of) == 4000
    assert collector.figure("nightweave.step.io", direction="write", **of) == 5000
    assert collector.figure("nightweave.step.gpu", **of) == 2.5
    fates = {"kept": 12, "refused": 3, "duplicates": 1, "superseded": 0}
    for fate, rows in fates.items():
        assert collector.figure("nightweave.rows", step="extract_image", fate=fate) == rows
    assert collector.figure("nightweave.rows", step="extract_image.hog-1", fate="kept") == 15
    assert collector.figure("nightweave.rows.rate", step="extract_image") == 16 / 8
    assert collector.figure("nightweave.refused", step="extract_image", reason="undecodable") == 1
    assert collector.figure("nightweave.refused", step="extract_image", reason="timeout") == 2
    assert not [name for name, attributes, _ in collector.figures if ("step", "reextract_image") in attributes]
    assert {resource["service.name"] for resource in collector.resources} == {"nightweave"}
    assert {resource["nightweave.night"] for resource in collector.resources} == {"2026-11-01"}


def test_evaluation_tells_how_good_the_model_is(judged: Lake, collector: Collector) -> None:
    tell(a_night(judged.uri), "evaluate", None)
    told = {(dict(of)["model"], dict(of)["split"]): v for name, of, v in collector.figures if name == "nightweave.ndcg"}
    assert told == {("stack", "per_user"): 0.25, ("stack", "cold_items"): 0.125, ("popularity", "per_user"): 0.0625}
    assert collector.figure("nightweave.ndcg", model="stack", split="per_user", k=10) == 0.25
    assert not [name for name, *_ in collector.figures if name in ("nightweave.step.io", "nightweave.step.gpu")]


def test_a_night_is_the_trace_of_its_steps(judged: Lake, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PARENT, OUTER)
    with pytest.raises(NightError), night_span(DATE):
        tell(a_night(judged.uri), "extract_image", None)
        tell(a_night(judged.uri), "evaluate", NightError("a person's secret"))
        raise NightError("failed")
    assert os.environ[PARENT] == OUTER
    images, evaluate, night = collector.spans
    assert [span.name for span in collector.spans] == ["extract_image", "evaluate", "night"]
    assert {span.trace for span in collector.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert (images.parent, evaluate.parent, night.parent) == (night.id, night.id, "b7ad6b7169203331")
    assert (images.failed, evaluate.failed, night.failed) == (False, True, True)
    assert (images.began, images.ended) == (BEGAN.timestamp(), BEGAN.timestamp() + 8)
    assert images.attributes["nightweave.cpu_s"] == 12.5
    assert evaluate.attributes["error.type"] == "NightError" and "secret" not in str(evaluate)
    assert not [name for name, of, _ in collector.figures if name == "nightweave.ndcg"], "of a step that failed"


def test_a_night_of_its_own_begins_a_trace(collector: Collector) -> None:
    with night_span(DATE):
        assert os.environ[PARENT]
    (night,) = collector.spans
    assert not night.parent and not night.failed and not os.environ.get(PARENT)


@pytest.mark.parametrize(
    "off",
    [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"}],
    ids=str,
)
def test_nobody_is_told_unless_somebody_is_named(
    off: dict[str, str], judged: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as made:
        for name, value in {ENDPOINT: made.url, **off}.items() if off else ():
            monkeypatch.setenv(name, value)
        tell(a_night(judged.uri), "evaluate", None)
        with night_span(DATE):
            assert not os.environ.get(PARENT)
    assert not made.figures and not made.spans


def test_one_signal_may_be_wanted_and_named_otherwise(judged: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{made.url}/v1/traces")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        tell(a_night(judged.uri), "evaluate", None)
    assert [span.name for span in made.spans] == ["evaluate"] and not made.figures
    assert made.resources[0]["service.name"] == "shop"


@pytest.mark.parametrize("answers", [False, True])
def test_a_collector_that_is_gone_costs_a_moment_and_a_line(
    answers: bool, judged: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether nobody listens, or somebody who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not answers:
            listener.close()
        monkeypatch.setenv(ENDPOINT, f"http://somebody:password@127.0.0.1:{port}")
        keep(a_night(judged.uri), Cost("clean", None, "done", None, BEGAN, 1.0, 1.0, 1, 1, 1, None))
        keep(a_night(judged.uri), Cost("evaluate", None, "done", None, BEGAN, 1.0, 1.0, 1, 1, 1, None))
        caplog.set_level(logging.INFO)
        tell(a_night(judged.uri), "clean", None)
        started = time.monotonic()
        tell(a_night(judged.uri), "evaluate", None)
        assert time.monotonic() - started < 2
    (warned,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert warned.getMessage().startswith(f"the step clean could not be told to 127.0.0.1:{port}: Failed to export")
    assert f"the step evaluate could not be told to 127.0.0.1:{port}" in caplog.text and "password" not in caplog.text


def test_another_protocol_is_said_not_to_be_spoken(
    judged: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    caplog.set_level(logging.INFO)
    tell(a_night(judged.uri), "evaluate", None)
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is grpc; expected http/protobuf" in caplog.text
