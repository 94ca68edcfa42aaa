"""kill -9 of one process of a step, or of a node, at a random moment."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import psutil

from tests.faults.night import STEP_TIMEOUT_S, STEPS, Place, Step
from tests.faults.outcome import Outcome
from tests.faults.reader import Reader, reading
from tests.faults.rows import differences, rows_of
from tests.faults.world import Mark, World

LOOK_EVERY_S = 0.005
ORPHANS_END_S = 30.0
Victims = Callable[[psutil.Process, Step], list[psutil.Process]]
"""The processes of a running step, of which one may be killed."""


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that descend from it, as of now."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _those(processes: list[psutil.Process], wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in processes:
        try:
            if wanted(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # it ended while it was looked at
    return found


def drivers(process: psutil.Process, step: Step) -> list[psutil.Process]:
    """The Python process that runs the step's own code."""
    return _those(tree(process), lambda p: "java" not in p.name() and f" {step.name} " in " ".join(p.cmdline()))


def jvms(process: psutil.Process, step: Step) -> list[psutil.Process]:
    return _those(tree(process), lambda p: p.name() == "java") if step.spark else []


def is_worker(process: psutil.Process) -> bool:
    """Whether it is a Python process that runs Spark's tasks, not the daemon that forks them."""
    parent = process.parent()
    return "pyspark.daemon" in process.cmdline() and parent is not None and "pyspark.daemon" in parent.cmdline()


def workers(process: psutil.Process, step: Step) -> list[psutil.Process]:
    return _those(tree(process), is_worker) if step.spark else []


KILLS: dict[str, Victims] = {"driver": drivers, "driver's JVM": jvms, "Python worker": workers}


@dataclass(frozen=True)
class Moment:
    """After so many seconds of a step, or when it has put down so many files: whichever is given."""

    seconds: float | None = None
    files: int | None = None

    def __str__(self) -> str:
        return f"after {self.seconds:.2f} s" if self.files is None else f"at file {self.files}"

    @classmethod
    def draw(cls, random: Random, mark: Mark) -> "Moment":
        """Half of all moments are anywhere in the step, half of them when a file has just appeared in the lake."""
        if mark.files and random.random() < 0.5:
            return cls(files=random.randint(1, mark.files))
        return cls(seconds=random.uniform(0, mark.seconds))


def strike(place: Place, step: Step, moment: Moment, victims: Victims, random: Random) -> tuple[bool, bool]:
    """Run a step and kill one of its `victims` at the moment, or as soon after it as there is one.

    Returns: whether one was killed, and whether the step succeeded.
    """
    before, started = place.files(), time.monotonic()
    process = place.start(step)
    family: list[psutil.Process] = []
    killed = False
    while process.poll() is None and not killed:
        due = (
            time.monotonic() - started >= moment.seconds
            if moment.files is None
            else place.files() - before >= moment.files
        )
        if due and (chosen := victims(process, step)):
            family = tree(process)
            random.choice(chosen).kill()
            killed = True
        elif time.monotonic() - started > STEP_TIMEOUT_S:
            raise RuntimeError(f"{step} did not end within {STEP_TIMEOUT_S} s; see {place.log}")
        else:
            time.sleep(LOOK_EVERY_S)
    succeeded = process.wait(STEP_TIMEOUT_S) == 0
    _orphans.extend(family)
    return killed, succeeded


_orphans: list[psutil.Process] = []
"""What a killed process left behind. A rerun may begin while they end, as under a scheduler."""


def bury() -> list[str]:
    """Wait until orphans have ended; end those that don't and say which."""
    _, alive = psutil.wait_procs(_orphans, timeout=ORPHANS_END_S)
    _orphans.clear()
    said = [f"left behind: {' '.join(p.cmdline())[:120]}" for p in alive]
    for process in alive:
        process.kill()
    return said


def killed_night(world: World, kinds: Iterator[str], steps: Sequence[Step] = STEPS) -> Iterator[Outcome]:
    """A night that has one process of each step of some killed; the step is then run again."""
    place = world.fresh()
    with reading(place.lake, place.lake.parent / "reader", {}, world.rows(1)) as reader:
        for step in STEPS:
            if step not in steps:
                place.must(step)
                continue
            kind = next(kinds) if step.spark and place.under_spark else "driver"
            if outcome := killed_step(world, place, step, KILLS[kind], reader):
                yield Outcome(f"kill -9: {kind}", *outcome)


def killed_step(
    world: World, place: Place, step: Step, victims: Victims, reader: Reader
) -> tuple[str, tuple[str, ...]] | None:
    """The moment and what was lost; None where the step ended before there was anything to kill."""
    mark = world.nights[0][step]
    moment = Moment.draw(world.random, mark)
    killed, succeeded = strike(place, step, moment, victims, world.random)
    lost = [] if succeeded or place.run(step) else [f"the rerun failed; see {place.log}"]
    lost += [*differences(rows_of(place.made()), mark.rows), *bury(), *reader.torn()]
    return (f"{step} {moment}", tuple(lost)) if killed or lost else None
