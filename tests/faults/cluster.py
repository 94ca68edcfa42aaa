"""A Spark standalone master with two workers on loopback, one of which is killed with all that runs on it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyspark

from jobs.runtime.spark_environment import spark_environment
from tests.faults.kills import killed_step, tree
from tests.faults.night import ROOT, STEPS, Step
from tests.faults.outcome import Outcome
from tests.faults.reader import reading
from tests.faults.rows import differences, rows_of
from tests.faults.world import World

FAULT = "kill -9: Spark worker node"
NODES = 2
START_TIMEOUT_S = 120


@dataclass
class Cluster:
    """The processes of a standalone cluster; each node has one core."""

    folder: Path
    port: int
    master: psutil.Popen
    nodes: list[psutil.Popen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def add_node(self) -> None:
        """Start a node and wait until the master knows it."""
        known = self._registered()
        work = self.folder / f"node-{time.monotonic_ns()}"
        arguments = ["-c", "1", "-m", "1g", "--host", "127.0.0.1", "--webui-port", "0", "-d", str(work), self.url]
        self.nodes.append(_spark_class("worker.Worker", *arguments, log=self.folder / "nodes.log"))
        _wait_for(lambda: self._registered() > known, f"a node of {self.url}")

    def replace_dead_nodes(self) -> None:
        self.nodes = [node for node in self.nodes if node.poll() is None]
        while len(self.nodes) < NODES:
            self.add_node()

    def _registered(self) -> int:
        return (self.folder / "master.log").read_text().count("Registering worker")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
    started = Cluster(folder, port, _spark_class("master.Master", *arguments, log=folder / "master.log"))
    try:
        _wait_for(lambda: "New state: ALIVE" in (folder / "master.log").read_text(), started.url)
        started.replace_dead_nodes()
        yield started
    finally:
        for process in (*started.nodes, started.master):
            for member in reversed(tree(process)):
                member.kill()
            process.wait()


def _spark_class(name: str, *arguments: str, log: Path) -> psutil.Popen:
    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    environment = os.environ | spark_environment() | {"SPARK_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with log.open("ab") as said:
        return psutil.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)


def _wait_for(ready: object, what: str) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while not ready():  # type: ignore[operator]
        if time.monotonic() > until:
            raise RuntimeError(f"{what} is not there after {START_TIMEOUT_S} s")
        time.sleep(0.2)


def night_that_loses_nodes(world: World) -> Iterator[Outcome]:
    """A night on the cluster; each Spark step loses one of the two nodes, with its executor and Python workers."""
    with cluster(world.fresh().lake.parent / "cluster") as nodes:
        place = world.fresh(master=nodes.url)

        def executors(_: psutil.Process, __: Step) -> list[psutil.Process]:
            return [Node(node.pid) for node in nodes.nodes if len(tree(node)) > 1]

        with reading(place.lake, place.lake.parent / "reader", {}, world.rows(1)) as reader:
            for step in STEPS:
                if not step.spark:
                    place.must(step)
                    lost = (*differences(rows_of(place.made()), world.nights[0][step].rows), *reader.torn())
                    if lost:
                        yield Outcome(FAULT, f"{step}, undisturbed itself", lost)
                elif outcome := killed_step(world, place, step, executors, reader):
                    yield Outcome(FAULT, *outcome)
                nodes.replace_dead_nodes()


class Node(psutil.Process):
    """A worker's JVM; killed, all that runs on the node ends with it, as where a machine loses its power."""

    def kill(self) -> None:
        for process in tree(self):
            if process.pid != self.pid and process.is_running():
                process.kill()
        super().kill()
