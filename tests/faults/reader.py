"""A process that reads every published partition over and over, and says when one is torn."""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lake import publication
from lake.lake import Lake
from tests.faults.rows import COMPARED, FEATURE_STORES, Rows, digest, rows_of_table

PAUSE_S = 0.25


@dataclass
class Reader:
    """A reader that runs."""

    process: subprocess.Popen
    said: Path
    _told: int = 0

    def torn(self) -> list[str]:
        """What it has complained of since it was last asked; that it runs no more is a complaint too."""
        complaints = self.said.read_text().splitlines() if self.said.exists() else []
        new, self._told = complaints[self._told :], len(complaints)
        return new if self.process.poll() is None else [*new, "the reader itself has ended"]


@contextmanager
def reading(lake: Path, folder: Path, *states: Rows, parts: bool = False) -> Iterator[Reader]:
    """Within it, a process reads the lake over and over.

    Each partition may be as in one of `states`, and absent where one of them lacks it. With `parts`, a feature store
    may hold any of the rows of all `states`, none twice: contents arrive there from several nights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partitions = sorted({partition for state in states for partition in state})
    allowed = {p: [digest(state[p]) if p in state else None for state in states] for p in partitions}
    stores = {p for p in partitions if parts and p.split("/")[0] in FEATURE_STORES}
    rows = {p: sorted({row for state in states for row in state.get(p, ())}) for p in stores}
    (folder / "allowed.json").write_text(json.dumps({"partitions": allowed, "rows": rows}))
    said = folder / "torn.txt"
    command = [sys.executable, "-m", "tests.faults.reader", str(lake), str(folder / "allowed.json"), str(said)]
    process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2])
    try:
        yield Reader(process, said)
    finally:
        process.terminate()
        process.wait()


def read(lake: Lake, allowed: dict[str, list[str | None]], rows: dict[str, list[str]]) -> Iterator[str]:
    """Read every partition once; yields, in words, what may not be: a partition as in no state, and a night that is as
    in no one state in all its tables."""
    opened = publication.as_readers_see(lake, lambda seen: [seen.dataset(table) for table in COMPARED])
    nights: dict[str, set[int]] = {}
    for table, dataset in zip(COMPARED, opened, strict=True):
        try:
            found = rows_of_table(table, dataset)
        except Exception as error:  # whatever it is, a reader may not meet it
            yield f"{table.name}: cannot be read: {type(error).__name__}: {' '.join(str(error).split())}"
            continue
        known = {partition for partition in allowed if partition.split("/")[0] == table.name}
        for partition in sorted(found.keys() | known):
            here = found.get(partition)
            if partition in rows:
                if here and (len(set(here)) < len(here) or not set(here) <= set(rows[partition])):
                    yield f"{partition}: {len(here)} rows, some unknown or twice"
                continue
            states = allowed.get(partition, [None])
            same = {number for number, state in enumerate(states) if state == (digest(here) if here else None)}
            if not same:
                yield f"{partition}: {len(here or ())} rows, neither the old nor the new"
            elif night := re.search(r"/(date=[^/]+)", partition):
                nights[night[1]] = nights.get(night[1], same) & same
    yield from (f"{night}: tables are of different runs" for night, states in nights.items() if not states)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("lake", "allowed", "said"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    lake, expected = Lake(str(arguments.lake)), json.loads(arguments.allowed.read_text())
    while True:
        for complaint in read(lake, expected["partitions"], expected["rows"]):
            with arguments.said.open("a") as said:
                said.write(f"{complaint}\n")
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
