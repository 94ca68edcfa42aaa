"""A night at a terminal: a line for each step, with a bar while it extracts, and warnings; the rest is in a file."""

import os
import re
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from tqdm import tqdm

from schemas.errors import NightweaveError

LOOK_EVERY_S = 0.5
LAST_LINES = 30
WIDTH = 16
DONE = re.compile(r"extract_\S+: (?P<done>\d+) of (?P<all>\d+) done, (?P<rest>.*? refused)")
WARNING = re.compile(r" WARNING nightweave\.\w+: (?P<text>.*?)( \[airflow\..*)?$")


class StepLines:
    """What the steps of a night do, a line each.

    Args:
        terminal: to draw on.
        log: what the steps write, read as it grows.
    """

    def __init__(self, terminal: IO[str], log: IO[str]) -> None:
        self._terminal, self._log = terminal, log
        self._bar: tqdm | None = None
        self._over, self._lock = threading.Event(), threading.Lock()

    def begin(self, name: str) -> None:
        """A step starts, after the one before has ended."""
        with self._lock:
            form = "{desc} {elapsed}{postfix}"
            self._bar = tqdm(desc=f"{name:<{WIDTH}}", file=self._terminal, bar_format=form, total=1)

    def end(self, outcome: str = "") -> None:
        """The step has ended; `outcome` is said where it is not as it should be."""
        with self._lock:
            self._read()
            if self._bar is None:
                return
            self._bar.bar_format = "{desc} {elapsed}{postfix}"
            self._bar.set_postfix_str(outcome)
            self._bar.close()
            self._bar = None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Within it, lines move."""

        def follow() -> None:
            while not self._over.wait(LOOK_EVERY_S):
                with self._lock:
                    self._read()

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        try:
            yield
        finally:
            self._over.set()
            reader.join()
            self.end("stopped")

    def _read(self) -> None:
        for line in self._log:
            if found := WARNING.search(line.rstrip("\n")):
                tqdm.write(f"  {found['text']}", file=self._terminal)
            elif self._bar is not None and (found := DONE.search(line)):
                self._bar.bar_format = "{desc} {elapsed} |{bar:24}| {n_fmt} of {total_fmt}{postfix}"
                self._bar.total, self._bar.n = int(found["all"]), int(found["done"])
                self._bar.set_postfix_str(found["rest"], refresh=False)
        if self._bar is not None:
            self._bar.refresh()

    def listener(self) -> Any:
        """What Airflow's listener manager takes."""
        from airflow.listeners import hookimpl

        @hookimpl
        def on_task_instance_running(task_instance: Any) -> None:
            self.begin(task_instance.task_id)

        @hookimpl
        def on_task_instance_success() -> None:
            self.end()

        @hookimpl
        def on_task_instance_skipped() -> None:
            self.end("skipped")

        @hookimpl
        def on_task_instance_failed() -> None:
            self.end("failed")

        hooks = (
            on_task_instance_running,
            on_task_instance_success,
            on_task_instance_skipped,
            on_task_instance_failed,
        )
        return SimpleNamespace(**{hook.__name__: hook for hook in hooks})


@contextmanager
def step_lines() -> Iterator[StepLines]:
    """Within it, what this process and those that it starts write goes into a file, and lines are drawn instead. The
    file is kept where the night fails, and its end shown where the error says too little."""
    number, path = tempfile.mkstemp(prefix="nightweave-night-", suffix=".log")
    sys.stdout.flush()
    terminal, errors = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
    with terminal, errors, open(path, errors="replace") as log:
        os.dup2(number, 1)
        os.dup2(number, 2)
        try:
            lines = StepLines(terminal, log)
            with lines.following():
                yield lines
        except BaseException as error:
            sys.stdout.flush()
            if not isinstance(error, NightweaveError):  # which has a sentence of its own
                with open(path, errors="replace") as whole:
                    terminal.writelines(deque(whole, LAST_LINES))
            terminal.write(f"\nThe log of all steps: {path}\n")
            raise
        else:
            Path(path).unlink()
        finally:
            sys.stdout.flush()
            os.dup2(terminal.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os.close(number)
