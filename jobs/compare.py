"""Compare every strategy, policy for missing modalities and baseline on the same splits of one night's data."""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast, get_args

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fusion.baselines.registry import BASELINES
from fusion.data.catalog import Catalog, Split
from fusion.data.reviews import Reviews
from fusion.data.splits import Kind, split_as
from fusion.data.standardise import prepare
from fusion.data.subsets import k_core
from fusion.missing.registry import POLICIES
from fusion.models.registry import STRATEGIES
from fusion.selection.bench import Bench, best_trial
from fusion.selection.comparison import SHOWN, Comparison, Line
from jobs.modelling.dataset import Dataset, load
from jobs.runtime.night import Night, UserError
from schemas.config import AUTO, Candidate

FIGURES = [metric if k is None else f"{metric}@{k}" for metric, k in SHOWN]
ENDS = [(f"{metric}_low", f"{metric}_high") for metric, _ in SHOWN[:2]]
COLUMNS = pa.schema(
    [
        pa.field("split", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("model", pa.string()),
        *(pa.field(name, pa.float64()) for name in FIGURES),
        *(pa.field(name, pa.float64()) for ends in ENDS for name in ends),
        *(pa.field(name, pa.float64()) for name in ("p", "tune_s", "fit_s", "score_s")),
        pa.field("note", pa.string()),
    ]
)
"""`ENDS` are the 95% intervals of the first two figures; `p` is of the first figure against the best baseline's."""
Name = TypeVar("Name", bound=str)
CHOSEN = "chosen by the validation likes"


def compare(
    night: Night,
    *,
    splits: Sequence[str],
    least: int,
    strategies: Sequence[str],
    missing: Sequence[str],
    baselines: Sequence[str],
) -> pa.Table:
    """Return a table of `COLUMNS`, best first within a split.

    Args:
        splits: kinds of `fusion.data.splits.split`.
        least: users and items with fewer likes are left out, and so are rows that are no likes; 0 keeps everything.
        strategies, missing, baselines: names; empty for all.

    Raises:
        UserError: a name is unknown.
    """
    wanted = {
        "strategies": _known(strategies, STRATEGIES, "--strategies"),
        "missing": _known(missing, POLICIES, "--missing"),
        "baselines": _known(baselines, BASELINES, "--baselines"),
    }
    kinds: list[Kind] = _known(cast(Sequence[Kind], splits), get_args(Kind), "--splits")
    settings = night.config.fusion
    (dataset,) = load(night)
    if least:
        dataset = dense(dataset, least=least)
    if not len(dataset.history.likes()):
        raise UserError(f"night {night.ds} has no likes to compare on; give a later --date, or a smaller --core")
    rows: list[dict[str, object]] = []
    for kind in kinds:
        parts = split_as(dataset.history, settings, item_ids=dataset.catalog.item_ids, kind=kind)
        prepared = partial(prepare, dataset.catalog, dataset.reviews, how=settings)
        default = _default(night, prepared(parts.train), parts)
        comparison = Comparison(
            prepared, parts, default=default.strategy, parameters=dict(default.parameters), seed=settings.seed
        )
        found = []
        for line in tqdm(comparison.lines(**wanted), desc=kind, unit="model"):
            tqdm.write(_line_text(kind, line), file=sys.stderr)  # at once, so that an abort does not lose it
            found.append(line)
        if settings.strategy == AUTO:
            found = [replace(line, note=CHOSEN) if _is_strategy(line, default.strategy) else line for line in found]
        rows += [_row(kind, line) for line in sorted(found, key=_rank)]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _default(night: Night, catalog: Catalog, parts: Split) -> Candidate:
    """The strategy and parameters that the night would select on this split."""
    considered = night.config.fusion.considered
    if len(considered) == 1:
        return considered[0]
    judge = night.config.evaluate
    bench = Bench(catalog, parts, metric=judge.gate_metric, k=judge.gate_k, seed=night.config.fusion.seed)
    best = best_trial([bench.attempt(c.strategy, c.strategy, c.parameters) for c in considered])
    return Candidate(strategy=best.strategy, parameters=dict(best.parameters))


def _is_strategy(line: Line, strategy: str) -> bool:
    return line.kind == "strategy" and line.name == strategy


def dense(dataset: Dataset, *, least: int) -> Dataset:
    """Return the data of the users and items with at least `least` likes, and of their likes alone."""
    rows, stay = k_core(dataset.history, len(dataset.catalog), k=least)
    items = np.cumsum(stay) - 1
    history = dataset.history.where(rows)
    history = replace(history, item=items[history.item].astype(np.int32))
    kept = stay[dataset.reviews.item]
    reviews = Reviews(
        dataset.reviews.user[kept],
        items[dataset.reviews.item[kept]].astype(np.int32),
        dataset.reviews.content[kept],
        dataset.reviews.vectors,
    )
    return replace(dataset, catalog=dataset.catalog.where(stay), history=history, reviews=reviews)


def _known(names: Sequence[Name], available: Iterable[Name], option: str) -> list[Name]:
    """The names, or all available ones where none is given.

    Raises:
        UserError: a name is not available.
    """
    known = sorted(available)
    if unknown := sorted(set(names) - set(known)):
        raise UserError(f"{option} {', '.join(unknown)}: unknown; choose among {', '.join(known)}")
    return [name for name in known if name in names] or known


def _rank(line: Line) -> tuple[bool, float]:
    """Sort key: best first, lines without figures last."""
    value = line.values[0]
    return math.isnan(value), -value


def _line_text(kind: str, line: Line) -> str:
    return ", ".join(f"{name} {value}" for name, value in _row(kind, line).items() if value is not None)


def _row(kind: str, line: Line) -> dict[str, object]:
    """A line as a row of `COLUMNS`, null where it has no figure."""
    numbers = dict(zip(FIGURES, line.values, strict=True)) | {"p": line.p_value}
    for ends, interval in zip(ENDS, line.intervals, strict=False):
        numbers |= zip(ends, (interval.low, interval.high), strict=True) if interval else ()
    seconds = {"tune_s": line.tune_s, "fit_s": line.fit_s, "score_s": line.score_s}
    model = line.name if line.kind in ("strategy", "baseline") else f"{line.kind}: {line.name}"
    row = {name: round(value, 5) for name, value in numbers.items()}
    row |= {name: round(value, 2) for name, value in seconds.items()}
    rounded = {name: None if math.isnan(value) else value for name, value in row.items()}
    return {"split": kind, "kind": line.kind, "model": model, **rounded, "note": line.note or None}
