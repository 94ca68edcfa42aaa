"""Two runs at once: of one night, or of two nights."""

import time
from collections.abc import Iterator, Sequence

from tests.faults.night import CLEAN, EXTRACT, LEARN, NIGHTS, SHOW, STEP_TIMEOUT_S, STEPS, Place, Step
from tests.faults.outcome import Outcome
from tests.faults.reader import reading
from tests.faults.rows import differences, rows_of
from tests.faults.world import World

ONE_NIGHT, TWO_NIGHTS = "one night run twice at once", "two nights publishing at once"


def at_once(place: Place, steps: Sequence[tuple[Step, str]], wait_s: float) -> list[str]:
    """Run steps of nights at the same time, each so much after the other; returns, in words, what failed."""
    running = []
    for step, night in steps:
        running.append((step, night, place.start(step, night)))
        time.sleep(wait_s)
    return [
        f"{step} of {night} failed; see {place.log}"
        for step, night, process in running
        if process.wait(STEP_TIMEOUT_S) != 0
    ]


def one_night_twice(world: World) -> Iterator[Outcome]:
    """Every step of a night started twice, as where a scheduler gave up a task that still ran."""
    place = world.fresh()
    with reading(place.lake, place.lake.parent / "reader", {}, world.rows(1)) as reader:
        for step in STEPS:
            wait_s = world.random.uniform(0, world.nights[0][step].seconds / 2)
            lost = at_once(place, [(step, NIGHTS[0])] * 2, wait_s)
            lost += differences(rows_of(place.made()), world.nights[0][step].rows)
            yield Outcome(ONE_NIGHT, f"{step}, {wait_s:.1f} s apart", (*lost, *reader.torn()))
            if lost:
                return


def two_nights_at_once(world: World) -> Iterator[Outcome]:
    """Two new nights are cleaned and extracted at once; once both are published, this happens again, and then what each
    shows is made and published again at once."""
    place = world.fresh()
    states = [{}, world.rows(1), world.rows(2)]
    with reading(place.lake, place.lake.parent / "reader", *states, parts=True) as reader:
        for turn in ("", " again"):
            for step in (CLEAN, *EXTRACT):
                wait_s = world.random.uniform(0, 2)
                lost = at_once(place, [(step, night) for night in world.random.sample(NIGHTS, 2)], wait_s)
                yield Outcome(TWO_NIGHTS, f"{step}{turn}, {wait_s:.1f} s apart", (*lost, *reader.torn()))
            for night in NIGHTS:
                for step in (*LEARN, *SHOW):
                    place.must(step, night)
        for step in STEPS[STEPS.index(LEARN[-1]) :]:  # a night trains only after those before it are published
            wait_s = world.random.uniform(0, 2)
            lost = at_once(place, [(step, night) for night in world.random.sample(NIGHTS, 2)], wait_s)
            lost += differences(rows_of(place.tables()), world.rows(2))
            yield Outcome(TWO_NIGHTS, f"{step} again, {wait_s:.1f} s apart", (*lost, *reader.torn()))
