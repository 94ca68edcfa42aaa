"""The life of a small lake, killed at every boundary of its writes.

The life is lived once without a fault. Then, for each boundary, a process begins where the lake was before the step
that reaches it, and is killed there (SIGKILL). Readers must see what they saw before that step, or what they saw after
it. Then the step is tried again, as a scheduler does, or all that it is a part of, as a person does. After that the
lake holds what it held undisturbed, others read the same rows as we do, and maintenance removes nothing that anybody
needs. Where all is done again, every promise is looked at too; of a step alone the rows are those of a lake that keeps
them.
"""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from jobs.verify import findings
from lake import publication, staging
from lake.errors import DamageError
from lake.lake import Lake
from schemas.tables import TABLES, Published
from tests.faults import foreign, life
from tests.faults.boundaries import watching
from tests.faults.life import LIFE, Place
from tests.faults.outcome import Outcome
from tests.faults.reader import read
from tests.faults.rows import FEATURE_STORES, Rows, differences, digest, rows_of_table

STEP, ALL = "the step again", "all of it again"
DAMAGED = "damaged"


@dataclass(frozen=True)
class State:
    """What a lake shows.

    Attributes:
        rows: what readers see, and of each night that is staged what its steps see.
        broken: promises that do not hold, where they were looked at.
        published: what was done to which night, in order.
    """

    rows: Rows
    broken: tuple[str, ...]
    staged: tuple[str, ...]
    published: tuple[str, ...]

    @classmethod
    def of(cls, lake: Lake, *, promises: bool) -> "State":
        rows, staged = dict(seen(lake)), staging.nights(lake)
        for night in staged:
            mine = seen(staging.as_of(lake, night)).items()
            rows |= {f"staged/{name}": found for name, found in mine if f"date={night}" in name}
        broken = {f"{one.place()}: {one.promise}" for one in findings(lake)[1]} if promises else set()
        changes = publication.history(lake)
        assert [change.number for change in changes] == list(range(1, len(changes) + 1))
        done = [f"{change.date} {change.action}{'' if change.versions else ', unfinished'}" for change in changes]
        return cls(rows, tuple(sorted(broken)), tuple(staged), tuple(done))

    def differs(self, expected: "State") -> Iterator[str]:
        """In words, what is not as it was undisturbed."""
        yield from differences(self.rows, expected.rows)
        if self.broken not in (expected.broken, ()):
            yield f"promises broken: {'; '.join(self.broken) or 'none'}"
        if self.staged != expected.staged:
            yield f"staged: {', '.join(self.staged) or 'nothing'}"
        # the last change may have been made once more, where all was done again
        again = (*expected.published, expected.published[-1]) if expected.published else ()
        if self.published not in (expected.published, again):
            yield f"published: {'; '.join(self.published)}"


def seen(lake: Lake) -> Rows:
    """The rows that readers of a lake see; of a table that is damaged, only that."""
    pinned = publication.as_readers_see(lake, lambda as_seen: as_seen)
    rows: dict[str, tuple[str, ...]] = {}
    for one in TABLES.values():
        try:
            with pinned.naming_damage(one):
                rows |= rows_of_table(one, pinned.dataset(one)) if one is not Published else {}
        except DamageError:
            rows[f"{one.name}/"] = (DAMAGED,)
    return rows


@dataclass(frozen=True)
class Passed:
    """A step of the undisturbed life: the lake before it, the boundaries that it reached, and what the lake showed
    after it."""

    before: Path
    boundaries: tuple[str, ...]
    state: State


@dataclass(frozen=True)
class Kill:
    """A boundary of a step, by its number from 1, and what is done after the process is killed there."""

    step: int
    boundary: int
    way: str


