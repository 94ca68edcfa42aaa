"""What benchmarks share: the clock, and pictures to be encoded."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """The median of so many runs, a first one left out as a warm-up."""
    return statistics.median([seconds(work) for _ in range(repeats + 1)][1:])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def pictures(root: Path, most: int) -> list[Path]:
    """The pictures under a folder, at any depth, in the order of their paths."""
    return sorted(root.rglob("*.jpg"))[:most]
