"""The nightly DAG: its shape, and the rules that every DAG here keeps."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

DAGS = Path(__file__).resolve().parent.parent / "dags"


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory):
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    from dags.nightly_recommendations import dag

    return dag


def test_the_night_runs_in_this_order(dag) -> None:
    order = ["clean", "extract", "earlier_nights", "train", "evaluate", "recommend", "verify", "report"]
    for before, after in pairwise(order):
        assert after in dag.get_task(before).downstream_task_ids
    assert dag.get_task("recommend").downstream_task_ids == {"verify", "later_nights"}
    assert {task.task_id for task in dag.tasks} == {*order, "later_nights"}


def test_waiting_for_earlier_nights_holds_no_slot(dag) -> None:
    assert dag.get_task("earlier_nights").reschedule


def test_extraction_is_mapped_over_the_four_modalities(dag) -> None:
    arguments = dag.get_task("extract").expand_input.value["application_args"]
    assert [a[-1] for a in arguments] == ["text", "image", "audio", "video"]


def test_partitions_are_keyed_on_the_logical_date(dag) -> None:
    assert dag.get_task("clean").application_args == ["--date", "{{ ds }}"]
    assert "{{ ds }}" in dag.get_task("train").bash_command


def test_a_run_covers_one_day(dag) -> None:
    first = dag.timetable.infer_manual_data_interval(run_after=_day(6))
    assert first.end - first.start == timedelta(days=1)


def test_every_task_has_a_pool_retries_and_an_owner(dag) -> None:
    assert dag.doc_md and dag.tags
    for task in dag.tasks:
        assert task.owner == "nightweave"
        assert task.retries == 2 and task.retry_exponential_backoff
        assert task.task_id in dag.doc_md
    assert dag.get_task("train").pool == "train"
    assert dag.get_task("clean").pool == "spark"


def test_parsing_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy; sys.path.insert(0, '.'); import airflow.sdk; before = set(sys.modules); "
        f"runpy.run_path({str(DAGS / 'nightly_recommendations.py')!r}); "
        "heavy = {'pyspark', 'tensorflow', 'keras', 'pandas', 'deltalake'}; print(heavy & (set(sys.modules) - before))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=DAGS.parent, check=True)
    assert told.stdout.strip().splitlines()[-1] == "set()"


def _day(day: int):
    import pendulum

    return pendulum.instance(datetime(2026, 11, day), tz="UTC")