@dataclass
class Lives:
    """The undisturbed life in a folder, and the disturbed ones."""

    folder: Path
    passed: list[Passed] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def __post_init__(self) -> None:
        self._forked = get_context("forkserver")
        self._forked.set_forkserver_preload([__name__])
        self.log = self.folder / "steps.log"

    @property
    def boundaries(self) -> int:
        return sum(len(one.boundaries) for one in self.passed)

    def live_undisturbed(self, until: int = len(LIFE)) -> None:
        """Live the life, up to so many steps.

        Raises:
            RuntimeError: a step failed, or a promise of a night was broken.
        """
        life.write_world(self.folder)
        for number, step in enumerate(LIFE[:until]):
            snapshot = self.folder / "before" / str(number)
            lake = self.folder / "lake"
            shutil.copytree(lake, snapshot) if lake.exists() else snapshot.mkdir(parents=True)
            boundaries = self._run(_live, self._place(lake), number)
            if boundaries is None:
                raise RuntimeError(f"{step} failed undisturbed; see {self.log}")
            state = self._run(_state, self._place(lake), self._last(number) == number)
            if state is None or (state.broken and step.of not in life.BROKEN):
                raise RuntimeError(f"{step} broke promises undisturbed: {state}; see {self.log}")
            self.passed.append(Passed(snapshot, () if step.spared else boundaries, state))

    def kills(self, ways: Sequence[str] = (STEP, ALL)) -> list[Kill]:
        """Every boundary of the life, with each way to go on that differs."""
        return [
            Kill(step, boundary, way)
            for step, passed in enumerate(self.passed)
            for boundary in range(1, len(passed.boundaries) + 1)
            for way in ways
            if way == STEP or self._first(step) != step
        ]

    def disturbed(self, kill: Kill) -> Outcome:
        """Live one step until the boundary, and go on after that."""
        step, passed = LIFE[kill.step], self.passed[kill.step]
        folder = self.folder / f"disturbed-{next(self._numbers)}"
        place = self._place(folder / "lake")
        shutil.copytree(passed.before, place.lake)
        reached = folder / "reached"
        self._run(_live, place, kill.step, kill.boundary, reached, killed=True)
        boundary = passed.boundaries[kill.boundary - 1]
        if not reached.exists() or reached.read_text() != boundary:
            found = reached.read_text() if reached.exists() else "nothing"
            lost: tuple[str, ...] = (f"boundary {kill.boundary} is {found}: the step is not the same each time",)
        else:
            first, last = (
                (kill.step, kill.step) if kill.way == STEP else (self._first(kill.step), self._last(kill.step))
            )
            states = (self.passed[kill.step - 1].state.rows if kill.step else {}, passed.state.rows)
            whole = (first, last) == (self._first(kill.step), self._last(kill.step))
            answer = self._run(_go_on, place, range(first, last + 1), states, self.passed[last].state, whole)
            lost = (f"it failed; see {self.log}",) if answer is None else answer
        if not lost:
            shutil.rmtree(folder)
        return Outcome(step.of, f"{step.name}: {boundary}, {kill.way}", lost)

    def _first(self, step: int) -> int:
        """The first step of what a step is a part of."""
        return next(n for n in range(step, -1, -1) if n == 0 or LIFE[n - 1].of != LIFE[step].of)

    def _last(self, step: int) -> int:
        """The last one."""
        return next(n for n in range(step, len(LIFE)) if n + 1 == len(LIFE) or LIFE[n + 1].of != LIFE[step].of)

    def _place(self, lake: Path) -> Place:
        return Place(self.folder, lake)

    def _run(self, function: Callable[..., Any], *arguments: Any, killed: bool = False) -> Any:
        """What a function returns in a process of its own, which has imported everything and done nothing; None where
        it fails.

        Args:
            killed: the process is to be killed.
        """
        ours, theirs = self._forked.Pipe(duplex=False)
        process = self._forked.Process(target=_answer, args=(theirs, self.log, function, arguments))
        process.start()
        theirs.close()
        try:
            answer = ours.recv()
        except EOFError:
            answer = None
        process.join()
        if killed and process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a process that was to be killed ended with {process.exitcode}; see {self.log}")
        return answer


def _answer(pipe: Connection, log: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    pipe.send(function(*arguments))


def _live(place: Place, step: int, at: int | None = None, reached: Path | None = None) -> tuple[str, ...]:
    with watching(place.lake, at=at, end=partial(_sigkill, reached)) as here:
        LIFE[step].run(place)
    return tuple(here.reached)


def _sigkill(reached: Path, boundary: str) -> NoReturn:
    reached.write_text(boundary)
    os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("a killed process goes on")


def _state(place: Place, promises: bool) -> State:
    return State.of(place.tables, promises=promises)


def _go_on(
    place: Place, steps: Sequence[int], states: tuple[Rows, Rows], expected: State, promises: bool
) -> tuple[str, ...]:
    """What is lost after a kill: what readers see before the steps are run, and what they see after it."""
    lost = list(_torn(place.tables, *states))
    for step in steps:
        LIFE[step].run(place)
    lost += [*State.of(place.tables, promises=promises).differs(expected), *foreign.differences(place.tables)]
    life.maintain_all(place)
    lost += [f"after maintenance, {what}" for what in differences(seen(place.tables), _published(expected.rows))]
    return tuple(lost)


def _torn(lake: Lake, *states: Rows) -> Iterator[str]:
    states = tuple(map(_published, states))
    if any(rows == (DAMAGED,) for state in states for rows in state.values()):
        return
    partitions = {partition for state in states for partition in state}
    allowed = {p: [digest(state[p]) if p in state else None for state in states] for p in partitions}
    rows = {
        p: [row for state in states for row in state.get(p, ())]
        for p in partitions
        if p.split("/")[0] in FEATURE_STORES
    }
    yield from read(lake, allowed, rows)


def _published(rows: Rows) -> Rows:
    return {name: found for name, found in rows.items() if not name.startswith("staged/")}


def counts(passed: Sequence[Passed]) -> Mapping[str, int]:
    """By what happens at them, how many boundaries there are."""
    return Counter(name.split(" ")[0] for one in passed for name in one.boundaries)


def drawn(kills: Sequence[Kill], most: int, *, seed: int) -> list[Kill]:
    """At most so many of them, in their order."""
    return sorted(Random(seed).sample(kills, min(most, len(kills))), key=kills.index)
