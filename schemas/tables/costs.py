"""What the steps of nights cost: `costs`."""

import pyarrow as pa

from schemas.table import TIMESTAMP, Check, Column, Table, query
from schemas.values import ENGINE, OUTCOME, TASK


class Costs(Table):
    """What one step of a night took, and of an extraction one modality.

    Counted are the step's process and all processes below it on the same machine: decoders, ONNX Runtime, and of Spark
    the driver, its JVM and local workers. Executors of a cluster are not, wherever they run (`spark`). A row is written
    when its process ends, whether or not the night is published. It takes the place of the row of the step's last run;
    that of `clean`, once it is done, takes the place of all rows of the night's last run. A process that is killed
    leaves none, nor does one that failed before there was a lake. Of a step that a process began and left to
    spark-submit, the second process counts. `publish`, `approve` and the tasks that wait run within Airflow and are not
    measured.

    Times differ between two runs of one night, so the rows are no part of law 1.
    """

    name = "costs"
    described = (
        Column("date", pa.date32(), "Night that the step belongs to; of a re-extraction, as of which it was made."),
        Column("step", pa.string(), "The task; extractions and `recommend` as in `ledger`.", values=TASK),
        Column(
            "modality",
            pa.string(),
            "Which contents an extraction is of: text, image, audio or video; null for other steps.",
            nullable=True,
        ),
        Column("outcome", pa.string(), "How the step ended.", values=OUTCOME),
        Column(
            "spark",
            pa.string(),
            "Where Spark's workers ran; null where the step started no Spark.",
            nullable=True,
            values=ENGINE,
        ),
        Column("began", TIMESTAMP, "When the process started, by the machine's clock; with Spark, its JVM."),
        Column("wall_s", pa.float64(), "Seconds from `began` to the end of the step's work."),
        Column(
            "cpu_s",
            pa.float64(),
            "Seconds of processor time, user and system, of all cores together. Of processes that end unseen within a "
            "second and that nobody waits for, up to that second is missing.",
        ),
        Column(
            "peak_memory_bytes",
            pa.int64(),
            "The most memory that the processes had at once: the sum of their resident sets, which count shared pages "
            "in each, by a look every second, or what the step's own process had at most, if that is more.",
        ),
        Column(
            "bytes_read",
            pa.int64(),
            "What the processes read by system calls, `rchar` of Linux's /proc/PID/io: files, whether from a disk or "
            "from memory, and pipes; not files that are mapped into memory, and of a network only what `read` fetches; "
            "null where the system does not count.",
            nullable=True,
        ),
        Column(
            "bytes_written",
            pa.int64(),
            "What they wrote by system calls, `wchar` there, likewise; null where the system does not count.",
            nullable=True,
        ),
        Column(
            "gpu_s",
            pa.float64(),
            "Seconds in which the machine's NVIDIA GPUs computed meanwhile, for whomever, added up over those that "
            "CUDA_VISIBLE_DEVICES leaves: their utilisation by NVML, by a look every second; null without a GPU.",
            nullable=True,
        ),
    )
    key = ("date", "step")
    checks = (Check("figures are possible", query("costs/figures_are_possible.sql")),)
