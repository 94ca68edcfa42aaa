"""Nights in which something goes wrong at random moments: `python -m tests.faults --moments 50 --seed 7`."""

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import cluster, disk, kills, raw_changes, twins
from tests.faults.outcome import Outcome, table
from tests.faults.world import World, undisturbed

Nights = Callable[[World], Iterator[Outcome]]
KINDS = itertools.cycle(kills.KILLS)
FAULTS: dict[str, tuple[int, Nights]] = {
    "kill": (20, lambda world: kills.killed_night(world, KINDS)),
    "two-nights": (5, twins.two_nights_at_once),
    "raw": (3, raw_changes.changed_night),
    "disk": (3, lambda world: disk.full_night(world, disk.LAKE)),
    "node": (6, cluster.night_that_loses_nodes),
    "twice": (10, twins.one_night_twice),
    "scratch": (3, lambda world: disk.full_night(world, disk.SCRATCH)),
}
"""Fault to its share of the moments, in fiftieths, and a night that suffers it."""
FUTILE_NIGHTS = 3


def moments(world: World, nights: Nights, wanted: int) -> Iterator[Outcome]:
    """So many outcomes, from as many nights as they take; nights at none of whose moments anything happened end it."""
    futile = 0
    while wanted > 0 and futile < FUTILE_NIGHTS:
        before = wanted
        for outcome in itertools.islice(nights(world), wanted):
            wanted -= 1
            yield outcome
        futile = futile + 1 if wanted == before else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="of all faults together")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", default=",".join(FAULTS), help="only these, by commas")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder unless given")
    parser.add_argument("--local", action="store_true", help="steps in their own processes, without Spark")
    arguments = parser.parse_args()
    chosen = {name: FAULTS[name] for name in arguments.faults.split(",")}
    share = sum(weight for weight, _ in chosen.values())
    outcomes: list[Outcome] = []
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="nightweave-faults-") as folder:
        nights_needed = 2 if "two-nights" in chosen else 1
        where = arguments.folder or Path(folder)
        world = undisturbed(where, seed=arguments.seed, nights=nights_needed, under_spark=not arguments.local)
        for name, (weight, nights) in chosen.items():
            try:
                for outcome in moments(world, nights, round(arguments.moments * weight / share)):
                    outcomes.append(outcome)
                    verdict = "LOST: " + "; ".join(outcome.lost) if outcome.lost else "survived"
                    print(f"{len(outcomes):>3} {outcome.fault}: {outcome.moment}: {verdict}", flush=True)
            except disk.CannotMountError as error:
                skipped[name] = str(error)
        print(table(outcomes, skipped))
    return int(any(outcome.lost for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
