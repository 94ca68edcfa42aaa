"""Speed of encoders' networks and of strategies trained by gradients, on a CPU and on the first GPU.

Prints for each encoder the rate in decoded contents a second, and the cosine of its vectors with those of the CPU in
single precision (lowest and median over contents); for each strategy the seconds of one fit on a split by user, and its
validation figure. Each line is measured in a process of its own; rates are medians of `--repeats` runs after a first
one. `--core` leaves out users and items with fewer likes.

    python -m benchmarks.gpu --posters movielens-small --lake LAKE --date 2026-11-07
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics.pairwise import paired_cosine_distances

from benchmarks.measuring import last_line, median_seconds, pictures

if TYPE_CHECKING:
    from features.text.nlp.analysis import Analysis

ENCODERS = {"image": ("efficientnet-lite0", "resnet50"), "text": ("e5-small",)}
STRATEGIES = ("joint", "concatenation", "weighted", "multitask")
PARAMETERS = {"resnet50": {"weights": "none"}}
BATCH = {"cpu": 16, "gpu": 256}
HALF = "mixed_float16"


@dataclass(frozen=True)
class Task:
    """What one process measures: an encoder, or a strategy if `modality` is None. Vectors are written to `folder`."""

    name: str
    modality: str | None
    device: str
    precision: str
    folder: str


def main() -> None:
    options = _options()
    if options.within:
        print(json.dumps(_measured(Task(**json.loads(options.within)), options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for modality, names in ENCODERS.items():
            for name in names:
                if name in options.only:
                    _compare_encoder(name, modality, folder, options)
        for name in STRATEGIES:
            if name in options.only:
                _compare_strategy(name, folder, options)


def _compare_encoder(name: str, modality: str, folder: str, options: argparse.Namespace) -> None:
    found: list[tuple[float, np.ndarray]] = []
    for device, precision in (("cpu", "float32"), ("gpu", "float32"), ("gpu", HALF)):
        task = Task(name, modality, device, precision, folder)
        result = _in_process(task, options)
        found.append((result["rate"], np.load(result["vectors"])))
        (slowest, expected), (rate, vectors) = found[0], found[-1]
        cosine = 1 - paired_cosine_distances(vectors, expected)
        _print(task, f"{rate:9.1f}/s", rate / slowest, f"cosine {cosine.min():.5f} / {np.median(cosine):.5f}", result)


def _compare_strategy(name: str, folder: str, options: argparse.Namespace) -> None:
    seconds: list[float] = []
    precisions = ("float32", "auto") if _has_precision(name) else ("auto",)
    for device, precision in (("cpu", "auto"), *(("gpu", precision) for precision in precisions)):
        task = Task(name, None, device, precision, folder)
        result = _in_process(task, options)
        seconds.append(result["seconds"])
        figure = f"{result['metric']} {result['value']:.4f} ({result['low']:.4f} to {result['high']:.4f})"
        epochs = f"{result['epochs']} epochs"
        _print(task, f"{seconds[-1]:9.1f} s", seconds[0] / seconds[-1], f"{epochs}, {figure}", result)


def _print(task: Task, amount: str, ratio: float, note: str, result: dict[str, Any]) -> None:
    print(
        f"{task.name:<20} {task.device} {task.precision:<14} {amount} {ratio:7.2f} x   {note}   {result['on']}",
        flush=True,
    )


def _in_process(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:], "--within", json.dumps(asdict(task))]
    environment = dict(os.environ, TF_FORCE_GPU_ALLOW_GROWTH="true")
    if task.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return json.loads(last_line(command, environment))


def _measured(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if task.device == "gpu" and not gpus:
        raise SystemExit("TensorFlow sees no GPU here; install the extra `gpu`, and look at the output of nvidia-smi")
    on = tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else f"{os.cpu_count()} cores"
    result = _encoded(task, task.modality, options) if task.modality else _fitted(task, options)
    return result | {"on": on}


def _encoded(task: Task, modality: str, options: argparse.Namespace) -> dict[str, Any]:
    from features.image.network import NetworkEncoder
    from features.registry import encoder
    from features.text.base import TextEncoder

    parameters = {**PARAMETERS.get(task.name, {}), "batch": BATCH[task.device], "precision": task.precision}
    one = encoder(modality, task.name, **parameters)
    if isinstance(one, NetworkEncoder):
        pixels = np.stack([one.decode(picture).pixels for picture in pictures(options.posters, options.items)])
        count, work = len(pixels), partial(one.embed, pixels)
    else:
        assert isinstance(one, TextEncoder)
        texts = _texts(options)
        count, work = len(texts), partial(one.vectors, texts)
    file = Path(task.folder) / f"{task.name}-{task.device}-{task.precision}.npy"
    np.save(file, work())
    return {"rate": count / median_seconds(work, options.repeats), "vectors": str(file)}


def _fitted(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    from fusion.data.splits import split_as
    from fusion.missing.fill import model_input
    from fusion.selection.bench import Bench
    from jobs.compare import dense
    from jobs.modelling.dataset import load

    night = _night(options)
    how, judge, (dataset,) = night.config.fusion, night.config.evaluate, load(night)
    dataset = dense(dataset, least=options.core) if options.core else dataset
    parts = split_as(dataset.history, how, item_ids=dataset.catalog.item_ids, kind="per_user")
    catalog = model_input(dataset.catalog, dataset.reviews, parts.train, how)
    bench = Bench(catalog, parts, metric=judge.gate_metric, k=judge.gate_k, seed=how.seed)
    parameters = {"precision": task.precision} if _has_precision(task.name) else {}
    trial = bench.attempt(task.name, task.name, parameters)
    figures = {"value": trial.value, "low": trial.low, "high": trial.high, "metric": f"{bench.metric}@{bench.k}"}
    return figures | {"seconds": trial.fitted.seconds, "epochs": trial.fitted.epochs}


def _has_precision(name: str) -> bool:
    from fusion.models import registry
    from fusion.models.trained import Trained

    strategy = registry.strategy(name)
    return issubclass(strategy, Trained) and "precision" not in strategy.unused_settings


def _texts(options: argparse.Namespace) -> "list[Analysis]":
    """Texts of the night's items, without the tokens and entities that only the readable columns need."""
    from features.text.nlp.analysis import Analysis
    from schemas.tables import Items

    table = _night(options).lake.read(Items, columns=["text"])
    return [Analysis(text, "und", [], []) for text in table["text"].to_pylist()[: options.items] if text]


def _night(options: argparse.Namespace) -> Any:
    from jobs.runtime.night import Night

    return Night.of(date_=options.date, raw=options.lake, lake=options.lake, config=None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=Path, required=True, help="a folder with pictures, at any depth")
    parser.add_argument("--lake", required=True, help="a lake with a complete night of --date")
    parser.add_argument("--date", required=True)
    parser.add_argument("--only", nargs="+", default=[*(n for ns in ENCODERS.values() for n in ns), *STRATEGIES])
    parser.add_argument("--items", type=int, default=2000, help="contents of each modality, at most")
    parser.add_argument("--core", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--within", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
