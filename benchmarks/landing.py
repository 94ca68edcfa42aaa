"""Speed and memory of reading a landing zone, in one process without Spark, beside Arrow's own readers.

Speed is rows a second of processor time, so that other work on the machine changes it little.
Writes a million items as JSON Lines, CSV and Parquet into a folder, then reads each once with Arrow, once as records,
and, of the first rows, once as rows of `items`. Each reading is a process of its own, so that its peak of memory is its
own.

    python -m benchmarks.landing --folder /tmp/landing
"""

import argparse
import csv
import datetime as dt
import itertools
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from jobs.landing import records
from jobs.landing.raw import Raw
from schemas.config import Clean

NIGHT = dt.date(2026, 11, 1)
NAMES = ("items.jsonl", "items.csv", "items.parquet")
BATCH = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are written, or were")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--normalised", type=int, default=100_000, help="rows that are also made rows of `items`")
    options = parser.parse_args()
    write(options.folder, options.rows)
    print(f"{'':<16}{'Arrow rows/s':>14}{'records/s':>12}{'ratio':>8}{'MiB':>7}{'normalised/s':>14}{'MiB':>7}")
    for name in NAMES:
        path = options.folder / name
        arrow, _ = measured(read_with_arrow, path, options.rows)
        plain, memory = measured(read_records, path, options.rows)
        rows, more = measured(normalise, path, options.normalised)
        print(f"{name:<16}{arrow:>14,.0f}{plain:>12,.0f}{plain / arrow:>8.3f}{memory:>7.0f}{rows:>14,.0f}{more:>7.0f}")


def write(folder: Path, rows: int) -> None:
    """Write the three files unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if all((folder / name).exists() for name in NAMES):
        return
    with (folder / NAMES[0]).open("w") as lines, (folder / NAMES[1]).open("w", newline="") as text:
        table = csv.DictWriter(text, list(item(0)))
        table.writeheader()
        parquet = None
        for batch in batches(rows):
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch)
            table.writerows({**row, "tags": json.dumps(row["tags"])} for row in batch)
            arrow = pa.Table.from_pylist(batch)
            parquet = parquet or pq.ParquetWriter(folder / NAMES[2], arrow.schema)
            parquet.write_table(arrow)
        if parquet:
            parquet.close()


def batches(rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the items, `BATCH` at a time."""
    for start in range(0, rows, BATCH):
        yield [item(number) for number in range(start, min(rows, start + BATCH))]


def item(number: int) -> dict[str, Any]:
    """Return the item of that number; every fifth has a comma and quotes in its text."""
    words = f'Forest series: vase no. {number}, "inspired by dusk"' if number % 5 == 0 else f"Vase no. {number}"
    return {
        "item_id": f"item-{number:07}",
        "title": words,
        "description": "A stool for the children's room that fits under any table and weighs less than a cat",
        "category": ("home", "toys", "music")[number % 3],
        "tags": ["wood", f"series {number % 40}"],
        "price": number % 1000 + 0.99,
        "updated_at": "2026-10-30T12:00:00Z",
    }


def read_with_arrow(path: Path, rows: int) -> int:
    """Read all columns with Arrow's own reader of the format, on one thread; returns rows."""
    if path.suffix == ".jsonl":
        return pyarrow.json.read_json(path, pyarrow.json.ReadOptions(use_threads=False)).num_rows
    if path.suffix == ".csv":
        options = pyarrow.csv.ReadOptions(use_threads=False)
        return pyarrow.csv.read_csv(path, options, pyarrow.csv.ParseOptions(newlines_in_values=True)).num_rows
    return pq.read_table(path, use_threads=False).num_rows


def read_records(path: Path, rows: int) -> int:
    """Read at most that many records; returns how many."""
    return sum(1 for _ in itertools.islice(Raw(str(path.parent)).records(path.name), rows))


def normalise(path: Path, rows: int) -> int:
    """Read at most that many records and make each a row of `items`; returns how many."""
    found = itertools.islice(Raw(str(path.parent)).records(path.name), rows)
    return sum(
        bool(records.item(record, night=NIGHT, config=Clean())) for _, record in found if isinstance(record, dict)
    )


def measured(read: Callable[[Path, int], int], path: Path, rows: int) -> tuple[float, float]:
    """Return the speed of a reading in a process of its own, and that process's peak of memory in MiB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measured, (read, path, rows))


def _measured(read: Callable[[Path, int], int], path: Path, rows: int) -> tuple[float, float]:
    read(path, 100)
    started = time.process_time()
    count = read(path, rows)
    seconds = time.process_time() - started
    return count / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
