"""As much of an OpenTelemetry collector as receives OTLP over HTTP, on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

Figure = tuple[str, frozenset[tuple[str, Any]], float]


@dataclass(frozen=True)
class Span:
    """A span that came; ids in hex, `parent` empty for the first of a trace, times in seconds since 1970."""

    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    began: float
    ended: float
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What came, and where to send it."""

    url: str
    figures: list[Figure] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def figure(self, name: str, **attributes: Any) -> float:
        """The one figure of that name with exactly these attributes."""
        (value,) = (v for n, a, v in self.figures if n == name and dict(a) == attributes)
        return value

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/metrics":
            for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(_attributes(of_resource.resource.attributes))
                for metric in (metric for scope in of_resource.scope_metrics for metric in scope.metrics):
                    for point in metric.gauge.data_points:
                        value = getattr(point, point.WhichOneof("value"))
                        self.figures.append((metric.name, frozenset(_attributes(point.attributes).items()), value))
        else:
            assert path == "/v1/traces", path
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(_attributes(of_resource.resource.attributes))
                for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    failed = span.status.code == Status.STATUS_CODE_ERROR
                    times = (span.start_time_unix_nano / 1e9, span.end_time_unix_nano / 1e9)
                    self.spans.append(Span(span.name, *ids, failed, *times, _attributes(span.attributes)))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
