import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.runtime import spark_environment


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PATH with every program that there was but `java`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*"):
            if program.name != "java" and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.usefixtures("no_java")
def test_without_a_java_of_the_machine_that_of_pypi_serves() -> None:
    told = spark_environment.java_environment()
    java = Path(told["JAVA_HOME"]) / "bin" / "java"
    run = [str(java), "--add-modules=jdk.incubator.vector", "-version"]
    shown = subprocess.run(run, env=os.environ | told, capture_output=True, text=True, check=True)
    assert 'version "25' in shown.stderr


def test_an_old_java_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert spark_environment.java_version(str(java)) == 11
    assert "NIGHTWEAVE_JRE" in spark_environment.java_environment()


def test_the_version_stands_in_the_release_of_an_installation(tmp_path: Path) -> None:
    """Which is read through links, as /usr/bin/java is one, and without starting anything."""
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    (tmp_path / "jdk" / "release").write_text('IMPLEMENTOR="Debian"\nJAVA_VERSION="21.0.3"\nJAVA_VERSION_DATE="2024"\n')
    (tmp_path / "jdk" / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "java").symlink_to(tmp_path / "jdk" / "bin" / "java")
    assert spark_environment.java_version(str(tmp_path / "java")) == 21
    assert spark_environment.java_version(str(tmp_path / "nowhere" / "java")) == 0


@pytest.mark.skipif(shutil.which("java") is None, reason="the machine has no Java of its own")
def test_it_is_the_version_that_java_says() -> None:
    java = str(shutil.which("java"))
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    assert f'version "{spark_environment.java_version(java)}' in said


@pytest.mark.night
@pytest.mark.usefixtures("no_java")
def test_spark_runs_without_a_java_of_the_machine(tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "print('rows', spark.range(7).count(), spark.sparkContext._jvm.System.getProperty('java.version'))\n"
    )
    env = os.environ | spark_environment.spark_environment()
    told = subprocess.run(
        ["spark-submit", "--master", "local[1]", str(script)], env=env, capture_output=True, text=True, check=True
    )
    assert "rows 7 25" in told.stdout
