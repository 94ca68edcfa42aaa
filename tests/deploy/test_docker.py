"""The images and the compose file, as far as they can be judged without a Docker engine."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyspark
import pytest
import yaml

from jobs.runtime.spark_environment import class_archive

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
SPARK = Path(pyspark.__file__).parent
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (DOCKER / "Dockerfile").read_text("utf-8")
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
IMAGES = ("airflow", "spark", "airflow-gpu", "spark-gpu")
SENSITIVE = re.compile(r"PASSWORD|SECRET|FERNET|TOKEN|CONN$")


def test_the_dockerfile_passes_hadolint() -> None:
    hadolint = Path(sys.prefix) / "bin" / "hadolint"
    command = [hadolint, "--config", DOCKER / ".hadolint.yaml", DOCKER / "Dockerfile"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout


def test_every_image_is_there_and_runs_as_somebody_who_is_not_root() -> None:
    stages = dict((name, base) for base, name in STAGES)
    bodies = dict(zip(stages, re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)[1:], strict=True))
    for image in IMAGES:
        users, checks, stage = [], [], image
        while stage in stages:
            users += reversed(re.findall(r"^USER (\S+)$", bodies[stage], re.MULTILINE))
            checks += re.findall(r"^HEALTHCHECK ", bodies[stage], re.MULTILINE)
            stage = stages[stage]
        assert users[0] == "10001:10001" and checks, image


def test_bases_have_an_exact_version_or_a_digest() -> None:
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    foreign = [service["image"] for service in SERVICES.values() if "build" not in service]
    for image in (base, *foreign):
        assert re.search(r":\d+\.\d+(\.\d+)?-\w+|@sha256:[0-9a-f]{64}$", image), image


def test_what_the_dockerfile_copies_travels_to_the_build() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source
    assert "docker/secrets" in (ROOT / ".dockerignore").read_text().splitlines()
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_services_are_those_of_a_deployment() -> None:
    airflow = {"init", "api-server", "scheduler", "dag-processor", "triggerer"}
    spark = {"spark-master", "spark-worker-1", "spark-worker-2"}
    assert SERVICES.keys() == airflow | spark | {"postgres", "analyst", "landing"}
    for name, service in OURS.items():
        assert service["build"]["target"] in IMAGES, name
        assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] in ("10001:10001", "postgres")
    assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    assert not service.keys() & {"privileged", "cap_add", "pid", "devices"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert not any("docker.sock" in volume for volume in service.get("volumes", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_stays_has_a_health_check(name: str) -> None:
    # The API server has that of its image; the others end by themselves.
    if name in ("init", "analyst", "landing"):
        assert SERVICES[name]["healthcheck"] == {"disable": True}
    elif name != "api-server":
        assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_files_alone(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        if SENSITIVE.search(variable) and not variable.startswith("AIRFLOW_CONN_"):
            assert variable.endswith(("_FILE", "_CMD")), variable
        for path in re.findall(r"/run/secrets/(\w+)", str(value)):
            assert path in service["secrets"], f"{variable} reads {path}, which {name} is not given"
    for secret in service.get("secrets", ()):
        assert COMPOSE["secrets"][secret] == {"file": f"secrets/{secret}"}
    connection = json.loads(service.get("environment", {}).get("AIRFLOW_CONN_SPARK_DEFAULT", "{}"))
    assert not connection.keys() & {"login", "password", "extra"}


def test_the_analyst_can_change_nothing() -> None:
    analyst = SERVICES["analyst"]
    assert analyst["volumes"] == ["lake:/data/lake:ro"]
    assert analyst["network_mode"] == "none" and "secrets" not in analyst


def test_the_landing_zone_is_filled_by_the_one_service_that_may(tmp_path: Path) -> None:
    writers = {name for name, service in SERVICES.items() if "raw:/data/raw" in service.get("volumes", ())}
    assert writers == {"landing"} and SERVICES["landing"]["network_mode"] == "none"
    raw, landed = tmp_path / "raw", tmp_path / "landed"
    (raw / "items" / "ds=2026-11-01").mkdir(parents=True)
    (raw / "items" / "ds=2026-11-01" / "a.jsonl").write_text("{}")
    landed.mkdir()
    _, _, *command, folder = SERVICES["landing"]["entrypoint"]
    assert folder == "/data/raw"
    packed = subprocess.run(["tar", "-C", raw, "-c", "."], capture_output=True, check=True).stdout
    subprocess.run([*command, landed], input=packed, check=True)
    assert (landed / "items" / "ds=2026-11-01" / "a.jsonl").read_text() == "{}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_so_is_its_log(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory", "pids"} and re.fullmatch(r"\d+[gm]", limits["memory"])
    log = SERVICES[name]["logging"]
    assert log["driver"] == "json-file" and log["options"].keys() == {"max-size", "max-file"}


def test_only_airflow_reaches_the_database() -> None:
    networks = {name: set(service.get("networks", ())) for name, service in SERVICES.items()}
    airflow = {name for name, service in SERVICES.items() if service["image"] == "nightweave-airflow"}
    assert COMPOSE["networks"]["database"] == {"internal": True} and networks["postgres"] == {"database"}
    within = {name for name, joined in networks.items() if "database" in joined}
    assert within == {"postgres"} | airflow - {"analyst", "landing"}
    for name, service in SERVICES.items():
        assert bool(networks[name]) != (service.get("network_mode") == "none"), name


def test_alerts_are_set_by_a_file_that_stays_on_the_machine() -> None:
    for name in ("scheduler", "dag-processor", "triggerer", "api-server"):
        assert SERVICES[name]["env_file"] == [{"path": "alerts.env", "required": False}]
    for ignored in (".gitignore", ".dockerignore"):
        assert "docker/alerts.env" in (ROOT / ignored).read_text().splitlines()


def test_drivers_are_found_in_the_network_that_executors_are_in() -> None:
    lines = (DOCKER / "driver.conf").read_text().splitlines()
    settings = dict(line.split() for line in lines if not line.startswith("#"))
    host = settings["spark.driver.host"]
    assert SERVICES["scheduler"]["environment"]["SPARK_DEFAULTS_FILE"].endswith("docker/driver.conf")
    assert set(SERVICES[host]["networks"]) & set(SERVICES["spark-worker-1"]["networks"])


def test_the_image_starts_spark_from_its_class_archive() -> None:
    (made,) = re.findall(r"^RUN python -m (\S+) && test -f (\S+)$", DOCKERFILE, re.MULTILINE)
    assert find_spec(made[0]) and class_archive().match(made[1].rpartition("/")[2])


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run([DOCKER / "secrets.sh", folder], check=True, capture_output=True)
    made = {file.name: file.read_text().strip() for file in folder.iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    assert len(set(made.values())) == len(made) and min(map(len, made.values())) >= 32
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    from cryptography.fernet import Fernet

    assert Fernet(made["fernet_key"])
    (folder / "op_password").unlink()
    subprocess.run([DOCKER / "secrets.sh", folder], check=True, capture_output=True)
    again = {file.name: file.read_text().strip() for file in folder.iterdir()}
    assert {name for name in made if made[name] != again[name]} == {"op_password"}


def test_the_database_address_holds_the_password_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/w:rd %\n")
    environment = os.environ | {"DATABASE_PASSWORD_FILE": str(tmp_path / "password"), "DATABASE_HOST": "db"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = subprocess.run(
        [DOCKER / "database_uri.sh"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    from sqlalchemy.engine import make_url

    url = make_url(told.strip())
    assert (url.drivername, url.username, url.password) == ("postgresql+psycopg2", "airflow", "p@ss/w:rd %")
    assert (url.host, url.database) == ("db", "airflow")


@pytest.mark.parametrize("name", sorted(OURS))
def test_commands_are_programs_that_the_image_has(name: str) -> None:
    program = SERVICES[name].get("entrypoint") or SERVICES[name]["command"]
    program = program[2] if program[0] == "tini" else program[0]
    if program == "airflow":
        told = subprocess.run(
            [Path(sys.executable).with_name("airflow"), *SERVICES[name]["command"][1:2], "--help"], capture_output=True
        )
        assert told.returncode == 0
        options = set(re.findall(r"--[a-z-]+", told.stdout.decode()))
        assert set(SERVICES[name]["command"][2::2]) <= options
    elif program == "spark-class":
        assert os.access(SPARK / "bin" / program, os.X_OK)
        master_or_worker = SERVICES[name]["command"][1].replace(".", "/") + ".class"
        (core,) = SPARK.glob("jars/spark-core_*.jar")
        assert master_or_worker in zipfile.ZipFile(core).namelist()
    else:
        assert os.access(ROOT / program, os.X_OK) or shutil.which(
            program, path=f"{Path(sys.executable).parent}:/usr/bin:/bin"
        )


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [("scheduler", "healthy", 0), ("dag_processor", "unhealthy", 1), ("triggerer", None, 1), ("nosuch", "healthy", 1)],
)
def test_a_health_check_believes_the_api_server(program: str, status: str | None, code: int) -> None:
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    told = {part: {"status": status if part == program else "healthy"} for part in parts}

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/v2/monitor/health"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert subprocess.run([DOCKER / "healthy.sh", program, address]).returncode == code


def test_no_api_server_is_no_health() -> None:
    assert subprocess.run([DOCKER / "healthy.sh", "scheduler", "http://127.0.0.1:9"]).returncode != 0


def test_spark_on_kubernetes_starts_its_executor(tmp_path: Path) -> None:
    """With a `java` that prints what it is given: no Kubernetes runs here."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    told = {
        "SPARK_EXECUTOR_MEMORY": "2g", "SPARK_DRIVER_URL": "spark://driver:7078", "SPARK_EXECUTOR_ID": "3",
        "SPARK_EXECUTOR_CORES": "1", "SPARK_APPLICATION_ID": "app", "SPARK_EXECUTOR_POD_IP": "10.0.0.3",
        "SPARK_RESOURCE_PROFILE_ID": "0", "SPARK_EXECUTOR_POD_NAME": "pod",
        "SPARK_JAVA_OPT_10": "-Dlast=1", "SPARK_JAVA_OPT_2": "-Dfirst=a b",
    }  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [DOCKER / "entrypoint.sh", DOCKER / "executor.sh"]
    environment = os.environ | told | {"JAVA_HOME": str(tmp_path), "PATH": path}
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[:4] == ["-Dfirst=a b", "-Dlast=1", "-Xms2g", "-Xmx2g"]
    backend = lines[6]
    assert lines[7:11] == ["--driver-url", "spark://driver:7078", "--executor-id", "3"]
    (jar,) = SPARK.glob("jars/spark-kubernetes_*.jar")
    assert backend.replace(".", "/") + ".class" in zipfile.ZipFile(jar).namelist()


def test_entrypoint_writes_the_secret_where_only_its_user_can_read_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    environment = os.environ | {"SPARK_SECRET_FILE": str(tmp_path / "secret"), "TMPDIR": str(tmp_path)}
    script = 'cat "$SPARK_CONF_DIR/spark-defaults.conf"; stat -c %a "$SPARK_CONF_DIR/spark-defaults.conf"'
    told = subprocess.run(
        [DOCKER / "entrypoint.sh", "sh", "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "spark.authenticate true" in told and "spark.authenticate.secret s3cret" in told
    assert told[-1] == "600" and "spark.ui.killEnabled false" in told


def test_addresses_within_the_deployment_are_those_of_services() -> None:
    environment = SERVICES["scheduler"]["environment"]
    api = urlsplit(environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
    connection = json.loads(environment["AIRFLOW_CONN_SPARK_DEFAULT"])
    master = urlsplit(f"{connection['host']}:{connection['port']}")
    worker = urlsplit(SERVICES["spark-worker-1"]["command"][-1])
    assert api.hostname in SERVICES and environment["DATABASE_HOST"] in SERVICES
    assert (master.hostname, master.port) == (worker.hostname, worker.port) == ("spark-master", 7077)
