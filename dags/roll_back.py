"""A published night taken back: readers see what they saw before it."""

from datetime import datetime

from airflow.sdk import DAG, Param

from dags.wiring import assets, publishing
from dags.wiring.steps import DEFAULT_ARGS, function_task, prepare

DOC = """
### What it makes
Nothing new: readers of a night go back, in all tables at once, to what they saw before it was last published, its
earlier run or nothing of it. No file is removed. `nightweave publish --date NIGHT` shows again what was taken back. Who
did it and why is kept in the table `published`. Each table has an event then, whose partition is the night.

### What a failure means, and what to do
- `roll_back`: the night is not published, or files of what it replaced are gone (maintenance keeps them for
  `maintenance.retention_days`). The log says which. Run the night again instead.

### Is a rerun safe?
Yes: what was taken back last, by the same person and for the same reason, is not taken back again. Another reason goes
one publishing further back.
"""

with DAG(
    dag_id="roll_back",
    description="Readers of a night go back to what they saw before it was published",
    schedule=None,
    start_date=datetime(2020, 1, 1),
    catchup=False,
    is_paused_upon_creation=False,  # who needs it is in a hurry
    max_active_runs=1,
    default_args=DEFAULT_ARGS | {"post_execute": assets.record},
    params={
        "night": Param(type="string", format="date", title="Night", description="The night that is taken back."),
        "reason": Param(type="string", minLength=1, title="Reason", description="Why; it is kept."),
    },
    tags=["nightweave", "maintenance"],
    doc_md=DOC,
) as dag:
    roll_back = function_task(
        "roll_back",
        publishing.roll_back,
        pre_execute=prepare,
        outlets=assets.tables(*assets.BY_NIGHT),
    )
