"""Running a decoder in a process of its own, which may crash, hang or eat memory without harm to this one."""

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
    """What a process left: exit status (negative for a signal), standard output, the end of its standard error."""

    status: int
    output: bytes
    last_words: str


def run_limited(command: Sequence[str], *, timeout_s: float, source: Path | None = None) -> Finished:
    """Runs `command` and waits; its standard input is the file `source`, or empty.

    The process gets 2 GiB of address space and may write files (its error messages) of 1 MiB; at the time limit it is
    killed. Waiting releases the GIL, so threads decode in parallel.

    Raises:
        MediaError: "timeout" when it ran longer than `timeout_s` seconds of wall-clock time.
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
    """Limits set from outside, as `preexec_fn` isn't safe among threads; a process that is already gone needs none."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_MESSAGE_BYTES, _MESSAGE_BYTES))


def _tail(file: IO[bytes]) -> str:
    end = file.seek(0, 2)
    file.seek(max(0, end - _LAST_BYTES))
    return file.read().decode("utf-8", "replace").strip()
