"""Which collector a task's process tells what it did, and of which trace that is a part; and the span of a night.

Airflow's own settings (`[metrics] otel_on`, `[traces] otel_on`) hold where OpenTelemetry's variables name no collector.
With Airflow's traces on, a step is below Airflow's span of its task. Otherwise the steps of a run are below one span,
the night, which the scheduler sends when the run ends.
"""

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Thread
from typing import Any

from jobs.runtime.telemetry import METRICS, PARENT, TRACES, Place, endpoint, send_night


def bring_collector() -> None:
    """Put the collector of Airflow's settings into this process's environment, where that names none."""
    from airflow.sdk.configuration import conf

    for signal in (METRICS, TRACES):
        variable = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        if os.environ.get(variable) or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            continue
        if conf.getboolean(signal, "otel_on", fallback=False):
            scheme = "https" if conf.getboolean(signal, "otel_ssl_active", fallback=False) else "http"
            host, port = conf.get(signal, "otel_host"), conf.get(signal, "otel_port")
            os.environ[variable] = f"{scheme}://{host}:{port}/v1/{signal}"


def bring_trace(context: Mapping[str, Any]) -> None:
    """Put the place of a task's process in the trace of its run into the environment, unless it has one."""
    if not endpoint(TRACES) or os.environ.get(PARENT):
        return
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    if current.is_valid and current.trace_flags.sampled:
        place = Place(trace.format_trace_id(current.trace_id), trace.format_span_id(current.span_id))
    else:
        place = place_of(context["dag_run"])
    os.environ[PARENT] = str(place)


def place_of(dag_run: Any) -> Place:
    """Where the span of a run is: its tasks and the scheduler find the same, and another each time that it starts."""
    begun = dag_run.start_date.astimezone(UTC).isoformat()
    ids = hashlib.sha256(f"{dag_run.dag_id} {dag_run.run_id} {begun}".encode()).hexdigest()
    return Place(ids[:32], ids[32:48])


def night_ended(dag_run: Any, *, failed: bool) -> None:
    """Send the span of a night whose run has ended, beside what the caller does; not where Airflow sends its own."""
    from airflow.sdk.configuration import conf

    if not endpoint(TRACES) or conf.getboolean(TRACES, "otel_on", fallback=False):
        return
    told = {
        "own": place_of(dag_run),
        "parent": None,
        "began": dag_run.start_date,
        "ended": dag_run.end_date or datetime.now(UTC),
        "failed": failed,
    }
    Thread(target=send_night, args=(dag_run.logical_date.date(),), kwargs=told, daemon=True).start()
