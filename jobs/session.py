"""The Spark session of a step."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

log = logging.getLogger("nightweave.spark")


@contextmanager
def spark_session(name: str) -> Iterator[SparkSession]:
    """A session in UTC, under whatever master and resources spark-submit was given."""
    started = time.monotonic()
    spark = (
        SparkSession.builder.appName(name)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.adaptive.enabled", "true")
        .getOrCreate()
    )
    spark.conf.set("spark.sql.shuffle.partitions", str(spark.sparkContext.defaultParallelism))
    spark.sparkContext.setLogLevel("ERROR")
    log.info("session ready after %.1f s on %s", time.monotonic() - started, spark.sparkContext.master)
    try:
        yield spark
    finally:
        spark.stop()
