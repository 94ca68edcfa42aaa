"""Who is on call learns which law was broken and where; by webhook or by mail, as the connection says."""

import email
import json
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.wiring import alerts
from dags.wiring.notes import FAILURE
from jobs.runtime.failure import LAW_OF_TABLE, LAWS, VARIABLE, Failure, leave, left
from jobs.runtime.night import NightError, user_errors
from schemas.tables import TABLES


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in (VARIABLE, "NIGHTWEAVE_ALERT_CONN_ID", "NIGHTWEAVE_ALERT_TO"):
        monkeypatch.delenv(name, raising=False)


LOG = "http://127.0.0.1:8080/dags/nightly_recommendations/runs/r/tasks/extract_audio?try_number=3"
DOC = """
- `clean`: RAW cannot be read.
- `extract_text`, `extract_audio`: an encoder cannot be loaded:
  look at `quarantine`.
- `train`: memory ran out.
"""


def context(**more: Any) -> dict[str, Any]:
    pushed: dict[str, str] = {}
    task = SimpleNamespace(
        id="0197",
        dag_id="nightly_recommendations",
        task_id="extract_audio",
        try_number=3,
        log_url=LOG,
        xcom_push=pushed.__setitem__,
        pushed=pushed,
    )
    dag = SimpleNamespace(doc_md=DOC)
    return {"ti": task, "dag": dag, "dag_run": SimpleNamespace(run_id="r"), "ds": "2026-11-07"} | more


def fail(error: Exception) -> None:
    """What a step's process does in the end."""
    with pytest.raises((SystemExit, type(error))), user_errors():
        raise error


@contextmanager
def webhook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A local one, its port, and what it was posted."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append({"path": self.path, "body": json.loads(body)})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, posted
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """As much of SMTP as a message needs: its port, and the envelopes and texts that came."""
    came: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 local\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper().strip()
                came.append(line.decode().strip())
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    while (text := self.rfile.readline()) != b".\r\n":
                        came.append(text.decode().strip())
                if verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], came
    finally:
        server.shutdown()
        server.server_close()


def connection(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ON_CALL", json.dumps(fields))
    monkeypatch.setenv("NIGHTWEAVE_ALERT_CONN_ID", "on_call")


def test_a_step_leaves_the_law_and_the_partition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "left.json"))
    fail(NightError("3 of 4 refused", law=3, partition="date=2026-11-07/step=clean_items"))
    assert left(tmp_path / "left.json") == Failure("3 of 4 refused", 3, "date=2026-11-07/step=clean_items")


def test_a_step_that_nobody_watches_leaves_nothing(tmp_path: Path) -> None:
    leave(Failure("x"))
    assert list(tmp_path.iterdir()) == []


def test_a_webhook_is_told_the_law_and_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = context(exception=RuntimeError("spark-submit: error code 1"))
    alerts.expect_failure(failed)
    fail(NightError("3 of 4 refused: {{ 7 * 7 }}", law=3, partition="date=2026-11-07/step=extract_audio"))
    with webhook() as (port, posted):
        connection(monkeypatch, conn_type="http", host="127.0.0.1", port=port, schema="http")
        alerts.task_failed(failed)
    (call,) = posted
    assert call["body"]["law"] == 3 and call["body"]["partition"] == "date=2026-11-07/step=extract_audio"
    assert call["body"]["subject"] == "nightly_recommendations 2026-11-07: extract_audio failed"
    assert call["body"]["message"] == "3 of 4 refused: {{ 7 * 7 }}", "what came with the data is not rendered"
    assert call["body"]["text"].splitlines() == [
        "3 of 4 refused: {{ 7 * 7 }}",
        "nightly_recommendations 2026-11-07: extract_audio failed, try 3",
        f"broken: law 3 ({LAWS[3]}); partition: date=2026-11-07/step=extract_audio",
        "what to do: an encoder cannot be loaded: look at `quarantine`.",
        f"log: {LOG}",
    ]


def test_the_last_line_of_the_log_is_the_sentence(caplog: pytest.LogCaptureFixture) -> None:
    failed = context()
    alerts.expect_failure(failed)
    fail(NightError("3 of 4 refused", law=3))
    alerts.task_failed(failed)
    assert caplog.messages[-1].splitlines()[-1] == "3 of 4 refused"


SUBMITTED = "Cannot execute: spark-submit --master local[1] jobs/cli.py. Error code is: {}."
RAN = "Bash command failed. The command returned a non-zero exit code {}."


