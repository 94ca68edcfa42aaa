"""A raw file that changes while it is read."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.faults.night import CLEAN, EXTRACT, LEARN, SHOW
from tests.faults.outcome import Outcome
from tests.faults.reader import reading
from tests.faults.rows import FEATURE_STORES, Rows, differences, rows_of
from tests.faults.world import World

FAULT = "raw file changes while it is read"
EVERY_S = 0.05


@contextmanager
def changing(files: list[Path], random: Random) -> Iterator[None]:
    """Within it, one file at a time is written over in place, half of it first; at the end all are as before."""
    whole = {file: file.read_bytes() for file in files}
    over = threading.Event()

    def meddle() -> None:
        while not over.wait(random.uniform(0, EVERY_S)):
            file = random.choice(files)
            other = bytearray(whole[file])
            other[random.randrange(len(other))] ^= 1 << random.randrange(7)
            half = len(other) // 2
            with file.open("r+b") as out:
                out.write(other[:half])
                out.flush()
                time.sleep(random.uniform(0, EVERY_S))
                out.write(other[half:])
            file.write_bytes(whole[file])

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        yield
    finally:
        over.set()
        meddler.join()
        for file, data in whole.items():
            file.write_bytes(data)


def changed_night(world: World) -> Iterator[Outcome]:
    """Records change while the night is cleaned, media while it is cleaned and extracted; then the night is run again.

    What was extracted of other bytes may stay in the feature stores, under its own key: contents are extracted once.
    """
    folder = world.fresh().lake.parent
    raw = Path(shutil.copytree(world.place.raw, folder / "raw"))
    place = world.fresh(raw=raw)
    records = [path for path in raw.rglob("*") if path.is_file() and "ds=" in str(path)]
    media = [path for path in (raw / "media").rglob("*") if path.is_file()]
    disturbed = (CLEAN, world.random.choice(EXTRACT))
    for step, files in zip(disturbed, (records + media, media), strict=True):
        with changing(files, world.random):
            place.run(step)  # it may fail: then it says why, and is run again
    expected = world.rows(1)
    before = rows_of(place.tables())
    kept = {p: rows for p, rows in before.items() if p.split("/")[0] in FEATURE_STORES}
    with reading(place.lake, folder / "reader", before, expected, parts=True) as reader:
        for step in (CLEAN, *EXTRACT, *LEARN, *SHOW):
            place.must(step)
        lost = [*_less(rows_of(place.tables()), kept, expected), *reader.torn()]
    yield Outcome(FAULT, " and ".join(map(str, disturbed)), tuple(lost))


def _less(found: Rows, kept: Rows, expected: Rows) -> list[str]:
    """Differences, but for features of contents that were there for a moment only."""
    extra = {p: set(rows) - set(expected.get(p, ())) for p, rows in kept.items()}
    return list(
        differences({p: tuple(r for r in rows if r not in extra.get(p, ())) for p, rows in found.items()}, expected)
    )
