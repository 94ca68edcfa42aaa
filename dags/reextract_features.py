"""A changed encoder over all content, in bounded chunks, while the nights go on with the one they have."""

from datetime import datetime

from airflow.sdk import DAG, Param

from dags.wiring import assets
from dags.wiring.steps import DEFAULT_ARGS, mapped_spark_task, profiles

ARGUMENTS = ["--date", "{{ params.as_of }}", "--config={{ params.config or '' }}", "--chunk", "{{ params.chunk }}"]

DOC = """
### What it makes
Rows in the feature stores under the encoders of another configuration, for all content known as of a night. Rows of the
encoders in use stay as they are, and the nightly DAG goes on with them: a night reads the rows of the encoders that its
own configuration names, and no others.

### How to change an encoder
1. Write the configuration with the new encoder, as a profile under `conf/`, and deploy it. Leave `NIGHTWEAVE_CONFIG`.
2. Trigger this DAG with that profile. Its log has how many contents are to be extracted, and in how many chunks.
3. When all four of `reextract` are green, set `NIGHTWEAVE_CONFIG` to the new profile. That is the switch, and the way
   back. The next night extracts only what has arrived since `as_of`.

The switch is no automatism: a night follows from raw data, configuration and code, not from what the store happens to
hold. Switching early loses nothing: that night extracts the rest itself, in one go.

### What a failure means, and what to do
- `reextract`: the configuration is wrong, an encoder cannot be loaded, more than the set share of the contents was
  refused, or Spark lost its executors. Chunks that are done are in the store; the log names them. Correct the cause and
  clear the task.

It runs in a pool of its own, `reextract` (`conf/pools.json`), so that it never holds the slot that a night waits for.

### Is a rerun safe?
Always, also while nights run. What is in the store isn't made again; what was refused is tried again.
"""

with DAG(
    dag_id="reextract_features",
    description="A changed encoder over all content, while nights go on with the old one",
    schedule=None,
    start_date=datetime(2020, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "config": Param(
            type="string",
            enum=profiles(),
            title="Configuration profile",
            description="The profile under conf/ whose encoders are to be applied to all content.",
        ),
        "as_of": Param(
            type="string",
            format="date",
            title="As of the night",
            description="Content that had arrived by this night; the last one that is complete, as a rule.",
        ),
        "chunk": Param(
            default=10_000,
            type="integer",
            minimum=1,
            title="Contents a chunk",
            description="How many contents are extracted and committed at a time: what a killed run loses at most.",
        ),
    },
    tags=["nightweave", "features"],
    doc_md=DOC,
) as dag:
    mapped_spark_task(
        "reextract",
        ARGUMENTS,
        pool="reextract",
        inlets=assets.tables("items", "interactions"),
        outlets=assets.tables(*(f"features_{modality}" for modality in assets.MEDIA)),
    )
