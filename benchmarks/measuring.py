"""Shared by the benchmarks: timing, child processes, and contents to be encoded."""

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.landing import records
from jobs.landing.raw import Raw, Refusal
from schemas.config import Config


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median of `repeats` runs, after one as a warm-up."""
    return statistics.median([seconds(work) for _ in range(repeats + 1)][1:])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def last_line(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return the last line of its output.

    Raises:
        SystemExit: it failed, and its error output has been shown.
    """
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout.strip().splitlines()[-1]


def blank_row(schema: pa.Schema) -> dict[str, Any]:
    """Return a row with null in every nullable column, and an empty value of its type in every other."""
    return {field.name: None if field.nullable else _empty(field.type) for field in schema}


def _empty(type_: pa.DataType) -> object:
    if pa.types.is_boolean(type_):
        return False
    if pa.types.is_nested(type_):
        return []
    return "" if pa.types.is_string(type_) else 0


def pictures(root: Path, most: int) -> list[Path]:
    """Return at most `most` pictures under a folder, at any depth, in the order of their paths."""
    return sorted(root.rglob("*.jpg"))[:most]


def items(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the items of a landing zone, cleaned, in the order of its files; refused records are left out."""
    raw, settings = Raw(str(root)), Config().clean
    for night in raw.nights("items"):
        for path in raw.files("items", night):
            for _, record in raw.records(path):
                if not isinstance(record, Refusal):
                    yield records.item(record, night=date.fromisoformat(night), config=settings)
