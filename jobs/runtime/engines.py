"""Which work of a step needs Spark: what takes one core longer than Spark takes to start."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache

from jobs.runtime.night import Night
from jobs.runtime.spark_environment import LATER, NOT_YET
from lake.rows import Engine

log = logging.getLogger("nightweave.engines")

EngineFor = Callable[[str, float, float], Engine]
"""Gives the engine for some work: what it is, in words; how much of it there is; and of how much on Spark is worth its
start."""


@contextmanager
def engines(night: Night, name: str, settings: Mapping[str, str] | None = None) -> Iterator[EngineFor]:
    """Yield what gives engines: this process for little work, and for more a Spark session, which starts when it is
    first needed. With `spark: always` in the configuration everything is under Spark.

    Args:
        name: of the Spark application.
        settings: further ones of the Spark session. With any, everything is under Spark: they ask for what only its
            executors have.
    """
    with ExitStack() as stack:

        @cache
        def spark() -> Engine:
            if os.environ.get(NOT_YET):
                sys.exit(LATER)
            from jobs.runtime.spark_session import spark_session
            from lake.spark import SparkEngine

            return SparkEngine(stack.enter_context(spark_session(f"nightweave {name}", settings)))

        @cache
        def here() -> Engine:
            from lake.local import LocalEngine

            return stack.enter_context(LocalEngine.open())

        def engine_for(work: str, amount: float, limit: float) -> Engine:
            if settings or night.config.spark == "always":
                log.info("%s: %s under Spark, as configured", name, work)
                return spark()
            under = amount >= limit
            log.info("%s: %s %s", name, work, "under Spark" if under else "in this process, too little for Spark")
            return spark() if under else here()

        yield engine_for
