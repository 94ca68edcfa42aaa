"""Nights at random moments of which something goes wrong: `python -m tests.faults --moments 50 --seed 7`."""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

from tests.faults.kills import KILLS, killed_night
from tests.faults.outcome import Outcome, table
from tests.faults.world import undisturbed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder unless given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightweave-faults-") as folder:
        world = undisturbed(arguments.folder or Path(folder), seed=arguments.seed)
        outcomes: list[Outcome] = []
        kinds = itertools.cycle(KILLS)
        while len(outcomes) < arguments.moments:
            started = time.monotonic()
            for outcome in killed_night(world, kinds, least=arguments.moments - len(outcomes)):
                outcomes.append(outcome)
                print(f"{len(outcomes):>3} {outcome}", flush=True)
            print(f"night {time.monotonic()-started:.0f} s", flush=True)
        print(table(outcomes, {}))
    return any(outcome.lost for outcome in outcomes)


if __name__ == "__main__":
    raise SystemExit(main())
