"""The night: clean, extract four modalities, train, evaluate, recommend, verify, report."""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from dags.wiring import alerts, assets, order, publishing
from dags.wiring.steps import (
    DEFAULT_ARGS,
    function_task,
    mapped_spark_task,
    prepare,
    profiles,
    python_task,
    spark_task,
)

NIGHT = ["--date", "{{ ds }}", "--config={{ params.config or '' }}"]
FORCE = "--{{ '' if params.force_extraction else 'no-' }}again"
PUBLISH = "--{{ 'no-' if params.skip_publishing else '' }}publish"

DOC = """
### What it makes
The night's partition of every table under LAKE, from the raw partitions up to that night. Where RAW, LAKE and the
configuration are stands in `NIGHTWEAVE_RAW`, `NIGHTWEAVE_LAKE` and `NIGHTWEAVE_CONFIG` of the workers' environment.
Each table is an asset; the events of a run carry its version and its rows.

### What a failure means, and what to do
The alert names the law that was broken and the partition.
- `clean`: the configuration names something that does not exist, and nothing was written: correct it, then see that
  `nightweave check-config` finds it valid. Or RAW cannot be read, or more of the night's rows than the set share were
  refused: look at `quarantine`, and correct the raw files or the share.
- `extract`: an encoder cannot be loaded, or too many of the night's files cannot be decoded. The log names the
  modality; look at `quarantine`.
- `earlier_nights`: an earlier night is not complete and does not run. The log names it. Run it; when it is done, its
  task `later_nights` starts this one again by itself. In a backfill that goes backwards this is the ordinary course.
- `train`: memory ran out; give the pool `train` a larger worker. Or an earlier night, which the log names, was begun
  anew after `earlier_nights` had looked; clear `earlier_nights` when that one is complete.
- `evaluate`: the model of the night cannot be read. Clear `train` and what follows.
- `publish`: never fails. Where publishing is skipped, so is all that follows.
- `recommend`: Spark lost its executors. Look at Spark's own log; clear the task.
- `verify`: a table does not hold what it promises; the log names the promise and shows rows. Keep readers off the
  night, and clear the step that wrote the table.
- `report`: the night's tables are not there. Clear what failed before.
- `later_nights`: a later night that failed for want of this one could not be started again. Clear that night.

A model that is worse than the last promoted one is no failure: the last one writes the night's tables, and `evaluate`
warns in its log and in `models.verdict`. A run that takes longer than its deadline goes on, and an alert is sent.

### Is a rerun safe?
Always. A night is a function of the raw partitions up to it; every task replaces its own partition in one commit. A
complete night counts as incomplete from its `clean` until its `recommend`: while its rerun fails, later nights fail in
`earlier_nights` rather than train on rows of two runs. Readers see the tables of the earlier run meanwhile, each until
its own task replaces it.
"""

PARAMS = {
    "config": Param(
        default=None,
        type=["null", "string"],
        enum=[None, *profiles()],
        title="Configuration profile",
        description="A profile under conf/. Empty: the configuration that the workers' NIGHTWEAVE_CONFIG names.",
    ),
    "force_extraction": Param(
        default=False,
        type="boolean",
        title="Extract again",
        description="Extract the contents that this night brings although the store has them. Their rows are replaced.",
    ),
    "skip_publishing": Param(
        default=False,
        type="boolean",
        title="Skip publishing",
        description="Stop after the evaluation: its figures and verdict are in the log, and no table that readers of "
        "the night see is changed. The night does not count as complete.",
    ),
}


with DAG(
    dag_id="nightly_recommendations",
    description="From the landing zone to recommendation tables, one partition a night",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2020, 1, 1),
    catchup=False,
    max_active_runs=int(os.environ.get("NIGHTWEAVE_MAX_ACTIVE_NIGHTS", "1")),
    default_args=DEFAULT_ARGS | {"post_execute": assets.record},
    deadline=alerts.deadline(),
    params=PARAMS,
    tags=["nightweave", "nightly", "recommendations"],
    doc_md=DOC,
) as dag:
    landing_zone = [assets.raw("items"), assets.raw("interactions"), assets.raw("vectors")]
    known = assets.tables("items", "interactions", "given_vectors")
    features = assets.tables(*(f"features_{modality}" for modality in assets.MEDIA))
    embeddings = assets.tables("item_embeddings", "user_embeddings")
    shelves = assets.tables("recommendations", "similar_items")
    accounts = assets.tables("quarantine", "ledger")

    clean = spark_task("clean", [*NIGHT, PUBLISH], inlets=landing_zone, outlets=[*known, *accounts])
    extract = mapped_spark_task("extract", [*NIGHT, FORCE], inlets=known, outlets=[*features, *accounts])
    earlier_nights = function_task(
        order.WAITS,
        order.earlier_nights_done,
        operator=PythonSensor,
        mode="reschedule",
        poke_interval=timedelta(seconds=30),
        pre_execute=prepare,
    )
    train = python_task(
        "train",
        ["step", "train", *NIGHT],
        pool="train",
        inlets=[*known, *features],
        outlets=assets.tables("quarantine"),
    )
    evaluate = python_task(
        "evaluate",
        ["step", "evaluate", *NIGHT, PUBLISH],
        pool="train",
        pre_execute=publishing.before_evaluation,
        inlets=[*known, *features],
        outlets=[*assets.tables("metrics", "models"), *embeddings],
    )
    publish = function_task("publish", publishing.wanted, operator=ShortCircuitOperator)
    recommend = spark_task(
        "recommend",
        NIGHT,
        inlets=[*embeddings, assets.table("interactions")],
        outlets=[*shelves, assets.table("ledger")],
    )
    verify = python_task("verify", ["step", "verify", *NIGHT], inlets=[*shelves, *accounts])
    report = python_task("report", ["step", "report", *NIGHT], inlets=[*shelves, *accounts])
    later_nights = function_task("later_nights", order.take_up_next)

    clean >> extract >> earlier_nights >> train >> evaluate >> publish >> recommend >> verify >> report
    recommend >> later_nights