@pytest.mark.parametrize("said", [SUBMITTED.format(1), RAN.format(1)])
def test_a_task_fails_with_the_sentence_of_its_process(said: str) -> None:
    failed = context()
    alerts.expect_failure(failed)
    fail(ValueError("no such\ncolumn\x00"))
    with pytest.raises(alerts.TaskFailed) as raised, alerts.own_words(failed):
        raise AirflowException(said)
    sentence = str(raised.value)
    assert re.fullmatch(r"ValueError: no such column\?, at .*test_alerts\.py:\d+ in fail", sentence)
    assert failed["ti"].pushed == {FAILURE: sentence}, "which is what the note of the run is made of"
    assert alerts.failure_of(failed | {"exception": raised.value}).message == sentence


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (SUBMITTED.format(-9), "the step's process was ended by SIGKILL, most often for want of memory; "),
        (SUBMITTED.format(137), "the step's process was ended by SIGKILL, most often for want of memory; "),
        (RAN.format(143), "the step's process was ended by SIGTERM; "),
        (RAN.format(3), "the step's process ended with exit code 3 and left no reason; "),
    ],
)
def test_a_process_that_could_not_say_why_has_a_sentence_too(said: str, sentence: str) -> None:
    with pytest.raises(alerts.TaskFailed) as raised, alerts.own_words(context()):
        raise AirflowException(said)
    assert str(raised.value).startswith(sentence)


def test_an_error_in_the_task_itself_stays_what_it_is() -> None:
    failed = context()
    with pytest.raises(AirflowFailException, match="night 1 is lacking"), alerts.own_words(failed):
        raise AirflowFailException("night 1 is lacking")
    assert failed["ti"].pushed == {FAILURE: "night 1 is lacking"}


@pytest.mark.parametrize("name", ["nightly_recommendations", "reextract_features", "maintenance", "roll_back"])
def test_the_alert_of_every_task_says_what_to_do(name: str) -> None:
    dag = import_module(f"dags.{name}").dag
    for task in dag.tasks:
        assert alerts.advice(dag.doc_md, task.task_id) != alerts.advice("", task.task_id)


def test_mail_is_sent_to_whoever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = context()
    alerts.expect_failure(failed)
    fail(NightError("<b>2 rows & more</b>", law=2, partition="date=2026-11-07"))
    with mail_server() as (port, came):
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "night@example.org"}
        connection(monkeypatch, conn_type="smtp", host="127.0.0.1", port=port, extra=extra)
        monkeypatch.setenv("NIGHTWEAVE_ALERT_TO", "a@example.org, b@example.org")
        alerts.task_failed(failed)
    recipients = [line for line in came if line.lower().startswith("rcpt to:")]
    assert [line[8:].strip("<>") for line in recipients] == ["a@example.org", "b@example.org"]
    message = email.message_from_string("\n".join(came[came.index("data") + 1 :]))
    assert message["Subject"] == "nightly_recommendations 2026-11-07: extract_audio failed"
    text = message.get_payload()[0].get_payload(decode=True).decode()
    assert f"law 2 ({LAWS[2]}); partition: date=2026-11-07" in text
    assert "&lt;b&gt;2 rows &amp; more" in text


def test_a_process_that_ended_without_a_word_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = context(exception=RuntimeError("killed by signal 9"))
    alerts.expect_failure(failed)
    with webhook() as (port, posted):
        connection(monkeypatch, conn_type="http", host="127.0.0.1", port=port, schema="http")
        alerts.task_failed(failed)
    body = posted[0]["body"]
    assert (body["law"], body["partition"]) == (None, "date=2026-11-07")
    assert body["message"] == "RuntimeError: killed by signal 9"


def test_a_word_is_heard_once() -> None:
    failed = context()
    alerts.expect_failure(failed)
    fail(NightError("first try", law=1, partition="p"))
    assert alerts.failure_of(failed).law == 1
    alerts.task_retries(failed)
    assert alerts.failure_of(failed).law is None


def test_a_late_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = {"dag_id": "nightly_recommendations", "dag_run_id": "r", "logical_date": "2026-11-07T00:00:00Z"}
    late = {"dag_run": run | {"state": "running"}, "deadline": {"id": "d", "deadline_time": "2026-11-08T06:00:00Z"}}
    with webhook() as (port, posted):
        connection(monkeypatch, conn_type="http", host="127.0.0.1", port=port, schema="http")
        alerts.run_is_late(late)
    body = posted[0]["body"]
    assert body["subject"] == "nightly_recommendations 2026-11-07: late"
    assert body["kind"] == "deadline_missed" and body["deadline"] == "2026-11-08T06:00:00Z"


@pytest.mark.parametrize(
    ("kind", "says"),
    [("postgres", "is of type 'postgres'; expected 'smtp' or 'http'"), ("smtp", "NIGHTWEAVE_ALERT_TO")],
)
def test_a_connection_that_cannot_tell_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, says: str) -> None:
    connection(monkeypatch, conn_type=kind, host="127.0.0.1")
    with pytest.raises(ValueError, match=says):
        alerts.task_failed(context())


def test_every_table_has_the_law_that_its_promises_are_about() -> None:
    assert LAW_OF_TABLE.keys() == TABLES.keys()
    assert set(LAW_OF_TABLE.values()) <= LAWS.keys()
