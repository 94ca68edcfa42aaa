"""A disk that is full at some point of the night: a small tmpfs."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.night import STEPS, Place
from tests.faults.outcome import Outcome
from tests.faults.reader import reading
from tests.faults.rows import differences, rows_of
from tests.faults.world import World

LAKE, SCRATCH = "disk full: the lake's", "disk full: Spark's and Python's scratch"
ROOMY = 512 * 2**20


class CannotMountError(Exception):
    """This machine lets us mount no file system of a set size."""


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Within it, `folder` is a file system of so many bytes.

    Raises:
        CannotMountError: only root may mount, and not in every container.
    """
    folder.mkdir(parents=True)
    if why := _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        raise CannotMountError(why)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_room(folder: Path) -> None:
    if why := _mount("-o", f"remount,size={ROOMY}", str(folder)):
        raise CannotMountError(why)


def _mount(*arguments: str) -> str:
    """Why it failed, in mount's words; empty where it did not."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no mount"
    return done.stderr.strip() if done.returncode else ""


def full_night(world: World, fault: str) -> Iterator[Outcome]:
    """A night whose disk is full at some step; then there is room, and the night goes on with the step that failed.

    The disk's size is drawn between nothing and what an undisturbed night writes.
    """
    folder = world.fresh().lake.parent / "disk"
    needed = sum(path.stat().st_size for path in world.snapshot(1).rglob("*") if path.is_file())
    size = world.random.randint(needed // 20, needed)
    with small_disk(folder, size):
        scratch = {"TMPDIR": str(folder), "SPARK_LOCAL_DIRS": str(folder)} if fault == SCRATCH else {}
        lake = folder / "lake" if fault == LAKE else folder.parent / "lake"
        place = world.fresh(lake=lake, environment=scratch)
        with reading(lake, folder.parent / "reader", {}, world.rows(1)) as reader:
            full, failed = _run_through(place, folder)
            lost = [*failed, *differences(rows_of(place.tables()), world.rows(1)), *reader.torn()]
        if full or lost:
            yield Outcome(fault, f"{size >> 10} KiB: full in {full}", tuple(lost))


def _run_through(place: Place, disk: Path) -> tuple[str, list[str]]:
    """Run the night; returns the step that the full disk stopped, if it did, and those that failed with room."""
    full, failed = "", []
    for step in STEPS:
        if place.run(step):
            continue
        if not full:
            full = str(step)
            make_room(disk)
        if not place.run(step):
            failed.append(f"{step} failed though there was room; see {place.log}")
    return full, failed
