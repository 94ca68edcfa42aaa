"""The life of a small lake, killed at every boundary of its writes: `python -m tests.faults.every_boundary`."""

import argparse
import tempfile
from pathlib import Path

from tests.faults.life import LIFE
from tests.faults.lives import ALL, STEP, Lives, counts, drawn
from tests.faults.outcome import table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--again", type=int, help="at so many, drawn by the seed, all is done again too; at every one unless given"
    )
    parser.add_argument("--sample", type=int, help="only so many of all, drawn by the seed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", help="only steps of these names, by commas, such as publish,rollback")
    parser.add_argument("--list", action="store_true", help="only say the boundaries")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder unless given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightweave-boundaries-") as folder:
        lives = Lives(arguments.folder or Path(folder))
        lives.live_undisturbed()
        if arguments.list:
            for step, passed in zip(LIFE, lives.passed, strict=True):
                print(f"{step}:", *passed.boundaries, sep="\n    ")
            return 0
        names = arguments.steps.split(",") if arguments.steps else [step.name for step in LIFE]
        kills = [kill for kill in lives.kills() if LIFE[kill.step].name in names]
        again = [kill for kill in kills if kill.way == ALL]
        if arguments.again is not None:
            again = drawn(again, arguments.again, seed=arguments.seed)
        kills = [kill for kill in kills if kill.way == STEP] + again
        if arguments.sample is not None:
            kills = drawn(kills, arguments.sample, seed=arguments.seed)
        outcomes = []
        for number, kill in enumerate(kills, 1):
            outcomes.append(lives.disturbed(kill))
            verdict = "LOST: " + "; ".join(outcomes[-1].lost) if outcomes[-1].lost else "survived"
            print(f"{number:>4} {outcomes[-1].fault}: {outcomes[-1].moment}: {verdict}", flush=True)
        print(f"{lives.boundaries} boundaries: {dict(counts(lives.passed))}")
        print(table(outcomes, {}))
    return int(any(outcome.lost for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
