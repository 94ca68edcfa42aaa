"""Decoding in child processes with limits, so that a hang, a crash or a memory bomb does no harm to the caller.

A child imports one encoder's class and decodes one file after the other: it receives paths over a pipe, and sends back
the decoded content or the reason for the refusal.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from features.base import MediaError

DECODED, REFUSED = "decoded", "refused"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
_START_TIMEOUT_S = 120.0


class Decoders:
    """Child processes that decode files for one encoder, one for each calling thread; a child that dies is replaced.

    Children end with their parent, even when it is killed: their pipe closes.

    Args:
        encoder: the encoder's class, as `module:Class`.
        parameters: keyword arguments of the class; JSON-serialisable.
        timeout_s: wall-clock limit a file, in seconds; its child is killed then.
        memory_bytes: address space of a child.
    """

    def __init__(self, encoder: str, parameters: Mapping[str, Any], *, timeout_s: float, memory_bytes: int) -> None:
        self._command = (encoder, json.dumps(dict(parameters)), str(memory_bytes))
        self._timeout_s = timeout_s
        self._own = threading.local()

    def decode(self, path: Path) -> Any:
        """The result of the encoder's `decode` for a file.

        Raises:
            MediaError: as raised by the encoder's `decode`, or "timeout", "out-of-memory" or "decoder-died".
            RuntimeError: the child cannot make the encoder.
        """
        child = getattr(self._own, "child", None)
        if child is None or child.ended:
            child = self._own.child = _Child(self._command)
        return child.decode(path, self._timeout_s)


class _Child:
    """One decoding process, seen from its parent."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._pipe, theirs = Pipe()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), **ONE_THREAD}
        self._process = subprocess.Popen(
            (sys.executable, "-m", "features.decoding.worker_pool", str(theirs.fileno()), *command),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()
        self.ended = False
        try:
            ready = self._pipe.poll(_START_TIMEOUT_S) and self._pipe.recv()
        except (EOFError, OSError):
            ready = False
        if not ready:
            self.end()
            raise RuntimeError(f"the decoding process for {command[0]} did not start; its error output is in the log")

    def decode(self, path: Path, timeout_s: float) -> Any:
        try:
            self._pipe.send(os.fspath(path))
            if not self._pipe.poll(timeout_s):
                self.end()
                raise MediaError("timeout", f"the decoder was still running after {timeout_s:g} s")
            kind, *answer = self._pipe.recv()
        except (EOFError, OSError):
            raise MediaError("decoder-died", self._exit_reason()) from None
        if kind == REFUSED:
            raise MediaError(*answer)
        return answer[0]

    def __del__(self) -> None:
        self.end()

    def end(self) -> None:
        """Kills the process if it still runs, and waits for it."""
        self.ended = True
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _exit_reason(self) -> str:
        self.ended = True
        self._pipe.close()
        status = self._process.wait()
        return f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"


def serve(pipe: Connection, encoder: str, parameters: str, memory_bytes: int) -> None:
    """Main loop of a child: decodes the paths that arrive until the pipe is closed.

    Args:
        pipe: receives paths; is sent True once the encoder is made, then for each path `(DECODED, content)` or
            `(REFUSED, reason, detail)`.
        encoder: the class, as `module:Class`.
        parameters: its keyword arguments, as JSON.
        memory_bytes: limit on this process's address space.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    module, _, name = encoder.partition(":")
    decode = getattr(import_module(module), name)(**json.loads(parameters)).decode
    pipe.send(True)
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, ...]
        try:
            answer = (DECODED, decode(Path(path)))
        except MediaError as error:
            answer = (REFUSED, error.reason, error.detail)
        except MemoryError:
            answer = (REFUSED, "out-of-memory", f"more than {memory_bytes >> 20} MiB were asked for")
        except Exception as error:
            answer = (REFUSED, "undecodable", f"{type(error).__name__}: {error}")
        pipe.send(answer)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4]))
