"""Maintenance of the lake: small files merged, what nobody needs removed, and the whole of it read once a week."""

from datetime import datetime
from typing import Any

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from dags.wiring import alerts
from dags.wiring.steps import DEFAULT_ARGS, function_task, prepare, python_task

DOC = """
### What it makes
Nothing that a query sees: rows stay as they are. `tidy` merges each partition's small files into larger ones, then
removes, once they are older than `maintenance.retention_days` of the configuration: files that a commit has replaced,
orphan files of writes that failed, models that no published night names, checkpoints of trainings that never ended, and
scratch folders of steps that were killed. What is younger stays, for a running night may be about to commit it.

`verify` then reads every table whole. A night audits what it publishes itself; this finds what has changed since.

Before the first night there is nothing to tidy: `any_table` then leaves the rest out.

### What a failure means, and what to do
- `any_table`: LAKE cannot be reached, or `NIGHTWEAVE_LAKE` is not set.
- `verify`: a table is damaged, or breaks a promise; the log names table, partition and rows. `nightweave repair` takes
  damaged files out and says which nights to run again.
- `tidy`: LAKE cannot be read or written, or other writers were faster fifty times over. Nothing is half done: clear it.

### Is a rerun safe?
Always, also while nights run. With the parameter `dry_run` it only lists what it would do.
"""


def any_table(**_: Any) -> bool:
    """Whether a night has ever written a table."""
    from jobs.runtime.night import location
    from lake.lake import Lake

    return Lake(location("lake", None)).exists()


with DAG(
    dag_id="maintenance",
    description="Merge small files, remove what no published night needs, read every table",
    schedule=CronDataIntervalTimetable("0 12 * * 0", timezone="UTC"),
    start_date=datetime(2020, 1, 1),
    catchup=False,
    is_paused_upon_creation=False,  # nights alone would let the lake grow without end
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    deadline=alerts.deadline(),
    params={
        "dry_run": Param(
            default=False,
            type="boolean",
            title="Only list",
            description="List in the log what would be merged and removed, and change nothing.",
        )
    },
    tags=["nightweave", "maintenance"],
    doc_md=DOC,
) as dag:
    there = function_task("any_table", any_table, operator=ShortCircuitOperator, pre_execute=prepare)
    tidy = python_task("tidy", ["maintenance", "--{{ '' if params.dry_run else 'no-' }}dry-run"])
    verify = python_task("verify", ["verify"])

    there >> tidy >> verify
