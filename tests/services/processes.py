"""Processes that tests start on loopback and end by their id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Service:
    """A running process, leader of a group of its own, and the file that holds what it says."""

    name: str
    process: subprocess.Popen
    log: Path

    @classmethod
    def start(cls, name: str, command: list[str], *, logs: Path, env: Mapping[str, str], **popen: Any) -> "Service":
        log = logs / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=dict(env), start_new_session=True, **popen
            )
        return cls(name, process, log)

    def stop(self, *, by: signal.Signals = signal.SIGTERM, seconds: float = 30) -> None:
        """End the process, and kill what is left of its group after so many seconds."""
        if self.process.poll() is None:
            self.process.send_signal(by)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 300) -> None:
        """Wait until the service is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; the message holds the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready (exit code {self.process.poll()}):\n{self.tail()}")
            time.sleep(0.5)


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
