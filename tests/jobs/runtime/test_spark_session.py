"""A session that others are kept out of."""

import os
import sys
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from jobs.runtime import spark_session


@pytest.mark.parametrize("given", [None, "/opt/other/python"])
def test_its_workers_run_the_interpreter_of_the_step_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """Spark asks the environment when the session's context is made; it is stopped there."""
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    if given:
        monkeypatch.setenv("PYSPARK_PYTHON", given)
    seen: list[str | None] = []

    class Stopped(Exception):
        pass

    class Builder:
        def __getattr__(self, _: str) -> Callable[..., "Builder"]:
            return lambda *_, **__: self

        def getOrCreate(self) -> None:
            seen.append(os.environ.get("PYSPARK_PYTHON"))
            raise Stopped

    monkeypatch.setattr(spark_session.SparkSession, "builder", Builder())
    with pytest.raises(Stopped), spark_session.spark_session("step"):
        pass
    assert seen == [given or sys.executable]


def test_a_session_of_one_machine_has_no_page_and_listens_on_loopback_to_who_knows_its_secret(
    spark: SparkSession,
) -> None:
    context = spark.sparkContext
    expected = spark_session.CLOSED | spark_session.ON_LOOPBACK
    assert {name: context.getConf().get(name) for name in expected} == expected
    assert context.uiWebUrl is None


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, spark_session.CLOSED | spark_session.ON_LOOPBACK),
        ({"spark.master": "spark://master:7077"}, spark_session.CLOSED),
        (
            {"spark.ui.enabled": "true", "spark.driver.host": "10.0.0.1"},
            {
                "spark.ui.killEnabled": "false",
                "spark.authenticate": "true",
                "spark.network.crypto.enabled": "true",
                "spark.driver.bindAddress": "127.0.0.1",
            },
        ),
    ],
    ids=["nothing", "a cluster", "a page and an address"],
)
def test_what_sparks_own_configuration_says_holds(
    spark: SparkSession, given: dict[str, str], left: dict[str, str]
) -> None:
    properties = spark.sparkContext._jvm.java.lang.System  # type: ignore[union-attr] # where spark-submit puts them
    before = {name: properties.getProperty(name) for name in given}
    try:
        for name, value in given.items():
            properties.setProperty(name, value)
        assert spark_session._kept_from_others() == left
    finally:
        for name, value in before.items():
            properties.clearProperty(name) if value is None else properties.setProperty(name, value)
