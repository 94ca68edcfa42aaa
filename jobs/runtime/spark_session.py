"""The Spark session of a step."""

import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from jobs.runtime.costs import note_spark
from jobs.runtime.spark_environment import executor_settings
from lake.errors import DamageError
from schemas.errors import NightweaveError

DAMAGE = re.compile(rf"\b{DamageError.__module__}\.{DamageError.__name__}: (.+)")
"""The line of a worker's traceback that names a damaged file."""

log = logging.getLogger("nightweave.spark")

CLOSED = {
    "spark.ui.enabled": "false",
    "spark.ui.killEnabled": "false",
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
}
"""Nobody without the application's secret talks to a driver or an executor, and no page shows or ends its jobs."""
ON_LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


@contextmanager
def spark_session(name: str, settings: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """A session in UTC, under whatever master spark-submit was given, with further Spark `settings`.

    Others are kept out of it, unless Spark's own configuration says otherwise.
    Its Python workers run this process's interpreter, unless `PYSPARK_PYTHON` names another.
    """
    started = time.monotonic()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.appName(name)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.adaptive.enabled", "true")
    )
    further: dict[str, bool | float | int | str | None] = {
        **_kept_from_others(),
        **executor_settings(),
        **(settings or {}),
    }
    spark = builder.config(map=further).getOrCreate()
    spark.conf.set("spark.sql.shuffle.partitions", str(spark.sparkContext.defaultParallelism))
    spark.sparkContext.setLogLevel("ERROR")
    note_spark(str(spark.sparkContext.master))
    log.info("session ready after %.1f s on %s", time.monotonic() - started, spark.sparkContext.master)
    try:
        with naming_damage():
            yield spark
    finally:
        spark.stop()


def _kept_from_others() -> dict[str, str]:
    """What `spark-defaults.conf` and spark-submit's options leave open of `CLOSED`, and on one machine of
    `ON_LOOPBACK`."""
    SparkContext._ensure_initialized()  # from here on Spark's own configuration can be read
    given = SparkConf()
    alone = given.get("spark.master", "").startswith("local")
    return {
        name: value for name, value in (CLOSED | (ON_LOOPBACK if alone else {})).items() if not given.contains(name)
    }


@contextmanager
def naming_damage() -> Iterator[None]:
    """Within it, a worker's `DamageError` is one on the driver too, where Spark makes a long text of it."""
    try:
        yield
    except NightweaveError:
        raise
    except Exception as error:
        if found := DAMAGE.search(str(error)):
            raise DamageError(found[1].strip()) from error
        raise
