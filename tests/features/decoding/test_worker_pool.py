"""Decoders that misbehave, each in a child process."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.base import MediaError
from features.decoding.worker_pool import Decoders


class Moody:
    """A decoder whose behaviour follows from the file's name."""

    def __init__(self, greeting: str = "hello") -> None:
        self.greeting = greeting

    def decode(self, content: Path) -> Any:
        match content.name:
            case "hang":
                time.sleep(600)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "eat":
                return np.ones(1 << 40, np.uint8)
            case "refuse":
                raise MediaError("odd", "it is odd")
            case "bug":
                raise KeyError("frames")
            case _:
                return {"pid": os.getpid(), "greeting": f"{self.greeting} {content.name}", "pixels": np.ones((2, 2))}


MOODY = "tests.features.decoding.test_worker_pool:Moody"


@pytest.fixture
def decoders() -> Decoders:
    return Decoders(MOODY, {"greeting": "hi"}, timeout_s=1.5, memory_bytes=4 << 30)


def test_a_child_serves_file_after_file(decoders: Decoders) -> None:
    first, second = (decoders.decode(Path(name)) for name in ("a", "b"))
    assert (first["greeting"], second["greeting"]) == ("hi a", "hi b")
    assert first["pid"] == second["pid"] != os.getpid()
    np.testing.assert_array_equal(first["pixels"], np.ones((2, 2)))


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("hang", "timeout", "after 1.5 s"),
        ("crash", "decoder-died", "SIGSEGV"),
        ("eat", "out-of-memory", "4096 MiB"),
        ("refuse", "odd", "it is odd"),
        ("bug", "undecodable", "KeyError: 'frames'"),
    ],
)
def test_a_failure_is_reported_and_the_next_file_is_decoded(
    decoders: Decoders, name: str, reason: str, detail: str
) -> None:
    decoders.decode(Path("warm up"))
    with pytest.raises(MediaError) as caught:
        decoders.decode(Path(name))
    assert caught.value.reason == reason
    assert detail in caught.value.detail
    assert decoders.decode(Path("next"))["greeting"] == "hi next"


def test_each_thread_has_a_child_of_its_own(decoders: Decoders) -> None:
    names = [f"file {n}" for n in range(40)]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda name: decoders.decode(Path(name)), names))
    assert [answer["greeting"] for answer in answers] == [f"hi {name}" for name in names]
    assert len({answer["pid"] for answer in answers}) <= 2


def test_an_encoder_that_cannot_be_made_is_not_the_files_fault() -> None:
    broken = Decoders("tests.features.decoding.test_worker_pool:Absent", {}, timeout_s=3.0, memory_bytes=4 << 30)
    with pytest.raises(RuntimeError, match="Absent"):
        broken.decode(Path("a"))


def test_children_end_with_their_parent() -> None:
    parent = f"""
from pathlib import Path
from features.decoding.worker_pool import Decoders
made = Decoders("{MOODY}", {{}}, timeout_s=3.0, memory_bytes=4 << 30)
print(made.decode(Path("a"))["pid"], flush=True)
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
    printed = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=False).stdout
    child = Path(f"/proc/{int(printed)}")
    for _ in range(100):
        if not child.exists():
            return
        time.sleep(0.1)
    pytest.fail(f"process {printed.strip()} still runs")
