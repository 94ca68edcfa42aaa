"""Airflow as in production, on loopback: a database in PostgreSQL, scheduler, API server and DAG processor."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from jobs.runtime.spark_environment import spark_environment
from tests.services.processes import Service, free_port

ROOT = Path(__file__).resolve().parents[2]
USERS = str(ROOT / "docker" / "users.py")
AIRFLOW = str(Path(sys.executable).parent / "airflow")
DAG = "nightly_recommendations"
ORDER = "nights_in_order"
LATE = "late_night"
FAILING = "failing_night"
REPORTED = "reported_night"
CONSUMER = "reads_one_night"
QUIET = "airflow.dag_processing.bundles=WARNING airflow.dag_processing.dagbag=WARNING"
FINISHED = {"success", "failed"}


@dataclass(frozen=True)
class Airflow:
    """A running Airflow. Its nights read and write what `raw` and `lake` point to; both are links."""

    url: str
    home: Path
    env: dict[str, str]
    services: dict[str, Service]

    @property
    def raw(self) -> Path:
        return self.home / "raw"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @cached_property
    def user(self) -> tuple[str, str]:
        """The name of the user that may run DAGs, and its password."""
        return "op", (self.home / "secrets" / "op_password").read_text()

    def log_in(self, name: str) -> requests.Session:
        """A session of one of the users."""
        login = {"username": name, "password": (self.home / "secrets" / f"{name}_password").read_text()}
        answer = requests.post(f"{self.url}/auth/token", json=login, timeout=60)
        answer.raise_for_status()
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    @cached_property
    def _session(self) -> requests.Session:
        return self.log_in("op")

    def api(self, method: str, path: str, **options: Any) -> Any:
        """What the REST API answers, parsed.

        Raises:
            requests.HTTPError: it answered with an error.
        """
        answer = self._session.request(method, f"{self.url}/api/v2{path}", timeout=120, **options)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}", response=answer)
        return answer.json() if answer.content else None

    def cli(self, *arguments: str) -> str:
        """What the `airflow` command prints.

        Raises:
            RuntimeError: it failed; the message holds what it said.
        """
        told = subprocess.run([AIRFLOW, *arguments], env=self.env, capture_output=True, text=True)
        if told.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)}: {told.stdout[-2000:]}{told.stderr[-2000:]}")
        return told.stdout

    def python(self, program: str) -> str:
        """What a program prints that runs in Airflow's environment.

        Raises:
            RuntimeError: it failed; the message holds what it said.
        """
        told = subprocess.run([sys.executable, "-c", program], env=self.env, capture_output=True, text=True)
        if told.returncode:
            raise RuntimeError(f"{told.stdout[-2000:]}{told.stderr[-2000:]}")
        return told.stdout

    def returned(self, run_id: str, task_id: str, dag: str = DAG) -> Any:
        """What a task returned."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.api("GET", path, params={"deserialize": True})["value"]

    def wait_for_runs(self, dag: str, number: int, *, seconds: float = 600) -> list[dict[str, Any]]:
        """The runs of a DAG, once there are so many and all have ended.

        Raises:
            TimeoutError: that is not so after so many seconds.
        """
        deadline = time.monotonic() + seconds
        while len(runs := self.runs(dag)) < number or any(run["state"] not in FINISHED for run in runs):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{dag} after {seconds} s: {self._told(dag, runs)}")
            time.sleep(2)
        return runs

    def runs(self, dag: str = DAG) -> list[dict[str, Any]]:
        return self.api("GET", f"/dags/{dag}/dagRuns", params={"limit": 100, "order_by": "logical_date"})["dag_runs"]

    def tasks(self, run_id: str, dag: str = DAG) -> list[dict[str, Any]]:
        """The task instances of a run."""
        return self.api("GET", f"/dags/{dag}/dagRuns/{run_id}/taskInstances")["task_instances"]

    def log(self, run_id: str, task_id: str, *, attempt: int, dag: str = DAG) -> str:
        """What a task said, a line an event."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        answer = self.api("GET", path, headers={"Accept": "application/json"})
        lines = (line if isinstance(line, dict) else {"event": line} for line in answer["content"])
        return "\n".join(f"{line['event']} {line.get('error_detail') or ''}" for line in lines)

    def forget_runs(self, dag: str = DAG) -> None:
        """Remove every run of the DAG, so that its nights can be filled in anew."""
        for run in self.runs(dag):
            self.api("DELETE", f"/dags/{dag}/dagRuns/{run['dag_run_id']}")

    def wait(
        self, nights: list[str], dag: str = DAG, *, seconds: float = 3000, meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, str]:
        """The state of each night's run once no run of the DAG is under way any more; until then, `meanwhile` is called
        now and then.

        Raises:
            TimeoutError: some still are after so many seconds; the message names them and their tasks.
        """
        deadline = time.monotonic() + seconds
        while True:
            meanwhile()
            runs = {run["logical_date"][:10]: run for run in self.runs(dag)}
            ended = all(run["state"] in FINISHED for run in runs.values())
            if set(nights) <= runs.keys() and ended:
                return {night: runs[night]["state"] for night in nights}
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s: {self._told(dag, list(runs.values()))}")
            time.sleep(2)

    def let_backfills_end(self, dag: str = DAG, *, seconds: float = 300) -> None:
        """Wait until Airflow has noticed that every backfill of the DAG is done, some time after its runs; until then
        it refuses another.

        Raises:
            TimeoutError: it has not after so many seconds.
        """
        deadline = time.monotonic() + seconds
        while any(b["completed_at"] is None for b in self._backfills(dag)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s a backfill is still under way: {self._backfills(dag)}")
            time.sleep(2)

    def point(self, link: Path, folder: Path) -> None:
        """Make `raw` or `lake` point to a folder, in one step."""
        fresh = link.with_suffix(".next")
        fresh.symlink_to(folder, target_is_directory=True)
        fresh.replace(link)

    def _backfills(self, dag: str) -> list[dict[str, Any]]:
        return self.api("GET", "/backfills", params={"dag_id": dag})["backfills"]

    def _told(self, dag: str, runs: list[dict[str, Any]]) -> str:
        lines = []
        for run in runs:
            states = {t["task_id"]: t["state"] for t in self.tasks(run["dag_run_id"], dag)}
            lines.append(f"{run['dag_run_id']} {run['state']}: {states}")
        return "\n".join(lines)


@contextmanager
def airflow(home: Path, *, database: str, logs: Path, config: Path, webhook: int) -> Iterator[Airflow]:
    """Within it, Airflow runs; the DAG is unpaused, no night starts by the clock. Alerts go to the port `webhook`."""
    port = free_port()
    env = _environment(home, database=database, port=port, config=config)
    hook = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": webhook}
    # Not in Airflow's database: the callback of a deadline may not ask for it there.
    env |= {"NIGHTWEAVE_ALERT_CONN_ID": "on_call", "AIRFLOW_CONN_ON_CALL": json.dumps(hook)}
    env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = str(logs / "tasks")
    (home / "secrets").mkdir(mode=0o700)
    for role in ("op", "viewer"):
        (home / "secrets" / f"{role}_password").write_text(secrets.token_hex(16))
    set_up = ([AIRFLOW, "db", "migrate"], [AIRFLOW, "pools", "import", str(_pools(home))], [sys.executable, USERS])
    for command in set_up:
        subprocess.run(command, env=env, check=True, capture_output=True)
    commands = {
        "api-server": ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        "scheduler": ["scheduler"],
        "dag-processor": ["dag-processor"],
    }
    services: dict[str, Service] = {}
    try:
        for name, command in commands.items():
            services[name] = Service.start(name, [AIRFLOW, *command], logs=logs, env=env, cwd=home)
        running = Airflow(f"http://127.0.0.1:{port}", home, env, services)
        services["api-server"].wait_until(lambda: _healthy(running.url))
        services["dag-processor"].wait_until(lambda: _parsed(running))
        yield running
    finally:
        for service in reversed(services.values()):
            service.stop()


def _pools(home: Path) -> Path:
    """The pools of production, with room for two Spark applications: each has one core here."""
    pools = json.loads((ROOT / "conf" / "pools.json").read_text("utf-8"))
    pools["spark"]["slots"] = 2
    file = home / "pools.json"
    file.write_text(json.dumps(pools))
    return file


def _environment(home: Path, *, database: str, port: int, config: Path) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The encoders of the tests are found by Spark's workers there.
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [_bundle("production", ROOT / "dags"), _bundle("tests", Path(__file__).parent / "dags")]
        ),
        # None of the DAGs' files changes, and reading them takes a core for a second or two.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "USERS_FOLDER": str(home / "secrets"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        # A slow machine is no error.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "1800",
        # What a killed scheduler has left is looked for sooner.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        # Only backfills start nights here, none starts by the clock.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": QUIET,
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[1]"}),
        "NIGHTWEAVE_RAW": str(home / "raw"),
        "NIGHTWEAVE_LAKE": str(home / "lake"),
        "NIGHTWEAVE_CONFIG": str(config),
        # The form of the UI offers no more runs at a time than the DAG itself allows.
        "NIGHTWEAVE_MAX_ACTIVE_NIGHTS": "3",
        **spark_environment(),
    }


def _bundle(name: str, folder: Path) -> dict[str, Any]:
    return {
        "name": name,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }


def _healthy(url: str) -> bool:
    try:
        told = requests.get(f"{url}/api/v2/monitor/health", timeout=30).json()
    except requests.RequestException:
        return False
    return all(told[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


def _parsed(running: Airflow) -> bool:
    try:
        return not any(
            running.api("GET", f"/dags/{dag}")["is_paused"] for dag in (DAG, ORDER, LATE, FAILING, REPORTED, CONSUMER)
        )
    except requests.HTTPError as error:
        if error.response.status_code == 404:
            return False
        raise
