"""Spark's classes in one file, from which every driver then starts: a third less time for a short application.

`python -m jobs.runtime.class_archive` makes the file beside the environment's interpreter (JEP 350). Without it, or
with another Java, Spark starts as it always does.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from jobs.runtime.spark_environment import LIGHT_JVM, class_archive, spark_environment
from jobs.runtime.spark_session import spark_session

log = logging.getLogger("nightweave.class_archive")


def make() -> None:
    """Run a rehearsal of what the night's drivers do; the JVM writes the classes that it loaded when it ends."""
    archive = class_archive()
    archive.unlink(missing_ok=True)
    options = f"{LIGHT_JVM} -XX:ArchiveClassesAtExit={archive}"
    command = ["spark-submit", "--master", "local[2]", "--conf", f"spark.driver.extraJavaOptions={options}"]
    command += ["--conf", "spark.log.level=ERROR", __file__, "rehearse"]
    done = subprocess.run(command, env=os.environ | spark_environment(), capture_output=True, text=True, check=False)
    if done.returncode or not archive.is_file():
        log.warning("no class archive was made; Spark will start without it: %s", done.stderr[-300:])


def rehearse() -> None:
    """The kinds of query that cleaning, extraction and recommendation are made of."""
    with spark_session("rehearsal") as spark:
        rows = spark.createDataFrame(
            [(n % 7, str(n), [n]) for n in range(100)], "key long, name string, list array<long>"
        )
        newest = Window.partitionBy("key").orderBy(F.desc("name"))
        ranked = rows.withColumn("place", F.row_number().over(newest)).persist()
        mapped = ranked.repartition(2, "key").mapInArrow(_as_they_are, ranked.schema)
        exploded = mapped.select("key", F.explode("list").alias("number")).distinct()
        joined = exploded.join(ranked, "key", "left").filter("place = 1").groupBy("key").agg(F.max("name"))
        joined.union(joined).sort("key").collect()


def _as_they_are(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


if __name__ == "__main__":
    rehearse() if sys.argv[1:] == ["rehearse"] else make()
