"""Figures and spans for an OpenTelemetry collector, where the environment names one.

The variables are OpenTelemetry's own (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`,
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_SERVICE_NAME` and so on); what is sent is protobuf over HTTP. It is sent at
the end of a step, once: a collector that is gone costs less than a second, and fails nothing.
"""

import logging
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from jobs.runtime.failure import one_line

log = logging.getLogger("nightweave.telemetry")

METRICS, TRACES = "metrics", "traces"
PARENT = "TRACEPARENT"
"""The variable that tells a process its place in a trace, as W3C's header of that name does."""
OURS = "nightweave"
TIMEOUT_S = 0.75
"""For one request, unless OTEL_EXPORTER_OTLP_TIMEOUT gives another. A second try would wait for longer than that."""
LONGEST = 300
W3C = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
Value = str | int | float


@dataclass(frozen=True)
class Gauge:
    """A figure as of the end of a step.

    Attributes:
        unit: as UCUM writes it.
    """

    name: str
    unit: str
    value: float
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a span is in a trace: ids in hex, of 32 and 16 digits."""

    trace_id: str
    span_id: str

    @classmethod
    def of(cls, traceparent: str) -> "Place | None":
        """The place that a W3C header names; None where it is none.

        >>> Place.of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        Place(trace_id='0af7651916cd43dd8448eb211c80319c', span_id='b7ad6b7169203331')
        >>> Place.of("upstairs")
        """
        found = W3C.fullmatch(traceparent)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def endpoint(signal: str) -> str | None:
    """Where the environment has `metrics` or `traces` sent; None where nobody wants them."""
    name = signal.upper()
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get(f"OTEL_{name}_EXPORTER") == "none":
        return None
    named = (f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return next((os.environ[variable] for variable in named if os.environ.get(variable)), None)


@contextmanager
def tolerated(what: str, *, warns: bool = True) -> Iterator[None]:
    """Within it, what cannot be sent is one line of the log, and fails nothing.

    Args:
        what: that is to be told, in words.
        warns: the line is a warning.
    """
    theirs, said = logging.getLogger("opentelemetry"), _Kept()
    propagates, theirs.propagate = theirs.propagate, False
    theirs.addHandler(said)
    try:
        yield
    except Exception as error:
        place = urlsplit(endpoint(METRICS) or endpoint(TRACES) or "")
        why = " ".join(said.lines) or f"{type(error).__name__}: {error}"
        words = one_line(f"{what} could not be told to {place.hostname}:{place.port or ''}: {why}")[:LONGEST]
        log.log(logging.WARNING if warns else logging.INFO, "%s", words)
    finally:
        theirs.removeHandler(said)
        theirs.propagate = propagates


def send_gauges(gauges: Sequence[Gauge], *, night: date) -> None:
    """Send figures, if anybody wants metrics.

    Raises:
        ConnectionError: they were not taken.
    """
    if not endpoint(METRICS):
        return
    _check_protocol(METRICS)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult

    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], _resource(night), shutdown_on_exit=False).get_meter(OURS)
    made = {gauge.name: meter.create_gauge(f"{OURS}.{gauge.name}", gauge.unit) for gauge in gauges}
    for gauge in gauges:
        made[gauge.name].set(gauge.value, gauge.attributes)
    data = reader.get_metrics_data()
    if data and OTLPMetricExporter(timeout=_timeout_s(METRICS)).export(data) is not MetricExportResult.SUCCESS:
        raise ConnectionError("metrics were not taken")


def send_span(
    name: str,
    *,
    night: date,
    began: datetime,
    ended: datetime,
    failed: bool,
    parent: str | None,
    own: Place | None = None,
    attributes: Mapping[str, Value] | None = None,
) -> None:
    """Send a span, if anybody wants traces.

    Args:
        parent: the span that it is below, as a W3C header; it is a trace's first if None.
        own: its ids; drawn if None.

    Raises:
        ConnectionError: it was not taken.
    """
    if not endpoint(TRACES):
        return
    _check_protocol(TRACES)
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    finished = InMemorySpanExporter()
    drawn = _given(own) if own else None
    provider = TracerProvider(resource=_resource(night), id_generator=drawn, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(finished))
    above = TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {}, Context())
    start, end = (int(moment.timestamp() * 1e9) for moment in (began, ended))
    span = provider.get_tracer(OURS).start_span(name, above, attributes=attributes, start_time=start)
    span.set_status(Status(StatusCode.ERROR if failed else StatusCode.OK))
    span.end(end)
    spans = finished.get_finished_spans()  # none where the environment has a sampler that leaves it out
    if spans and OTLPSpanExporter(timeout=_timeout_s(TRACES)).export(spans) is not SpanExportResult.SUCCESS:
        raise ConnectionError("the span was not taken")


@contextmanager
def night_span(night: date) -> Iterator[None]:
    """Within it, the steps that this process starts are below one span, the night, which is sent at the end."""
    if not endpoint(TRACES):
        yield
        return
    began, parent, failed = datetime.now(UTC), os.environ.get(PARENT, ""), True
    above = Place.of(parent)
    own = Place(above.trace_id if above else secrets.token_hex(16), secrets.token_hex(8))
    os.environ[PARENT] = str(own)
    try:
        yield
        failed = False
    finally:
        os.environ[PARENT] = parent
        send_night(night, own=own, parent=parent, began=began, ended=datetime.now(UTC), failed=failed)


def send_night(night: date, *, own: Place, parent: str | None, began: datetime, ended: datetime, failed: bool) -> None:
    """Send the span of a night, whose steps are sent apart; arguments as of `send_span`."""
    with tolerated(f"the night {night}", warns=False):
        attributes = {"nightweave.night": night.isoformat()}
        send_span(
            "night", night=night, began=began, ended=ended, failed=failed, parent=parent, own=own, attributes=attributes
        )


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _given(own: Place) -> Any:
    """What gives a span these ids."""
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class Given(IdGenerator):
        def generate_span_id(self) -> int:
            return int(own.span_id, 16)

        def generate_trace_id(self) -> int:
            return int(own.trace_id, 16)

    return Given()


def _resource(night: date) -> Any:
    """Who tells it: the service, as the environment names it or else `nightweave`, its version, and the night."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    found = Resource.create({"service.version": version(OURS), "nightweave.night": night.isoformat()})
    unnamed = str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found.merge(Resource({SERVICE_NAME: OURS})) if unnamed else found


def _check_protocol(signal: str) -> None:
    for name in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := os.environ.get(name):
            if protocol != "http/protobuf":
                raise ConnectionError(f"{name} is {protocol}; expected http/protobuf, the only one that is spoken here")
            return


def _timeout_s(signal: str) -> float | None:
    """Seconds for a request; None where the environment gives them to the exporter."""
    given = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if any(os.environ.get(name) for name in given) else TIMEOUT_S
