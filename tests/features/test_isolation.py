"""Decoders that misbehave, each in a child process."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.base import MediaError
from features.isolation import Decoders


class Moody:
    """A decoder that does what the file's name says."""

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
                return {"pid": os.getpid(), "said": f"{self.greeting} {content.name}", "pixels": np.ones((2, 2))}


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(
        "tests.features.test_isolation:Moody", {"greeting": "hi"}, count=2, timeout_s=3.0, memory_bytes=4 << 30
    )
    with made:
        yield made


def test_a_child_serves_file_after_file(decoders: Decoders) -> None:
    first, second = (decoders.decode(Path(name)) for name in ("a", "b"))
    assert (first["said"], second["said"]) == ("hi a", "hi b")
    assert first["pid"] == second["pid"] != os.getpid()
    np.testing.assert_array_equal(first["pixels"], np.ones((2, 2)))


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("hang", "timeout", "after 3 s"),
        ("crash", "decoder-died", "SIGSEGV"),
        ("eat", "out-of-memory", "4096 MiB"),
        ("refuse", "odd", "it is odd"),
        ("bug", "undecodable", "KeyError: 'frames'"),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_file_is_served(
    decoders: Decoders, name: str, reason: str, detail: str
) -> None:
    decoders.decode(Path("warm up"))
    with pytest.raises(MediaError) as caught:
        decoders.decode(Path(name))
    assert caught.value.reason == reason
    assert detail in caught.value.detail
    assert decoders.decode(Path("next"))["said"] == "hi next"


def test_many_files_at_once_are_told_apart(decoders: Decoders) -> None:
    names = [f"file {n}" for n in range(40)]
    futures = [decoders.submit(Path(name)) for name in names]
    assert [f.result()["said"] for f in futures] == [f"hi {name}" for name in names]
    assert len({f.result()["pid"] for f in futures}) <= 2


def test_an_encoder_that_cannot_be_made_is_not_the_files_fault() -> None:
    broken = Decoders("tests.features.test_isolation:Absent", {}, count=1, timeout_s=3.0, memory_bytes=4 << 30)
    with broken, pytest.raises(RuntimeError, match="Absent"):
        broken.decode(Path("a"))


def test_no_child_outlives_its_decoders() -> None:
    with Decoders("tests.features.test_isolation:Moody", {}, count=1, timeout_s=3.0, memory_bytes=4 << 30) as made:
        pid = made.submit(Path("a")).result()["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
