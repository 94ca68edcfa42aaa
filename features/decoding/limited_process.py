"""Running a program with limits on time and memory, so that a crash or a hang does no harm to this process."""

import contextlib
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from features.base import MediaError

MEMORY_BYTES = 2 << 30
_MESSAGE_BYTES = 1 << 20
_LAST_BYTES = 2000


@dataclass(frozen=True)
class Finished:
    """The result of a process: exit status (negative for a signal), standard output, the last 2000 bytes of stderr."""

    status: int
    output: bytes
    stderr_tail: str


def run_limited(command: Sequence[str], *, timeout_s: float, source: Path | None = None) -> Finished:
    """Runs `command` and waits for it.

    The process has 2 GiB of address space and may write files (its error messages) of 1 MiB; at the time limit it is
    killed. Waiting releases the GIL, so threads decode in parallel.

    Args:
        command: the program and its arguments.
        timeout_s: wall-clock limit, in seconds.
        source: the file on standard input; empty if None.

    Raises:
        MediaError: "timeout" when the process ran longer than `timeout_s`.
    """
    with contextlib.ExitStack() as stack:
        messages = stack.enter_context(tempfile.TemporaryFile())
        stdin = subprocess.DEVNULL if source is None else stack.enter_context(source.open("rb"))
        process = stack.enter_context(
            subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=messages, cwd="/")
        )
        _limit(process.pid)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise MediaError("timeout", f"the decoder was still running after {timeout_s:g} s") from None
        except BaseException:
            process.kill()
            raise
        return Finished(process.returncode, output, _tail(messages))


def _limit(pid: int) -> None:
    """Sets limits from outside, as `preexec_fn` isn't safe with threads; a process that has ended needs none."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_MESSAGE_BYTES, _MESSAGE_BYTES))


def _tail(file: IO[bytes]) -> str:
    end = file.seek(0, 2)
    file.seek(max(0, end - _LAST_BYTES))
    return file.read().decode("utf-8", "replace").strip()
