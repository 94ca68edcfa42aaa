"""Airflow's users as docker/init.sh makes them, and what the API lets each of them do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {"admin": "correct horse battery", "op": "staple correct horse", "viewer": "battery staple correct"}

ASK = """
import json, sys
from fastapi.testclient import TestClient
from airflow.api_fastapi.app import create_app
users = json.loads(sys.argv[1])
dag, told = "/api/v2/dags/nightly_recommendations", {}
with TestClient(create_app(), base_url="http://localhost") as client:
    told["nobody"] = {"read": client.get(dag).status_code}
    for user, password in users.items():
        login = client.post("/auth/token", json={"username": user, "password": password})
        if login.status_code != 201:
            told[user] = {"login": login.status_code}
            continue
        asked = {"headers": {"Authorization": f"Bearer {login.json()['access_token']}"}}
        run = {"logical_date": f"2026-11-{len(told):02d}T00:00:00Z"}
        told[user] = {
            "login": 201,
            "read": client.get(dag, **asked).status_code,
            "trigger": client.post(f"{dag}/dagRuns", json=run, **asked).status_code,
            "pause": client.patch(dag, json={"is_paused": True}, **asked).status_code,
            "connections": client.get("/api/v2/connections", **asked).status_code,
        }
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an Airflow whose database docker/init.sh has made, on SQLite."""
    home = tmp_path_factory.mktemp("airflow")
    for name, password in PASSWORDS.items():
        (home / f"{name}_password").write_text(f"{password}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    environment = kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "AIRFLOW__API__SECRET_KEY": "fedcba9876543210",
        "USERS_FOLDER": str(home),
    }
    for command in (
        [ROOT / "docker" / "entrypoint.sh", ROOT / "docker" / "init.sh"],
        ["airflow", "dags", "reserialize"],
    ):
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    yield environment


def asked(environment: dict[str, str], passwords: dict[str, str]) -> dict[str, dict[str, int]]:
    command = [sys.executable, "-c", ASK, json.dumps(passwords)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_viewer_looks_and_an_operator_runs_nights(airflow: dict[str, str]) -> None:
    told = asked(airflow, PASSWORDS)
    assert told["nobody"] == {"read": 401}
    assert told["viewer"] == {"login": 201, "read": 200, "trigger": 403, "pause": 403, "connections": 403}
    assert told["op"] == {"login": 201, "read": 200, "trigger": 200, "pause": 200, "connections": 200}
    assert told["admin"]["trigger"] == 200


def test_there_is_no_default_password(airflow: dict[str, str]) -> None:
    names = ("admin", "airflow", "op", "viewer")
    told = asked(airflow, {name: name for name in names})
    assert [told[name] for name in names] == [{"login": 401}] * 4


def test_a_password_that_is_too_short_is_refused(airflow: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "op_password").write_text("airflow")
    command = [sys.executable, ROOT / "docker" / "users.py"]
    done = subprocess.run(command, env=airflow | {"USERS_FOLDER": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1 and "op_password: 7 characters; expected 12 or more" in done.stderr
