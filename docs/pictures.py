"""The pictures of the README, in `docs/assets`: a night in Airflow's pages, and the report of a night.

    python -m docs.pictures airflow             # starts Airflow on loopback and runs a small night: some minutes
    python -m docs.pictures report LAKE DATE    # of a night that was run, such as the demo's

Both need Chromium, the first PostgreSQL too: `make services`.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from jobs.demo import write_catalog
from tests.services import postgres
from tests.services.airflow import DAG, ROOT, Airflow, airflow
from tests.services.browser import Browser, browser
from tests.services.processes import free_port

ASSETS = ROOT / "docs" / "assets"
NIGHT = "2026-11-01"
RUN = f"night_{NIGHT}"
COLOURS = 256


def night_in_airflow() -> None:
    """The graph of a night's tasks, all of them a success.

    Raises:
        RuntimeError: the night failed, or there is no PostgreSQL.
    """
    with tempfile.TemporaryDirectory(prefix="nightweave-pictures-") as folder:
        home, logs, lake, raw = (Path(folder) / name for name in ("airflow", "logs", "tables", "catalog"))
        for each in (home, logs, lake):
            each.mkdir()
        write_catalog(raw, items=24, users=24, nights=1, seed=5, progress=False)
        (home / "raw").symlink_to(raw)
        (home / "lake").symlink_to(lake)
        config = ROOT / "tests" / "services" / "cheap.yaml"
        with (
            postgres.cluster(logs) as database,
            airflow(home, database=database.url, logs=logs, config=config, webhook=free_port()) as running,
        ):
            order = {"logical_date": f"{NIGHT}T00:00:00Z", "dag_run_id": RUN}
            running.api("POST", f"/dags/{DAG}/dagRuns", json=order)
            if running.wait([NIGHT]) != {NIGHT: "success"}:
                raise RuntimeError(f"the night failed: {running.tasks(RUN)}")
            with browser(logs) as opened:
                _show_graph(opened, running)
        _keep(logs / "airflow.png")


def _show_graph(opened: Browser, running: Airflow) -> None:
    page = opened.page
    opened.log_in(running.url, *running.user)
    # The form leads on by itself; going elsewhere before it has would lose the login.
    expect(page.get_by_role("link", name="Dags").first).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 480})
    page.goto(f"{running.url}/dags/{DAG}/runs/{RUN}")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    expect(page.locator(".react-flow__node").filter(has_text="report")).to_be_visible()
    page.add_style_tag(content=".react-flow__minimap { display: none }")  # it would hide the last tasks
    page.get_by_role("button", name="Fit View").click()
    page.wait_for_timeout(3000)  # the graph glides to its place
    opened.show("airflow")


def report(lake: Path, night: str) -> None:
    """The top of a night's report.

    Raises:
        FileNotFoundError: the lake has no report of the night.
    """
    file = (lake / "reports" / f"{night}.html").resolve(strict=True)
    with tempfile.TemporaryDirectory(prefix="nightweave-pictures-") as folder, browser(Path(folder)) as opened:
        opened.page.set_viewport_size({"width": 1280, "height": 900})
        opened.page.goto(file.as_uri())
        opened.page.wait_for_load_state("networkidle")
        opened.show("report")
        _keep(Path(folder) / "report.png")


def _keep(screenshot: Path) -> None:
    """Put a screenshot among the pictures, in few colours: a fraction of the bytes."""
    kept = ASSETS / screenshot.name
    Image.open(screenshot).convert("RGB").quantize(COLOURS).save(kept, optimize=True)
    print(kept)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["airflow"]:
            night_in_airflow()
        case ["report", lake, night]:
            report(Path(lake), night)
        case _:
            sys.exit(__doc__)
