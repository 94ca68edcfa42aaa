"""A Spark standalone cluster on loopback: a master and workers of one core each, started as the images start them."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pyspark

from jobs.runtime.spark_environment import java_environment
from tests.seaweed import free_ports

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = str(ROOT / "docker" / "entrypoint.sh")
SPARK_CLASS = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
MASTER, WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"
START_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Cluster:
    """Where a master listens, and what its drivers need to know."""

    port: int
    web_port: int
    secret_file: Path

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Of a driver that `docker/entrypoint.sh` starts; Airflow's connection points at the cluster."""
        connection = {"conn_type": "spark", "host": "spark://127.0.0.1", "port": self.port}
        return {
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(connection),
            "SPARK_SECRET_FILE": str(self.secret_file),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def state(self) -> dict:
        """What the master says of itself."""
        with urlopen(f"http://127.0.0.1:{self.web_port}/json/", timeout=10) as told:
            return json.load(told)


@contextmanager
def running(folder: Path, *, workers: int) -> Iterator[Cluster]:
    """A cluster of so many workers, whose logs and work folders are in `folder`.

    What a worker starts stays on one core, as on a node that has one: Spark counts the tasks of a worker, and decoders
    beside a task would take the cores of its neighbours.
    """
    port, web_port, *worker_ports = free_ports(2 + workers)
    secret_file = folder / "secret"
    secret_file.write_text(secrets.token_hex(16))
    cluster, cores = Cluster(port, web_port, secret_file), sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        # A folder outside the repository: executors must not find its packages by chance.
        start = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web_port)]
        stack.enter_context(_daemon(folder / "master", MASTER, *start, secret_file=secret_file))
        _await(cluster, workers=0)
        for number, ui in enumerate(worker_ports):
            start = ["--host", "127.0.0.1", "--webui-port", str(ui), "--cores", "1", "--memory", "2g", cluster.url]
            core = cores[number % len(cores)]
            stack.enter_context(
                _daemon(folder / f"worker-{number}", WORKER, *start, secret_file=secret_file, core=core)
            )
        _await(cluster, workers=workers)
        yield cluster


@contextmanager
def _daemon(folder: Path, name: str, *arguments: str, secret_file: Path, core: int | None = None) -> Iterator[None]:
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYSPARK"))}
    environment |= java_environment() | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_SECRET_FILE": str(secret_file)}
    environment |= {"SPARK_WORKER_DIR": str(folder / "work"), "SPARK_DAEMON_MEMORY": "256m"}
    with (folder / "log").open("wb") as log:
        pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
        command = [*pinned, ENTRYPOINT, SPARK_CLASS, name, *arguments]
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _await(cluster: Cluster, *, workers: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if cluster.state()["aliveworkers"] >= workers:
                return
        except (URLError, ConnectionError, json.JSONDecodeError):  # it listens before it has anything to say
            pass
        time.sleep(0.5)
    raise RuntimeError(f"no master with {workers} workers at {cluster.url} after {START_TIMEOUT_S:.0f} s")


def bare_python(folder: Path) -> Path:
    """An interpreter with the installed dependencies and without our packages, as an archive for executors.

    Returns: a tar file whose root is the environment.
    """
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (installed,) = Path(sys.prefix).glob("lib/python*/site-packages")
    # A path in a .pth file brings its packages, and not its own .pth files, which name where ours are.
    (packages / "dependencies.pth").write_text(f"{installed}\n")
    archive = folder / "environment.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", environment, "."], check=True)
    return archive


def packages(folder: Path) -> Path:
    """Our packages as `make bundle` packs them."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("nightweave-*.whl")
    return wheel.rename(folder / "nightweave.zip")
