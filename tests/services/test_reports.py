"""From a run to the report of its night, in Airflow's own pages."""

from pathlib import Path

import pytest
import requests

from tests.services.airflow import REPORTED, Airflow

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

NIGHT = "2026-10-01"


@pytest.fixture
def page(running: Airflow, tmp_path: Path) -> bytes:
    """The report that the lake has of the night."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / f"{NIGHT}.html").write_text("<p>登峰矮凳</p>", "utf-8")
    (tmp_path / "items.html").write_text("none of the reports")
    running.point(running.lake, tmp_path)
    return (tmp_path / "reports" / f"{NIGHT}.html").read_bytes()


def test_a_run_leads_to_the_report_by_its_note_and_by_a_button(running: Airflow, page: bytes) -> None:
    running.forget_runs(REPORTED)
    order = {"logical_date": f"{NIGHT}T00:00:00Z"}
    run_id = running.api("POST", f"/dags/{REPORTED}/dagRuns", json=order)["dag_run_id"]
    assert running.wait([NIGHT], REPORTED) == {NIGHT: "success"}
    (run,) = running.runs(REPORTED)
    address = f"{running.url}/nightweave/reports/{NIGHT}"
    assert run["note"] == f"[Report of the night {NIGHT}]({address})"
    links = running.api("GET", f"/dags/{REPORTED}/dagRuns/{run_id}/taskInstances/report/links")
    assert links["extra_links"] == {"Report of the night": address}
    answer = running.log_in("viewer").get(address, timeout=60)
    assert answer.status_code == 200 and answer.content == page
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_nothing_else_is_given_out_and_nothing_without_a_login(running: Airflow, page: bytes) -> None:
    reports, viewer = f"{running.url}/nightweave/reports", running.log_in("viewer")
    assert requests.get(f"{reports}/{NIGHT}", timeout=60).status_code == 401
    assert viewer.get(f"{reports}/2020-01-01", timeout=60).status_code == 404
    assert viewer.get(f"{reports}/{NIGHT}.html", timeout=60).content == page, "as pages link to one another"
    assert viewer.get(f"{reports}/index.html", timeout=60).status_code == 404
    for other in ("..%2fitems", "%2e%2e/items", "items"):
        answer = viewer.get(f"{reports}/{other}", timeout=60)
        assert "none of the reports" not in answer.text and answer.content != page
