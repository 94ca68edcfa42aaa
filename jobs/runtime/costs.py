"""What a step costs: the time, memory, bytes and GPUs of its process and of those below it, from its first moment on.

A driver that spark-submit has started is below Spark's own process, the JVM, and so are Python workers on the same
machine: the count begins there.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.failure import Failure
from jobs.runtime.night import Night
from jobs.runtime.spark_environment import LATER
from jobs.runtime.told import FIRST_STEP, tell
from lake.commits import attempts, live_files
from schemas.table import Medium
from schemas.tables import Costs

log = logging.getLogger("nightweave.costs")

EVERY_S = 1.0
BEGUN_BY_SPARK = "PYSPARK_GATEWAY_PORT"
"""A variable that spark-submit sets for the driver, its child."""
NVIDIA = Path("/dev/nvidiactl")
VISIBLE = "CUDA_VISIBLE_DEVICES"

_masters: list[str] = []


@dataclass(frozen=True)
class Cost:
    """A row of `costs`, but for the night; its columns are described there."""

    step: str
    modality: str | None
    outcome: str
    spark: str | None
    began: datetime
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    bytes_read: int | None
    bytes_written: int | None
    gpu_s: float | None


@contextmanager
def accounted(night: Night, step: str, modality: Medium | None = None) -> Iterator[None]:
    """Within it, what a step of a night does is measured; at its end the row of `costs` is written, and what became of
    the step is told to a collector, if there is one.

    Neither fails the step: what cannot be written or told is a warning. A process that leaves the step to spark-submit
    is not accounted for, nor is one that failed before there was a lake.
    """
    task = f"{step}_{modality}" if modality else step
    error: BaseException | None = None
    with Meter() as meter:
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            if not (isinstance(error, SystemExit) and error.code == LATER):
                _account(night, meter, task, modality, error)


def keep(night: Night, cost: Cost) -> None:
    """Make a step's cost its row of the night; once the first step of a run is done, rows of the run before go.

    Raises:
        LakeError: other writers committed first too often.
        DamageError: the table is damaged.
    """
    lake, partition = night.lake, {"date": night.ds}
    for _ in attempts(Costs.name):
        delta = lake.current(Costs)
        with lake.naming_damage(Costs):
            before = lake.at(Costs, delta).to_table(filter=pc.field("date") == night.date)
        others = [row for row in before.to_pylist() if _stays(row["step"], cost)]
        rows = pa.Table.from_pylist([*others, {"date": night.date, **asdict(cost)}], schema=Costs.schema)
        file = lake.stage(Costs, rows.sort_by("step").to_batches(), partition)
        gone = live_files(delta, partition)["path"].to_pylist()
        assert file
        if lake.swap(Costs, delta, gone=gone, files=[file], partition=partition, data_change=True):
            return
        filesystem, root = lake.filesystem(Costs)
        filesystem.delete_file(f"{root}/{file.path}")


def _stays(step: str, written: Cost) -> bool:
    """Whether the row of a step stays when a cost is written: a first step that fails leaves a night as it was."""
    begins = written.step == FIRST_STEP and written.outcome == "done"
    return step != written.step and (not begins or step.startswith("reextract_"))


def note_spark(master: str) -> None:
    """Note that this process has a Spark session, and under which master."""
    _masters.append(master)


def _account(night: Night, meter: "Meter", task: str, modality: Medium | None, error: BaseException | None) -> None:
    try:
        if error is not None and not night.lake.exists():
            return
        keep(night, meter.cost(task, modality, "done" if error is None else "failed"))
    except Exception as odd:  # whatever it is, the step's own work is done, or its own error is what counts
        log.warning("what %s cost could not be written to `costs`: %s", task, Failure.of(odd).message)
        return
    tell(night, task, error)


class Meter:
    """Looks every second at the processes of a step while it is entered.

    Processes come and go: what one used that has ended is in its parent's count, once that has waited for it. Sums over
    the living thus rise, but for processes that end unwaited for, such as Spark's workers when its session stops. The
    highest sum of all looks therefore stands for all of them.
    """

    def __init__(self) -> None:
        self._root = psutil.Process(os.getppid() if BEGUN_BY_SPARK in os.environ else os.getpid())
        self._cpu_s, self._memory = 0.0, 0
        self._read: int | None = None
        self._written: int | None = None
        self._gpu = _gpus()
        self._gpu_s = 0.0 if self._gpu else None
        self._looked = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_at_intervals, daemon=True)

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def cost(self, step: str, modality: str | None, outcome: str) -> Cost:
        """What was spent until now; the meter stops."""
        self._stop()
        self._look()
        wall_s = _age_s(self._root.pid)
        spark = None
        if _masters:
            spark = "local" if all(master.startswith("local") for master in _masters) else "cluster"
        return Cost(
            step=step,
            modality=modality,
            outcome=outcome,
            spark=spark,
            began=datetime.now(UTC) - timedelta(seconds=wall_s),
            wall_s=wall_s,
            cpu_s=self._cpu_s,
            peak_memory_bytes=max(self._memory, _own_peak()),
            bytes_read=self._read,
            bytes_written=self._written,
            gpu_s=self._gpu_s,
        )

    def _stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _look_at_intervals(self) -> None:
        while not self._over.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        cpu_s, memory = 0.0, 0
        read: list[int] = []
        written: list[int] = []
        for process in [self._root, *self._root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess), process.oneshot():  # one that has ended since they were listed
                times = process.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                memory += process.memory_info().rss
                # where the system does not count, or does not tell us
                with suppress(psutil.AccessDenied, AttributeError, RuntimeError, ValueError):
                    counted = process.io_counters()
                    read.append(counted.read_chars)
                    written.append(counted.write_chars)
        self._cpu_s, self._memory = max(self._cpu_s, cpu_s), max(self._memory, memory)
        if read:
            self._read, self._written = max(self._read or 0, sum(read)), max(self._written or 0, sum(written))
        now = time.monotonic()
        if self._gpu and self._gpu_s is not None:
            busy = self._gpu()
            self._gpu_s = None if busy is None else self._gpu_s + busy * (now - self._looked)
        self._looked = now


def _age_s(pid: int) -> float:
    """Seconds since a process was started, by a clock that nobody sets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _own_peak() -> int:
    """The largest resident set that this process has had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _gpus() -> Callable[[], float | None] | None:
    """What asks how many of the visible GPUs compute just now, as a sum of shares of time; it answers None where they
    do not say, as slices of one (MIG). None where there is no GPU."""
    if not NVIDIA.exists():
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        chosen = os.environ.get(VISIBLE)
        names = range(pynvml.nvmlDeviceGetCount()) if chosen is None else [n for n in chosen.split(",") if n]
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(int(name))
            if str(name).isdigit()
            else pynvml.nvmlDeviceGetHandleByUUID(str(name))
            for name in names
            if name != "-1"
        ]
    except pynvml.NVMLError as error:
        log.warning("GPUs are not measured: NVML says %s", error)
        return None
    if not handles:
        return None

    def busy() -> float | None:
        try:
            return sum(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles) / 100
        except pynvml.NVMLError:
            return None

    return busy
