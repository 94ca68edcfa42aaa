"""A whole extraction of pictures in one Spark application whose tasks have GPUs.

Starts a local cluster of one worker, extracts `--items` pictures under the profile, workers warm, and prints pictures a
second from cleaned items to committed rows, how busy the GPUs were meanwhile (`nvidia-smi`, twice a second), and the
cosine of the stored vectors to those that the CPU makes of the same pictures (lowest and median).

    python -m benchmarks.gpu_night --posters movielens-small/posters
    python -m benchmarks.gpu_night --posters movielens-small/posters --config embedded    # the same without GPUs
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.metrics.pairwise import paired_cosine_distances

from benchmarks.extraction import DATE, Sample, item_rows, sample_of_folder
from benchmarks.measuring import seconds
from features.base import Encoder
from features.registry import encoder
from jobs.extract import extract_modality
from jobs.runtime.night import Night
from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.spark_session import spark_session
from lake.spark import SparkEngine
from schemas.config import load
from schemas.tables import FEATURES, Items

COMPARED = 256
"""Pictures whose vectors are made on the CPU as well."""
SECRET = "of a cluster that lives as long as its driver"


def main() -> None:
    options = _options()
    if options.within:
        _measure(options)
        return
    environment = os.environ | spark_environment() | {"PYTHONPATH": str(Path(__file__).parents[1])}
    master = f"local-cluster[1,{options.cores},{options.memory_mib}]"
    environment["PYSPARK_SUBMIT_ARGS"] = f"--master {master} pyspark-shell"
    command = [sys.executable, "-m", "benchmarks.gpu_night", *sys.argv[1:], "--within"]
    sys.exit(subprocess.run(command, env=environment).returncode)


def _measure(options: argparse.Namespace) -> None:
    config, sample = load(options.config), sample_of_folder(options.posters, options.items)
    gpus = {name: value for name, value in config.extract.spark.items() if "executor.resource.gpu" in name}
    if gpus and shutil.which("nvidia-smi") is None:
        raise SystemExit("no nvidia-smi: this machine has no NVIDIA GPU; --config embedded runs the same on its CPU")
    worker = {name.replace("executor", "worker"): value for name, value in gpus.items()}
    settings = config.extract.spark | worker | {"spark.authenticate.secret": SECRET}
    with spark_session("benchmark of a GPU night", settings) as spark, tempfile.TemporaryDirectory() as folder:
        for name, contents in (("warm", sample.contents[: options.warm]), ("measured", sample.contents)):
            night = Night.of(date_=DATE, raw=str(sample.root), lake=f"{folder}/{name}", config=options.config)
            night.lake.write(Items, item_rows(Sample("image", sample.root, contents), contents, night), {"date": DATE})
            with _watched(bool(gpus)) as busy:
                taken = seconds(partial(extract_modality, lambda *_: SparkEngine(spark), night, "image"))
        print(f"pictures: {len(sample.contents)} in {taken:.1f} s, {len(sample.contents) / taken:.1f}/s", flush=True)
        told = f"mean {statistics.mean(busy):.0f}%, median {statistics.median(busy):.0f}%" if busy else "not asked"
        print(f"GPUs busy: {told}")
        _compare(night, sample)


def _compare(night: Night, sample: Sample) -> None:
    """Print how the stored vectors agree with those of the CPU."""
    choice = night.config.extract.encoders["image"][0]
    on_cpu: Encoder = encoder("image", choice.name, **choice.parameters | {"engine": "onnxruntime"})
    stored = night.lake.read(FEATURES["image"], columns=["content_key", "vector"]).to_pylist()
    vectors = {row["content_key"]: row["vector"] for row in stored}
    compared = [
        (picture, vectors[key])
        for picture in sample.contents[:COMPARED]
        if (key := night.raw.media(picture, max_bytes=1 << 30)) in vectors
    ]
    expected = on_cpu.encode([on_cpu.decode(sample.root / picture) for picture, _ in compared])["vector"].to_pylist()
    cosine = 1 - paired_cosine_distances(np.array([vector for _, vector in compared]), np.array(expected))
    print(f"cosine to the CPU's, of {len(compared)}: lowest {cosine.min():.6f}, median {np.median(cosine):.6f}")


@contextmanager
def _watched(gpus: bool) -> Iterator[list[float]]:
    """A list that after the block has the GPUs' busy shares during it, in percent; that stays empty without GPUs."""
    shares: list[float] = []
    if not gpus:
        yield shares
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=500"]
    watching = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    try:
        yield shares
    finally:
        watching.terminate()
        shares += map(float, watching.communicate()[0].split())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--config", default="gpu", help="YAML file or profile")
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--warm", type=int, default=256, help="pictures of the run before")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="of the worker")
    parser.add_argument("--memory-mib", type=int, default=4096, help="of the worker's JVM")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
