"""Speed-up of extracting pictures with two Spark workers of one core each over one.

Starts standalone clusters on loopback, of one worker and of two in turn; each worker and its child processes are kept
on one core. Prints for each turn contents a second from cleaned items to committed rows, workers warm, and the
processor time of all other processes as a share of all cores. If that is more than a tenth, the ratio is unreliable.

    python -m benchmarks.scale_out --posters movielens-small
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.extraction import DATE, Sample, item_rows, sample_of_folder
from benchmarks.measuring import last_line
from jobs.extract import extract_modality
from jobs.runtime.night import Night
from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.spark_session import spark_session
from lake.spark import SparkEngine
from schemas.tables import Items
from tests.deploy import cluster as standalone

WARM_UP = 64


def main() -> None:
    options = _options()
    if options.within:
        _measure(options)
        return
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(options.turns):
        for workers, found in rates.items():
            rate, others = _on_cluster(workers, options)
            found.append(rate)
            print(f"turn {turn + 1}, {workers} worker(s): {rate:7.1f}/s, others took {others:4.0%}", flush=True)
    one, two = (statistics.median(found) for found in rates.values())
    print(f"medians: one worker {one:.1f}/s, two workers {two:.1f}/s: {two / one:.2f} times")


def _on_cluster(workers: int, options: argparse.Namespace) -> tuple[float, float]:
    """Contents a second on a new cluster, and the share of the machine that other processes took."""
    with tempfile.TemporaryDirectory() as folder, standalone.running(Path(folder), workers=workers) as cluster:
        command = [standalone.ENTRYPOINT, "spark-submit", "--master", cluster.url, __file__, *sys.argv[1:]]
        environment = os.environ | spark_environment() | cluster.environment
        environment["PYTHONPATH"] = str(standalone.ROOT)
        rate, others = last_line([*command, "--within", str(os.getpid())], environment).split()
    return float(rate), float(others)


def _measure(options: argparse.Namespace) -> None:
    sample = sample_of_folder(options.posters, options.items)
    with spark_session("benchmark of scale-out") as spark, tempfile.TemporaryDirectory() as folder:
        for name, contents in (("warm", sample.contents[:WARM_UP]), ("measured", sample.contents)):
            night = Night.of(date_=DATE, raw=str(sample.root), lake=f"{folder}/{name}", config=options.config)
            night.lake.write(Items, item_rows(Sample("image", sample.root, contents), contents, night), {"date": DATE})
            before, started = _processor_seconds(options.within), time.perf_counter()
            extract_modality(lambda *_: SparkEngine(spark), night, "image")
            seconds = time.perf_counter() - started
            busy, own = (after - b for after, b in zip(_processor_seconds(options.within), before, strict=True))
    print(len(sample.contents) / seconds, max(0.0, busy - own) / (seconds * (os.cpu_count() or 1)))


def _processor_seconds(root: int) -> tuple[float, float]:
    """Processor seconds of the whole machine, and of the process `root` with its descendants."""
    whole = psutil.cpu_times()
    busy = sum(whole) - whole.idle - getattr(whole, "iowait", 0.0) - whole.guest - whole.guest_nice
    own = 0.0
    for process in (psutil.Process(root), *psutil.Process(root).children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        own += sum(times[:4])  # with that of children that have ended
    return busy, own


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=Path, required=True, help="a folder with pictures, at any depth")
    parser.add_argument("--items", type=int, default=3000, help="pictures, at most")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--config", default="embedded")
    parser.add_argument("--within", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
