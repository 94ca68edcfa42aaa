"""A night as the DAG runs it: its steps as processes of their own, with much to do those of Spark through
spark-submit."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from jobs.demo import write_catalog
from jobs.runtime.spark_environment import driver_options, spark_environment
from lake import staging
from lake.lake import Lake
from schemas.table import MEDIA

ROOT = Path(__file__).resolve().parents[2]
NIGHTS = ("2026-11-01", "2026-11-02")
LOCAL = "local[2,4]"
STEP_TIMEOUT_S = 600


@dataclass(frozen=True)
class Step:
    """One task of the night; `spark` is whether it needs Spark where there is much to do, `of_lake` whether it is a
    command of its own that is given the lake alone."""

    name: str
    options: tuple[str, ...] = ()
    spark: bool = False
    of_lake: bool = False

    def __str__(self) -> str:
        return " ".join((self.name, *self.options[1:]))

    def command(self, master: str, *, under_spark: bool) -> list[str]:
        arguments = [self.name] if self.of_lake else ["step", self.name, *self.options]
        if not (self.spark and under_spark):
            return [sys.executable, "-m", "jobs.cli", *arguments]
        submit = ["spark-submit", "--master", master, "--driver-java-options", driver_options()]
        quiet = ["--conf", "spark.log.level=ERROR", "--conf", "spark.ui.enabled=false"]
        here = ["--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.executor.memory=512m"]
        return [*submit, *quiet, *here, str(ROOT / "jobs" / "cli.py"), *arguments]


CLEAN = Step("clean", spark=True)
EXTRACT = tuple(Step("extract", ("--modality", modality), spark=True) for modality in MEDIA)
LEARN = (Step("train"), Step("evaluate"), Step("recommend", spark=True))
SHOW = (Step("verify"), Step("publish", of_lake=True))
STEPS = (CLEAN, *EXTRACT, *LEARN, *SHOW, Step("report"))


@dataclass(frozen=True)
class Place:
    """Where nights run: their folders, whether everything is under Spark, its master, and what else is in the
    environment."""

    raw: Path
    lake: Path
    config: Path
    log: Path
    under_spark: bool = False
    master: str = LOCAL
    environment: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> Lake:
        """The lake as readers see it."""
        return Lake(str(self.lake))

    def made(self, night: str = NIGHTS[0]) -> Lake:
        """The lake as the steps of a night see it."""
        return staging.as_of(self.tables(), night)

    def start(self, step: Step, night: str = NIGHTS[0]) -> psutil.Popen:
        environment = os.environ | spark_environment() | {"PYTHONPATH": str(ROOT)} | dict(self.environment)
        given = ("lake",) if step.of_lake else ("raw", "lake", "config")
        where = [f"--{name}={getattr(self, name)}" for name in given]
        with self.log.open("ab") as log:
            command = [*step.command(self.master, under_spark=self.under_spark), "--date", night, *where]
            return psutil.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def run(self, step: Step, night: str = NIGHTS[0]) -> bool:
        """Whether the step succeeded."""
        return self.start(step, night).wait(STEP_TIMEOUT_S) == 0

    def must(self, step: Step, night: str = NIGHTS[0]) -> float:
        """Seconds that the step took.

        Raises:
            RuntimeError: it failed.
        """
        started = time.monotonic()
        if not self.run(step, night):
            raise RuntimeError(f"{step} of {night} failed undisturbed; its own words are in {self.log}")
        return time.monotonic() - started

    def files(self) -> int:
        """How many files the lake has, those that no commit names yet included."""
        return sum(len(names) for _, _, names in os.walk(self.lake))


def new_place(folder: Path, *, items: int = 40, users: int = 30, seed: int = 5, under_spark: bool = False) -> Place:
    """A landing zone of two nights with all four modalities, and no lake yet."""
    folder.mkdir(parents=True, exist_ok=True)
    write_catalog(folder / "raw", items=items, users=users, nights=len(NIGHTS), seed=seed, progress=False)
    config = folder / "config.yaml"
    encoders = {m: {"name": f"tests.toys:{m.capitalize()}Bytes", "batch_size": 8} for m in MEDIA}
    spark = "always" if under_spark else "auto"
    config.write_text(yaml.safe_dump({"extract": {"encoders": encoders}, "spark": spark}))
    return Place(folder / "raw", folder / "lake", config, folder / "steps.log", under_spark)
