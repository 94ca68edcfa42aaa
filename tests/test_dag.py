"""The DAGs: the night's shape, and the rules that every DAG here keeps."""

import json
import os
import re
import subprocess
import sys
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import jinja2
import pendulum
import pyarrow as pa
import pytest
import typer.main

from jobs.cli import app
from lake.lake import Lake
from schemas.tables import BY_NIGHT, TABLES, Ledger

DAGS = Path(__file__).resolve().parent.parent / "dags"
FILES = sorted(path for path in DAGS.glob("*.py") if path.name != "__init__.py")
NIGHTLY = "nightly_recommendations"
MODALITIES = ("text", "image", "audio", "video")
EXTRACTIONS = [f"extract_{modality}" for modality in MODALITIES]


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """By the name of the file that makes it."""
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    from importlib import import_module

    return {path.stem: import_module(f"dags.{path.stem}").dag for path in FILES}


@pytest.fixture(scope="module")
def dag(dags: dict):
    return dags[NIGHTLY]


def test_the_night_runs_in_this_order(dag) -> None:
    before = ["earlier_nights", "train", "evaluate", "recommend"]
    after = ["verify", "approve", "publish"]
    assert dag.get_task("clean").downstream_task_ids == {*EXTRACTIONS}
    for earlier, later in [*((extraction, before[0]) for extraction in EXTRACTIONS), *pairwise(before)]:
        assert dag.get_task(earlier).downstream_task_ids == {later}
    assert dag.get_task("recommend").downstream_task_ids == {"verify", "report"}
    for earlier, later in pairwise(after):
        assert dag.get_task(earlier).downstream_task_ids == {later}, "nothing is published that was not read before"
    assert dag.get_task("publish").downstream_task_ids == {"report", "later_nights"}
    rest = {"report", "later_nights"}
    assert {task.task_id for task in dag.tasks} == {"clean", *EXTRACTIONS, *before, *after, *rest}


def test_a_night_gets_its_report_whatever_its_audit_finds(dag) -> None:
    assert dag.get_task("report").trigger_rule == "all_done_min_one_success"


def test_tables_are_announced_when_readers_see_them_and_not_before(dag) -> None:
    names = {task.task_id: {asset.uri.rpartition("/")[2] for asset in task.outlets} for task in dag.tasks}
    tables = {name.removeprefix("nightweave.") for name in names.pop("publish")}
    assert tables == {table.name for table in BY_NIGHT}
    stores = {name.removeprefix("nightweave.") for of_task in names.values() for name in of_task}
    assert stores == {f"features_{modality}" for modality in MODALITIES}


def test_waiting_for_earlier_nights_holds_no_slot(dag) -> None:
    assert dag.get_task("earlier_nights").reschedule


def test_extraction_has_a_task_for_each_modality_which_writes_its_store_alone(dags: dict) -> None:
    for modality in MODALITIES:
        for dag, step in ((NIGHTLY, "extract"), ("reextract_features", "reextract")):
            task = dags[dag].get_task(f"{step}_{modality}")
            assert task.application_args[:2] == ["step", step] and task.application_args[-1] == modality
            stores = {asset.uri.rpartition(".")[2].rpartition("/")[2] for asset in task.outlets}
            assert {name for name in stores if name.startswith("features_")} == {f"features_{modality}"}


def test_a_night_never_waits_for_a_slot_that_a_reextraction_holds(dags: dict) -> None:
    assert {t.pool for t in dags[NIGHTLY].tasks}.isdisjoint(t.pool for t in dags["reextract_features"].tasks)


def test_partitions_are_keyed_on_the_logical_date(dag) -> None:
    assert dag.get_task("clean").application_args[:3] == ["step", "clean", "--date={{ ds | default('') }}"]
    assert "--date={{ ds | default('') }} " in dag.get_task("train").bash_command


def options(words: list[str], **params: object) -> dict[str, object]:
    """What the command line makes of a command of `nightweave`, its templates filled in.

    Raises:
        TyperException: there is no such command, or it takes no such option or value.
    """
    words = [jinja2.Template(word).render(ds="2026-11-01", params=params) for word in words]
    command = typer.main.get_command(app)
    while (name := words[0]) in getattr(command, "commands", {}):
        command, words = command.commands[name], words[1:]
    with command.make_context(command.name, words) as context:
        return context.params


@pytest.mark.parametrize("chosen", [True, False])
def test_the_command_line_takes_what_the_tasks_of_a_night_give_it(dag, chosen: bool) -> None:
    params = {"config": None} | dict.fromkeys(list(dag.params)[1:], chosen)
    found = {}
    for name in ("clean", "recommend"):
        found[name] = options(dag.get_task(name).application_args, **params)
    for name in EXTRACTIONS:
        found[name] = options(dag.get_task(name).application_args, **params)
    for name in ("train", "evaluate", "verify", "report"):
        line = jinja2.Template(dag.get_task(name).bash_command).render(ds="2026-11-01", params=params)
        python, *words = line.split()
        assert (python, words[:4]) == (sys.executable, ["-m", "jobs.cli", "step", name])
        found[name] = options(words[2:])
    assert {name: made["date_"] for name, made in found.items()} == dict.fromkeys(found, "2026-11-01")
    assert {name: made["config"] for name, made in found.items()} == dict.fromkeys(found, "")
    assert found["clean"]["publish"] is not chosen
    assert [found[name]["allow_shrinking"] for name in ("clean", "evaluate")] == [chosen] * 2
    assert found["clean"]["without_data"] is chosen
    assert [found[name]["modality"] for name in EXTRACTIONS] == list(MODALITIES)
    assert [found[name]["again"] for name in EXTRACTIONS] == [chosen] * 4


