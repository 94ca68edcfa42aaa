"""What a step tells a collector at its end: what it cost, and what the tables then have of it."""

import os
from collections.abc import Iterator
from datetime import timedelta

import pyarrow.compute as pc

from jobs.runtime.night import Night
from jobs.runtime.telemetry import METRICS, PARENT, TRACES, Gauge, Value, endpoint, send_gauges, send_span, tolerated
from lake.lake import Lake
from schemas.tables import Costs, Ledger, Metrics, Models, Quarantine

FATES = ("kept", "refused", "duplicates", "superseded")
FIRST_STEP = "clean"


def tell(night: Night, step: str, error: BaseException | None) -> None:
    """Tell of a step that has its row in `costs`, if anybody wants to know. What cannot be told is logged, as a warning
    by the night's first step alone, since the others will find the same.

    Args:
        error: with which it ended.
    """
    if not (endpoint(METRICS) or endpoint(TRACES)):
        return
    with tolerated(f"the step {step}", warns=step == FIRST_STEP):
        where = (pc.field("date") == night.date) & (pc.field("step") == step)
        (cost,) = night.lake.read(Costs, where=where).to_pylist()
        gauges = list(of_cost(cost))
        if error is None:
            gauges += of_tables(night, step, cost["wall_s"])
        send_gauges(gauges, night=night.date)
        send_span(
            step,
            night=night.date,
            began=cost["began"],
            ended=cost["began"] + timedelta(seconds=cost["wall_s"]),
            failed=error is not None,
            parent=os.environ.get(PARENT),
            attributes={f"nightweave.{name}": cost[name] for name in Costs.schema.names if _tellable(cost[name])}
            | ({"error.type": type(error).__name__} if error else {}),
        )


def of_cost(cost: dict) -> Iterator[Gauge]:
    """The figures of a row of `costs`."""
    of: dict[str, Value] = {name: cost[name] for name in ("step", "modality", "outcome") if cost[name]}
    yield Gauge("step.duration", "s", cost["wall_s"], of)
    yield Gauge("step.cpu", "s", cost["cpu_s"], of)
    yield Gauge("step.memory.peak", "By", cost["peak_memory_bytes"], of)
    for direction, column in (("read", "bytes_read"), ("write", "bytes_written")):
        if cost[column] is not None:
            yield Gauge("step.io", "By", cost[column], of | {"direction": direction})
    if cost["gpu_s"] is not None:
        yield Gauge("step.gpu", "s", cost["gpu_s"], of)


def of_tables(night: Night, step: str, wall_s: float) -> Iterator[Gauge]:
    """What became of the rows of a step that was done, as its night's run sees the tables, and figures of the model."""
    lake, here = night.lake, pc.field("date") == night.date
    for account in lake.read(Ledger, where=here).sort_by("step").to_pylist():
        if not is_account_of(account["step"], step):
            continue
        of: dict[str, Value] = {"step": account["step"]}
        for fate in FATES:
            yield Gauge("rows", "{row}", account[fate], of | {"fate": fate})
        yield Gauge("rows.rate", "{row}/s", account["rows_in"] / wall_s, of)
        refused = lake.read(Quarantine, where=here & (pc.field("stage") == account["step"]))
        rows = refused.append_column("n", pc.fill_null(refused["rows"], 1))
        for row in rows.group_by("reason").aggregate([("n", "sum")]).sort_by("reason").to_pylist():
            yield Gauge("refused", "{row}", row["n_sum"], of | {"reason": row["reason"]})
    if step == "evaluate":
        yield from _figures(lake, night)


def _figures(lake: Lake, night: Night) -> Iterator[Gauge]:
    """nDCG of the night's own model and of what it is compared with, on all held-out likes of each split."""
    here = pc.field("date") == night.date
    own = set(lake.read(Models, where=here, columns=["model_version"])["model_version"].to_pylist())
    wanted = here & (pc.field("metric") == "ndcg") & (pc.field("segment") == "all")
    for row in lake.read(Metrics, where=wanted).sort_by([("split", "ascending"), ("model", "ascending")]).to_pylist():
        if row["model_version"] in own and " " not in row["split"] + row["model"]:
            yield Gauge("ndcg", "1", row["value"], {name: row[name] for name in ("split", "k", "model")})


def is_account_of(account: str, step: str) -> bool:
    """Whether a step of `ledger` is a part of a step of `costs`.

    >>> is_account_of("clean_items", "clean"), is_account_of("extract_text.e5-1", "extract_text")
    (True, True)
    >>> is_account_of("reextract_text", "extract_text"), is_account_of("recommend", "recommend")
    (False, True)
    """
    return account == step or account.startswith(f"{step}_" if step == FIRST_STEP else f"{step}.")


def _tellable(value: object) -> bool:
    return isinstance(value, str | int | float)
