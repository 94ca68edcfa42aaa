"""The ways to order a backfill: three doors, so many runs at a time, forwards or backwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.services.airflow import DAG, ROOT, Airflow
from tests.services.browser import CHROMIUM, browser

PATIENCE_S = 3000
SCREENSHOTS = ROOT / "build" / "screenshots"


@dataclass(frozen=True)
class Backfill:
    """How nights are filled in: by which door, how many at a time, in which direction."""

    door: str
    active: int
    backwards: bool

    def __str__(self) -> str:
        return f"{self.door}-{self.active}-{'backwards' if self.backwards else 'forwards'}"

    def start(self, running: Airflow, nights: Sequence[str], *, dag: str = DAG, reprocess: str = "none") -> None:
        """Order the backfill from the first to the last of the nights; `reprocess` as the command line has it."""
        running.let_backfills_end(dag)
        first, last = nights[0], nights[-1]
        if self.door == "cli":
            span = ["--from-date", first, "--to-date", last, "--max-active-runs", str(self.active)]
            direction = ["--run-backwards"] if self.backwards else []
            running.cli("backfill", "create", "--dag-id", dag, *span, *direction, "--reprocess-behavior", reprocess)
        elif self.door == "api":
            order = {
                "dag_id": dag,
                "from_date": f"{first}T00:00:00Z",
                "to_date": f"{last}T00:00:00Z",
                "max_active_runs": self.active,
                "run_backwards": self.backwards,
                "reprocess_behavior": reprocess,
            }
            running.api("POST", "/backfills", json=order)
        elif not CHROMIUM.exists():
            pytest.skip("no Chromium is installed; `make services` installs Debian's")
        else:
            wording = {"none": "Missing Runs", "failed": "Missing and Errored Runs", "completed": "All Runs"}
            with browser(SCREENSHOTS / f"{dag}-{self}") as window:
                window.log_in(running.url, *running.user)
                window.open_dag(dag)
                how = {"active": self.active, "backwards": self.backwards, "reprocess": wording[reprocess]}
                window.backfill(first, last, **how)

    def look(self, running: Airflow, nights: Sequence[str], dag: str = DAG) -> None:
        """See in the browser, where it was ordered there, that the nights have ended and all are green."""
        if self.door == "ui":
            with browser(SCREENSHOTS / f"{dag}-{self}") as window:
                window.log_in(running.url, *running.user)
                window.open_dag(dag)
                window.see_green(len(nights))


MATRIX = [Backfill(door, active, back) for door in ("cli", "api", "ui") for active in (1, 3) for back in (False, True)]
