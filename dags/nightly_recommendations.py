"""The night: clean, extract four modalities, train, evaluate, recommend, verify, publish, report."""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG, Param

from dags.wiring import alerts, assets, order, publishing
from dags.wiring.nights import Nights
from dags.wiring.reports import ReportLink
from dags.wiring.steps import (
    DEFAULT_ARGS,
    function_task,
    prepare,
    profiles,
    python_task,
    spark_task,
    spark_tasks_by_modality,
)

NIGHT = ["--date={{ ds | default('') }}", "--config={{ params.config or '' }}"]
FORCE = "--{{ '' if params.force_extraction else 'no-' }}again"
PUBLISH = "--{{ 'no-' if params.skip_publishing else '' }}publish"
WITHOUT_DATA = "--{{ '' if params.without_data else 'no-' }}without-data"
SHRINK = "--{{ '' if params.allow_shrinking else 'no-' }}allow-shrinking"

DOC = """
### What it makes
The night's partition of every table under LAKE, from the raw partitions up to that night. Where RAW, LAKE and the
configuration are stands in `NIGHTWEAVE_RAW`, `NIGHTWEAVE_LAKE` and `NIGHTWEAVE_CONFIG` of the workers' environment.
What a run makes is staged, where no reader sees it, until `verify` has read it; then `publish` shows the whole night at
once. Each table is an asset, and has its event then, with its version and its rows.

### What a failure means, and what to do
The alert names the law that was broken and the partition. A step that runs under another configuration or code than
`clean` did refuses: clear `clean` with what follows.
- `clean`: the configuration names something that does not exist, and nothing was written: correct it, then see that
  `nightweave check-config` finds it valid. Or the night's data has not arrived, or would remove most of what the lake
  holds of it, and nothing was changed: land it, or set `without_data` or `allow_shrinking`. Or RAW cannot be read, or
  more of the rows than the set share were refused: look at `quarantine`, and correct the raw files or the share.
- `extract_text`, `extract_image`, `extract_audio`, `extract_video`: an encoder cannot be loaded, or too many of the
  night's files cannot be decoded: look at `quarantine`.
- `earlier_nights`: an earlier night is not complete and does not run. The log names it. Run it; when it is done, its
  task `later_nights` starts this one again by itself. Where this night only makes room for one that queues, as in a
  backfill that goes backwards, no alert is sent and there is nothing to do.
- `train`: memory ran out; give the pool `train` a larger worker. Or an earlier night, which the log names, was begun
  anew after `earlier_nights` had looked; clear `earlier_nights` when that one is complete.
- `evaluate`: the model of the night cannot be read: clear `train` and what follows. Or a modality has lost too many of
  its items to be published: look at RAW/media and the encoders, or set `allow_shrinking`.
- `recommend`: Spark lost its executors. Look at Spark's own log; clear the task.
- `verify`: a table does not hold what it promises; the log names the promise and shows rows. The night stays staged,
  and readers see what they saw before: clear the step that wrote the table, or overrule (`nightweave publish`).
- `approve`: a person has rejected the night. It stays staged; `nightweave publish` shows it in spite of that.
- `publish`: what is staged is not what `verify` has read: clear `verify`. Or the lake cannot be written: clear it.
- `report`: the night's tables are not there. Clear what failed before.
- `later_nights`: a later night that failed for want of this one could not be started again. Clear that night.

A model that is worse than the last promoted one is no failure: the last one writes the night's tables, and `evaluate`
warns in its log and in `models.verdict`. A run that takes longer than its deadline goes on, and an alert is sent.

### Is a rerun safe?
Always. A night is a function of the raw partitions up to it; every task replaces what it has staged itself, and readers
see the night of the earlier run, whole, until the rerun is published. A night counts as incomplete from its `clean`
until its `publish`: while its rerun fails, later nights fail in `earlier_nights` rather than train on what it replaces.
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
        description="Leave the night staged, with its report: readers see what they saw before. It can be published "
        "later (nightweave publish) or given up (nightweave discard).",
    ),
    "ask_when_close": Param(
        default=False,
        type="boolean",
        title="Ask when it is close",
        description="Where the night's model is below a reference by less than two standard errors, wait for a person "
        "to approve of the publishing (Required Actions).",
    ),
    "without_data": Param(
        default=False,
        type="boolean",
        title="No data",
        description="The day brings no data: RAW may lack its partitions.",
    ),
    "allow_shrinking": Param(
        default=False,
        type="boolean",
        title="Allow shrinking",
        description="Go on although most of what the lake holds of the night would be removed, or a modality has lost "
        "most of its items.",
    ),
}


with DAG(
    dag_id="nightly_recommendations",
    description="From the landing zone to recommendation tables, one partition a night",
    schedule=Nights("@daily", timezone="UTC"),
    start_date=datetime(2020, 1, 1),
    catchup=False,
    max_active_runs=int(os.environ.get("NIGHTWEAVE_MAX_ACTIVE_NIGHTS", "1")),
    # Where tasks have equal weights, Airflow starts those of the older night first: the later ones wait for it.
    default_args=DEFAULT_ARGS | {"post_execute": assets.record, "weight_rule": "absolute"},
    deadline=alerts.deadline(),
    params=PARAMS,
    tags=["nightweave", "nightly", "recommendations"],
    doc_md=DOC,
) as dag:
    landing_zone = [assets.raw("items"), assets.raw("interactions"), assets.raw("vectors")]
    known = assets.tables("items", "interactions", "given_vectors")
    features = assets.tables(*(f"features_{modality}" for modality in assets.MEDIA))
    embeddings = assets.tables("item_embeddings", "user_embeddings")
    shelves = assets.tables("explanations", "recommendations", "similar_items")
    accounts = assets.tables("quarantine", "ledger")

    clean = spark_task("clean", [*NIGHT, PUBLISH, WITHOUT_DATA, SHRINK], inlets=landing_zone)
    extract = spark_tasks_by_modality("extract", [*NIGHT, FORCE], inlets=known)
    earlier_nights = function_task(
        order.WAITS,
        order.earlier_nights_done,
        operator=PythonSensor,
        mode="reschedule",
        poke_interval=timedelta(seconds=30),
        pre_execute=prepare,
        on_failure_callback=order.failed,
    )
    train = python_task("train", ["step", "train", *NIGHT], pool="train", inlets=[*known, *features])
    evaluate = python_task("evaluate", ["step", "evaluate", *NIGHT, SHRINK], pool="train", inlets=[*known, *features])
    recommend = spark_task("recommend", NIGHT, inlets=[*embeddings, assets.table("interactions")])
    verify = python_task("verify", ["step", "verify", *NIGHT], inlets=[*shelves, *accounts])
    approve = publishing.Approval(
        task_id="approve",
        subject="Publish the night {{ ds }}?",
        fail_on_reject=True,
        pool="default_pool",
        pre_execute=prepare,
    )
    publish = function_task(
        "publish",
        publishing.publish,
        pre_execute=prepare,
        outlets=assets.tables(*assets.BY_NIGHT),
    )
    # A night that has shelves gets its report, whatever its audit finds.
    report = python_task(
        "report",
        ["step", "report", *NIGHT],
        trigger_rule="all_done_min_one_success",
        inlets=[*shelves, *accounts],
    )
    report.operator_extra_links = [ReportLink()]
    later_nights = function_task("later_nights", order.take_up_next)

    clean >> extract >> earlier_nights >> train >> evaluate >> recommend >> verify >> approve >> publish >> later_nights
    [recommend, publish] >> report