def test_the_command_line_takes_what_the_other_dags_give_it(dags: dict) -> None:
    given = dags["reextract_features"].get_task("reextract_video").application_args
    made = options(given, as_of="2026-11-02", config="gpu", chunk=500)
    assert (made["date_"], made["config"], made["modality"], made["chunk"]) == ("2026-11-02", "gpu", "video", 500)
    for dry_run in (True, False):
        command = dags["maintenance"].get_task("tidy").bash_command.partition("jobs.cli ")[2]
        line = jinja2.Template(command).render(params={"dry_run": dry_run})
        assert options(line.split())["dry_run"] is dry_run


def test_of_tasks_that_could_start_those_of_the_older_night_do(dag) -> None:
    """Airflow orders tasks by their weight, then by the logical date (`SchedulerJobRunner`)."""
    assert {(task.priority_weight, task.weight_rule) for task in dag.tasks} == {(1, "absolute")}


def test_maintenance_is_not_left_paused(dags: dict) -> None:
    assert dags["maintenance"].is_paused_upon_creation is False


def test_before_the_first_night_there_is_nothing_to_tidy(
    dags: dict, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dags.maintenance import any_table

    asked, tidy = (dags["maintenance"].get_task(name) for name in ("any_table", "tidy"))
    assert type(asked).__name__ == "ShortCircuitOperator" and asked.downstream_list == [tidy]
    assert [task.task_id for task in tidy.downstream_list] == ["verify"]
    monkeypatch.setenv("NIGHTWEAVE_LAKE", lake.uri)
    assert any_table() is False
    lake.write(Ledger, pa.Table.from_pylist([], schema=Ledger.schema), {"date": "2026-11-01", "step": "clean_items"})
    assert any_table() is True


def test_a_run_covers_one_day(dag) -> None:
    first = dag.timetable.infer_manual_data_interval(run_after=pendulum.instance(datetime(2026, 11, 6), tz="UTC"))
    assert first.end - first.start == timedelta(days=1)


def test_every_table_is_the_outlet_of_a_task_of_the_night(dag) -> None:
    written = {asset.uri.rpartition(".")[2].rpartition("/")[2] for task in dag.tasks for asset in task.outlets}
    assert written == TABLES.keys() - {"published", "costs"}


def test_whatever_a_task_reads_some_task_writes(dag) -> None:
    written = {asset.uri for task in dag.tasks for asset in task.outlets}
    for task in dag.tasks:
        assert {asset.uri for asset in task.inlets} <= written or task.task_id == "clean", task.task_id


def test_airflow_takes_these_files_for_dags_and_nothing_that_they_import(dags: dict) -> None:
    from airflow.dag_processing.importers import get_importer_registry

    assert sorted(get_importer_registry().list_dag_files(DAGS)) == [str(path) for path in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_file_makes_the_dag_of_its_name(dags: dict, file: Path) -> None:
    assert dags[file.stem].dag_id == file.stem


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_every_task_has_a_pool_retries_an_owner_and_a_word_for_the_one_on_call(dags: dict, name: str) -> None:
    dag = dags[name]
    assert "nightweave" in dag.tags and dag.description and not dag.catchup
    for heading in ("### What it makes", "### What a failure means, and what to do", "### Is a rerun safe?"):
        assert heading in dag.doc_md
    for task in dag.tasks:
        assert task.owner == "nightweave"
        assert task.retries == 2 and task.retry_exponential_backoff
        assert task.on_failure_callback
        assert re.search(rf"^- .*`{task.task_id}`.*: ", dag.doc_md, re.MULTILINE)


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_every_parameter_is_described_in_words(dags: dict, name: str) -> None:
    for key in dags[name].params:
        param = dags[name].params.get_param(key)
        assert param.description and param.description.endswith(".") and param.schema["title"], key
        assert param.schema["type"]


@pytest.mark.parametrize(
    "wrong",
    [{"config": "nowhere"}, {"config": "x; rm -rf /"}, {"force_extraction": "yes"}, {"skip_publishing": 1}],
    ids=str,
)
def test_a_parameter_that_its_schema_does_not_allow_is_refused(dag, wrong: dict) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = deepcopy(dag.params)
    with pytest.raises(ParamValidationError):
        params.update(wrong)


def test_pools_that_dags_name_are_in_the_file_to_import(dags: dict) -> None:
    known = {"default_pool", *json.loads((DAGS.parent / "conf" / "pools.json").read_text())}
    assert {task.pool for dag in dags.values() for task in dag.tasks} <= known


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_parsing_imports_nothing_heavy(file: Path) -> None:
    code = (
        "import sys, runpy; sys.path.insert(0, '.'); import airflow.sdk; before = set(sys.modules); "
        f"runpy.run_path({str(file)!r}); "
        "heavy = {'pyspark', 'tensorflow', 'keras', 'pandas', 'numpy', 'pyarrow', 'deltalake'}; "
        "print(heavy & (set(sys.modules) - before))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=DAGS.parent, check=True)
    assert told.stdout.strip().splitlines()[-1] == "set()"
