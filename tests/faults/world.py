"""An undisturbed night to compare with, and fresh copies of its beginning to disturb."""

import itertools
import random
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.night import NIGHTS, STEPS, Place, Step, new_place
from tests.faults.rows import Rows, rows_of


@dataclass(frozen=True)
class Mark:
    """What one step of the undisturbed night took, and what the lake held after it."""

    seconds: float
    files: int
    rows: Rows


@dataclass
class World:
    """`nights[n]` are the marks of the undisturbed nth night, run after those before it; `random` is seeded."""

    folder: Path
    place: Place
    random: random.Random
    nights: list[dict[Step, Mark]] = field(default_factory=list)
    _numbers: itertools.count = field(default_factory=itertools.count)

    def fresh(self, *, after: int = 0, **changes: object) -> Place:
        """A place with the lake as `after` undisturbed nights left it."""
        folder = self.folder / f"disturbed-{next(self._numbers)}"
        folder.mkdir()
        if after:
            shutil.copytree(self.snapshot(after), folder / "lake")
        return replace(self.place, **{"lake": folder / "lake", "log": folder / "steps.log", **changes})

    def snapshot(self, nights: int) -> Path:
        """A lake as so many undisturbed nights left it."""
        return self.folder / f"lake-after-{nights}"

    def rows(self, nights: int) -> Rows:
        """What the lake holds after so many undisturbed nights."""
        return self.nights[nights - 1][STEPS[-1]].rows if nights else {}


def undisturbed(folder: Path, *, seed: int, nights: int = 1, under_spark: bool = False) -> World:
    """Run so many nights without a fault."""
    world = World(folder, new_place(folder, under_spark=under_spark), random.Random(seed))
    for number, night in enumerate(NIGHTS[:nights], 1):
        marks, place = {}, world.place
        for step in STEPS:
            before = place.files()
            seconds = place.must(step, night)
            marks[step] = Mark(seconds, max(0, place.files() - before), rows_of(place.made(night)))
        world.nights.append(marks)
        shutil.copytree(place.lake, world.snapshot(number))
    return world
