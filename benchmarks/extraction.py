"""Throughput of extraction, compared with a plain loop, naive Spark functions and the networks alone.

Prints, for each encoder, contents a second of
  night    `jobs.extract` from cleaned items to committed rows, readable columns included, in a warm Spark session;
  loop     one content after the other: decode, encode, no batches;
  cores    that loop in a process a core;
  udf      the same inside a Spark function that is called row by row, with an encoder that its process keeps;
  predict  of pictures: that function with the network called by Keras' `predict`, as a first attempt would;
  forward  the network alone, on all cores, on contents that are decoded (texts: tokens) and in memory, by ONNX Runtime
           and by Keras with TensorFlow: what no pipeline around it can beat;
  vectors  of texts: the encoder's vectors, from texts that are analysed already;
  columns  of texts: the readable columns alone, in one process;
what a second run on the same contents costs beside the first, and of films how many frames a second a core decodes,
beside PyAV. Medians of `--repeats` runs. A ratio with a bar behind it is one that is to be kept.

    python -m benchmarks.extraction --posters movielens-small/posters --stamps stamps
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType

from benchmarks.measuring import blank_row, items, median_seconds, pictures, seconds
from features.base import Encoder
from features.image.network import NetworkEncoder
from features.registry import encoder
from features.text import e5
from features.text.base import TextEncoder
from features.text.e5 import E5Small
from features.text.e5_tokenizer import token_ids
from features.text.nlp.analysis import Analysis, analyse
from features.text.nlp.columns import readable_columns
from features.video.base import VideoEncoder
from jobs.extract import extract_modality
from jobs.extraction.encoding import encoder_of_process
from jobs.runtime.night import Night
from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.spark_session import spark_session
from lake.lake import Lake
from lake.spark import SparkEngine
from schemas.config import Config, EncoderChoice, load
from schemas.table import MEDIA, Medium
from schemas.tables import Items

DATE = "2026-11-01"
UNBATCHED = {"text": {"batch": 1}, "image": {"batch": 1}}
"""Networks pad their batches, so code that has one content at a time is measured with batches of one."""
WORDS = (10, 60, 200)
"""Words of the texts that are measured."""
TOGETHER = (1, 4, 16)
"""Contents a call of a network alone; the fastest counts."""
BARS: dict[str, dict[str, float]] = {
    "image": {"forward": 0.85, "udf": 1.5, "predict": 3.0},
    "audio": {"cores": 1.0},
    "video": {"cores": 1.0},
}
"""What `night` is to be of each rate."""
LEAST_OF_RAW, LEAST_OF_COLUMNS = 0.9, 1.0
"""What `vectors` of texts are to be of `forward`, and `columns` of `vectors`."""


@dataclass(frozen=True)
class Sample:
    """Contents of one modality: texts, or paths relative to `root`."""

    modality: Medium
    root: Path
    contents: list[str]

    def local(self, content: str) -> str | Path:
        return content if self.modality == "text" else self.root / content


def main() -> None:
    options = _options()
    config = load(options.config)
    with spark_session("benchmark of extraction") as spark:
        for modality in options.modalities:
            for sample, choice in _samples(options, modality, config):
                _report(spark, sample, _choosing(config, modality, choice), options.repeats)


def _samples(options: argparse.Namespace, modality: Medium, config: Config) -> Iterator[tuple[Sample, EncoderChoice]]:
    (choice, *_) = config.extract.encoders[modality]
    if modality == "text":
        words = " ".join(_sample_of_landing_zone(options.stamps, "text", options.items).contents).split()
        for length in WORDS:
            endless = cycle(words)
            texts = [" ".join(islice(endless, length)) for _ in range(options.items)]
            yield Sample("text", options.stamps, texts), choice
    elif modality == "image":
        posters = sample_of_folder(options.posters, options.items)
        yield posters, choice
        yield posters, EncoderChoice(name="resnet50", parameters={"weights": options.resnet50})
    else:
        yield _sample_of_landing_zone(options.stamps, modality, options.items), choice


def _choosing(config: Config, modality: Medium, choice: EncoderChoice) -> Config:
    encoders = config.extract.encoders | {modality: (choice,)}
    return config.model_copy(update={"extract": config.extract.model_copy(update={"encoders": encoders})})


def _report(spark: SparkSession, sample: Sample, config: Config, repeats: int) -> None:
    choice = config.extract.encoders[sample.modality][0]
    whole = encoder(sample.modality, choice.name, **choice.parameters)
    single = (sample.modality, choice.name, choice.parameters | UNBATCHED.get(sample.modality, {}))
    length = f" of {len(sample.contents[0].split())} words" if sample.modality == "text" else ""
    print(f"\n{sample.modality}: {len(sample.contents)} contents{length}, {whole.fingerprint}", flush=True)
    first, second = zip(*(_night(spark, sample, config) for _ in range(repeats)), strict=True)
    rates = {
        "night": len(sample.contents) / statistics.median(first),
        "loop": _rate(lambda: _loop(sample, encoder(single[0], single[1], **single[2])), sample, repeats),
        "cores": _cores(sample, single, repeats),
        "udf": _rate(lambda: _udf(spark, sample, _encoded(sample, *single)), sample, repeats),
    }
    if isinstance(whole, NetworkEncoder):
        rates["predict"] = _rate(lambda: _udf(spark, sample, _predicted(sample, *single)), sample, repeats)
    forwards = _forwards(sample, choice, repeats)
    rates["forward"] = max(forwards.values())
    for name, rate in rates.items():
        _line(name, rate, "night", rates["night"] / rate, BARS.get(sample.modality, {}).get(name))
    for name, rate in forwards.items():
        print(f"    {name:<24} {rate:8.1f}/s")
    if isinstance(whole, TextEncoder):
        _report_texts(sample, whole, rates["forward"], repeats)
    if isinstance(whole, VideoEncoder):
        _report_frames(sample, whole)
    again = statistics.median(second)
    print(f"  a second run takes {again:.2f} s, {again / statistics.median(first):.1%} of the first", flush=True)


def _line(name: str, rate: float, other: str, ratio: float, bar: float | None) -> None:
    told = "" if bar is None else f"   bar {bar}: {'kept' if ratio >= bar else 'MISSED'}"
    print(f"  {name:<8} {rate:8.1f}/s   {other} is {ratio:5.2f} x{told}", flush=True)


def _report_texts(sample: Sample, whole: TextEncoder, forward: float, repeats: int) -> None:
    texts = [Analysis(text, "und", [], []) for text in sample.contents]
    vectors = _rate(lambda: whole.vectors(texts), sample, repeats)

    def columns() -> None:
        for start in range(0, len(sample.contents), 32):
            chunk = sample.contents[start : start + 32]
            for text, analysis in zip(chunk, analyse(*chunk), strict=True):
                readable_columns(text, analysis)

    _line("vectors", vectors, "of forward it", vectors / forward, LEAST_OF_RAW)
    rate = _rate(columns, sample, repeats)
    _line("columns", rate, "of vectors it", rate / vectors, LEAST_OF_COLUMNS)


def _report_frames(sample: Sample, whole: VideoEncoder) -> None:
    """Frames a second on a core: those of the encoder's decoding, sound included, and PyAV's with one thread."""
    import av

    frames, by_pyav, by_us = 0, 0.0, 0.0
    for film in sample.contents:
        started = time.perf_counter()
        with av.open(str(sample.root / film)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            frames += sum(1 for _ in container.decode(stream))
        between = time.perf_counter()
        whole.decode(sample.root / film)
        by_pyav, by_us = by_pyav + between - started, by_us + time.perf_counter() - between
    _line("frames", frames / by_us, "of PyAV it", by_pyav / by_us, None)


def _night(spark: SparkSession, sample: Sample, config: Config) -> tuple[float, float]:
    """Seconds of a first and of a second extraction of the sample into a lake of its own, workers warm."""
    with tempfile.TemporaryDirectory() as folder:
        for warm, contents in ((True, sample.contents[:128]), (False, sample.contents)):
            lake = Lake(f"{folder}/{'warm' if warm else 'measured'}")
            night = Night.of(date_=DATE, raw=str(sample.root), lake=lake.uri, config=None)
            night = Night(night.date, night.raw, night.lake, config)
            lake.write(Items, item_rows(sample, contents, night), {"date": DATE})
            taken = [
                seconds(partial(extract_modality, lambda *_: SparkEngine(spark), night, sample.modality))
                for _ in range(2)
            ]
    return taken[0], taken[1]


def item_rows(sample: Sample, contents: list[str], night: Night) -> pa.Table:
    """Return one cleaned item for each content."""
    rows = []
    for number, content in enumerate(contents):
        row = blank_row(Items.schema) | {"date": night.date, "item_id": f"{number:05d}", "language": "und"}
        if sample.modality == "text":
            row |= {"text": content, "text_key": hashlib.sha256(content.encode()).hexdigest()}
        else:
            key = night.raw.media(content, max_bytes=1 << 30)
            row |= {f"{sample.modality}_uris": [content], f"{sample.modality}_keys": [key]}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=Items.schema)


def _loop(sample: Sample, one: Encoder) -> None:
    for content in sample.contents:
        one.encode([one.decode(sample.local(content))])


def _udf(spark: SparkSession, sample: Sample, vector: Callable[[str], list[float]]) -> None:
    rows = spark.createDataFrame([(content,) for content in sample.contents], "content string")
    called = F.udf(vector, ArrayType(FloatType()), useArrow=False)
    mapped = rows.repartition(spark.sparkContext.defaultParallelism).select(called("content").alias("vector"))
    mapped.write.format("noop").mode("overwrite").save()


def _encoded(sample: Sample, modality: Medium, name: str, parameters: dict) -> Callable[[str], list[float]]:
    def vector(content: str) -> list[float]:
        one = encoder_of_process(modality, name, json.dumps(parameters))
        return one.encode([one.decode(sample.local(content))])["vector"][0].as_py()

    return vector


def _predicted(sample: Sample, modality: Medium, name: str, parameters: dict) -> Callable[[str], list[float]]:
    def vector(content: str) -> list[float]:
        one = encoder_of_process(modality, name, json.dumps(parameters))
        assert isinstance(one, NetworkEncoder)
        outputs = one.network().predict(one.decode(sample.root / content).pixels[None], verbose=0)
        return (outputs[0] if isinstance(outputs, list | tuple) else outputs)[0].tolist()

    return vector


def _forwards(sample: Sample, choice: EncoderChoice, repeats: int) -> dict[str, float]:
    """Contents a second of the network alone by engine and contents a call; of an encoder without one, of `encode`."""
    made = encoder(sample.modality, choice.name, **choice.parameters)
    decoded = [made.decode(sample.local(content)) for content in sample.contents]
    if isinstance(made, NetworkEncoder):
        pixels = np.stack([picture.pixels for picture in decoded])
        networks: dict[str, Any] = {"onnxruntime": made.onnx_network(), "keras": made.network()}
        batches = {size: [[pixels[start : start + size]] for start in range(0, len(pixels), size)] for size in TOGETHER}
    elif isinstance(made, E5Small):
        networks = {"onnxruntime": e5._network(None).network, "keras": e5._network("float32").network}
        batches = {size: _tokens(decoded, size) for size in TOGETHER}
    else:
        return {"encode": _rate(lambda: made.encode(decoded), sample, repeats)}
    return {
        f"{name}, {size} a call": _rate(partial(_call, network, of_size), sample, repeats)
        for name, network in networks.items()
        for size, of_size in batches.items()
    }


def _call(network: Any, batches: list[list[np.ndarray]]) -> None:
    inputs = len(network.inputs)
    for batch in batches:
        network.predict_on_batch(batch[:inputs])


def _tokens(texts: list[str], size: int) -> list[list[np.ndarray]]:
    """Embedded tokens and their mask, in batches of texts of similar length. ONNX Runtime is given no mask: padding is
    as dear as tokens."""
    network = e5._network("float32")
    windows = sorted(([*network.begin, *token_ids(f"query: {text}"), *network.end] for text in texts), key=len)
    chunks = [windows[start : start + size] for start in range(0, len(windows), size)]
    return [network.inputs(*network._padded(chunk, max(map(len, chunk)))) for chunk in chunks]


def _cores(sample: Sample, single: tuple[Medium, str, dict[str, Any]], repeats: int) -> float:
    """Contents a second of the plain loop in a process a core, each with one thread and an encoder that it keeps."""
    cores = os.cpu_count() or 1
    parts = [Sample(sample.modality, sample.root, sample.contents[core::cores]) for core in range(cores)]
    with ProcessPoolExecutor(cores, get_context("spawn"), initializer=_use_one_thread) as pool:
        return _rate(lambda: list(pool.map(partial(_loop_with, single), parts)), sample, repeats)


def _use_one_thread() -> None:
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


def _loop_with(single: tuple[Medium, str, dict[str, Any]], sample: Sample) -> None:
    _loop(sample, encoder_of_process(single[0], single[1], json.dumps(single[2])))


def _rate(work: Callable[[], object], sample: Sample, repeats: int) -> float:
    """Contents a second."""
    return len(sample.contents) / median_seconds(work, repeats)


def sample_of_folder(root: Path, most: int) -> Sample:
    return Sample("image", root, [str(path.relative_to(root)) for path in pictures(root, most)])


def _sample_of_landing_zone(root: Path, modality: Medium, most: int) -> Sample:
    """The distinct contents of a landing zone's items, in the order of its files."""
    found: dict[str, None] = {}
    for item in items(root):
        contents = [item["text"]] if modality == "text" else item[f"{modality}_uris"]
        found |= dict.fromkeys(content for content in contents if content)
    return Sample(modality, root, list(found)[:most])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=Path, required=True, help="a folder with pictures, at any depth")
    parser.add_argument("--stamps", type=Path, required=True, help="a landing zone with text, audio and video")
    parser.add_argument("--modalities", nargs="+", choices=MEDIA, default=MEDIA)
    parser.add_argument("--items", type=int, default=500, help="contents of each modality, at most")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--resnet50", default="none", help="its weights, as the encoder takes them; they change no speed"
    )
    parser.add_argument("--config", default="embedded")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ |= spark_environment()
    main()
