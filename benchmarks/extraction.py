"""Throughput of extraction, compared with a plain loop, a naive Spark function and the network alone.

Prints, for each modality, contents a second of
  night    `jobs.extract` from cleaned items to committed rows, in a warm Spark session;
  loop     one content after the other: decode, encode, no batches;
  udf      the same inside a Spark function that is called row by row;
  predict  of pictures: that function with the network called by Keras' `predict`, as a first attempt would;
  forward  all contents, decoded already, in one call of the encoder; of pictures the network alone, without the
           readable columns: what no pipeline around it can beat.
and what a second run on the same contents costs beside the first. Medians of `--repeats` runs.

    python -m benchmarks.extraction --posters movielens-small --stamps stamps
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType

from benchmarks.measuring import blank_row, items, median_seconds, pictures, seconds
from features.base import Encoder
from features.image.network import NetworkEncoder
from features.registry import encoder
from jobs.extract import extract_modality
from jobs.extraction.encoding import encoder_of_process
from jobs.runtime.night import Night
from jobs.runtime.spark_environment import spark_environment
from jobs.runtime.spark_session import spark_session
from lake.lake import Lake
from schemas.config import Config, load
from schemas.table import MEDIA, Medium
from schemas.tables import Items

DATE = "2026-11-01"
UNBATCHED = {"text": {"batch": 1}, "image": {"batch": 1}}
"""Networks pad their batches, so code that has one content at a time is measured with batches of one."""


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
    samples = {
        "image": sample_of_folder(options.posters, options.items),
        **{m: _sample_of_landing_zone(options.stamps, m, options.items) for m in ("text", "audio", "video")},
    }
    config = load(options.config)
    with spark_session("benchmark of extraction") as spark:
        for modality in options.modalities:
            _report(spark, samples[modality], config, options.repeats)


def _report(spark: SparkSession, sample: Sample, config: Config, repeats: int) -> None:
    choice = config.extract.encoders[sample.modality][0]
    whole = encoder(sample.modality, choice.name, **choice.parameters)
    single = (sample.modality, choice.name, choice.parameters | UNBATCHED.get(sample.modality, {}))
    first, second = zip(*(_night(spark, sample, config) for _ in range(repeats)), strict=True)
    rates = {
        "night": len(sample.contents) / statistics.median(first),
        "loop": _rate(lambda: _loop(sample, encoder(single[0], single[1], **single[2])), sample, repeats),
        "udf": _rate(lambda: _udf(spark, sample, _encoded(sample, *single)), sample, repeats),
        "forward": _forward(sample, whole, repeats),
    }
    if isinstance(whole, NetworkEncoder):
        rates["predict"] = _rate(lambda: _udf(spark, sample, _predicted(sample, *single)), sample, repeats)
    print(f"\n{sample.modality}: {len(sample.contents)} contents, {whole.fingerprint}")
    for name, rate in rates.items():
        print(f"  {name:<8} {rate:8.1f}/s   night is {rates['night'] / rate:5.2f} x")
    again = statistics.median(second)
    print(f"  a second run takes {again:.2f} s, {again / statistics.median(first):.1%} of the first")


def _night(spark: SparkSession, sample: Sample, config: Config) -> tuple[float, float]:
    """Seconds of a first and of a second extraction of the sample into a lake of its own, workers warm."""
    with tempfile.TemporaryDirectory() as folder:
        for warm, contents in ((True, sample.contents[:128]), (False, sample.contents)):
            lake = Lake(f"{folder}/{'warm' if warm else 'measured'}")
            night = Night.of(date_=DATE, raw=str(sample.root), lake=lake.uri, config=None)
            night = Night(night.date, night.raw, night.lake, config)
            lake.write(Items, item_rows(sample, contents, night), {"date": DATE})
            taken = [seconds(partial(extract_modality, lambda: spark, night, sample.modality)) for _ in range(2)]
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


def _forward(sample: Sample, whole: Encoder, repeats: int) -> float:
    decoded = [whole.decode(sample.local(content)) for content in sample.contents]
    if isinstance(whole, NetworkEncoder):
        pixels = np.stack([picture.pixels for picture in decoded])
        return _rate(lambda: whole.embed(pixels), sample, repeats)
    return _rate(lambda: whole.encode(decoded), sample, repeats)


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
    parser.add_argument("--config", default="embedded")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ |= spark_environment()
    main()
