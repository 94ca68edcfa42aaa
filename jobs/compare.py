"""Compare every strategy, policy for missing modalities and baseline on the same splits of one night's data, and the
default strategy with the main baselines on variants of it."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from functools import partial
from typing import TypeVar, cast, get_args

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fusion.baselines.registry import BASELINES
from fusion.data.catalog import Catalog, Split
from fusion.data.reviews import Reviews, no_reviews
from fusion.data.splits import Kind, split_as, with_some_users
from fusion.data.standardise import prepare
from fusion.data.subsets import k_core
from fusion.missing.registry import POLICIES
from fusion.models.registry import STRATEGIES
from fusion.models.stack.model import SCORERS
from fusion.selection.bench import Bench, best_trial
from fusion.selection.comparison import SHOWN, Comparison, Difference, Line, difference
from fusion.selection.variants import FULL, VARIANTS, variant
from jobs.modelling.dataset import Dataset, load
from jobs.runtime.night import Night, UserError
from schemas.config import AUTO, Candidate
from schemas.errors import did_you_mean
from schemas.table import MEDIA

FIGURES = [metric if k is None else f"{metric}@{k}" for metric, k in SHOWN]
ENDS = [(f"{metric}_low", f"{metric}_high") for metric, _ in SHOWN[:2]]
TO_DEFAULT, SECONDS = ("to_default", "to_default_low", "to_default_high"), ("tune_s", "fit_s", "score_s")
COLUMNS = pa.schema(
    [
        pa.field("data", pa.string()),
        pa.field("split", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("model", pa.string()),
        *(pa.field(name, pa.float64()) for name in FIGURES),
        *(pa.field(name, pa.float64()) for ends in ENDS for name in ends),
        *(pa.field(name, pa.float64()) for name in ("p", *TO_DEFAULT, "seed_sd", "draw_sd", *SECONDS)),
        pa.field("note", pa.string()),
    ]
)
"""`data` is one of `fusion.selection.variants.VARIANTS`. `ENDS` are the 95% intervals of the first two figures; `p` is
of the first figure against the best baseline's, and `TO_DEFAULT` that figure less the default strategy's, a paired mean
over users with its interval. `seed_sd` and `draw_sd` are its standard deviations over seeds of the training, and over
draws of what is held out, which `cold_items` alone has."""
PEERS: dict[Kind, tuple[str, ...]] = {
    "per_user": ("popularity", "item_knn", "ease", "ials"),
    "global_time": ("popularity", "item_knn", "ease", "ials"),
    "cold_items": ("popularity", *(f"{modality}_neighbours" for modality in MEDIA)),
}
"""The baselines that stand beside the default strategy on a variant of the data, unless some are named."""
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
    variants: Sequence[str] = (FULL,),
    leave_out: Sequence[str] = (),
    seeds: int = 1,
) -> pa.Table:
    """Return a table of `COLUMNS`, best first within a variant and split.

    On the data as it is, every strategy, policy, ablation and baseline; on any other variant the default strategy, the
    strategies that are named and `PEERS`, or the baselines that are named.

    Args:
        splits: kinds of `fusion.data.splits.split`.
        least: users and items with fewer likes are left out, and so are rows that are no likes; 0 keeps everything.
        strategies, missing, baselines: names; empty for all. Strategies and policies of one's own as `module:Class`.
        variants: names of `VARIANTS`.
        leave_out: scorers of a default strategy that is a stack, each of which is left out once, of the data as it is.
        seeds: how many seeds strategies are trained with, and how many draws there are; the spread needs two or more.

    Raises:
        UserError: a name is unknown, or scorers are to be left out of what has none.
    """
    wanted = {
        "strategies": _known(strategies, STRATEGIES, "--strategies", own=True),
        "missing": _known(missing, POLICIES, "--missing", own=True),
        "baselines": _known(baselines, BASELINES, "--baselines"),
        "leave_out": _known(leave_out, SCORERS, "--leave-out") if leave_out else [],
    }
    named = {"strategies": list(strategies), "baselines": list(baselines)}
    kinds: list[Kind] = _known(cast(Sequence[Kind], splits), get_args(Kind), "--splits")
    chosen = _known(variants, VARIANTS, "--variants")
    settings = night.config.fusion
    (dataset,) = load(night)
    if least:
        dataset = dense(dataset, least=least)
    if not len(dataset.history.likes()):
        raise UserError(f"night {night.ds} has no likes to compare on; give a later --date, or a smaller --core")
    if leave_out and any(candidate.strategy != "stack" for candidate in settings.considered):
        raise UserError("--leave-out: only a stack has scorers; fusion.strategy names another strategy, or several")
    rows: list[dict[str, object]] = []
    for data in chosen:
        made = variant(data, dataset.catalog, dataset.history, seed=settings.seed)
        if made is None:
            continue
        catalog, history = made
        # what users wrote is text, too
        reviews = dataset.reviews if data == FULL or catalog.masks["text"].any() else no_reviews()
        changed = replace(dataset, catalog=catalog, history=history, reviews=reviews)
        for kind in kinds:
            asked = wanted if data == FULL else {**named, "baselines": named["baselines"] or PEERS[kind]}
            rows += _split_rows(night, changed, kind, data=data, seeds=seeds if data == FULL else 1, asked=asked)
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _split_rows(
    night: Night, dataset: Dataset, kind: Kind, *, data: str, seeds: int, asked: Mapping[str, Sequence[str]]
) -> list[dict[str, object]]:
    """The rows of one variant of the data and one kind of split.

    Args:
        asked: the arguments of `Comparison.lines` that are names.
    """
    settings, known = night.config.fusion, partial(prepare, dataset.catalog, dataset.reviews, how=night.config.fusion)
    parts = _parts(night, dataset, kind, seed=settings.seed)
    default = _default(night, known(parts.train), parts)

    def compared(parts: Split, *, seed: int) -> Comparison:
        return Comparison(known, parts, default=default.strategy, parameters=dict(default.parameters), seed=seed)

    found = []
    lines = compared(parts, seed=settings.seed).lines(**asked, ablations=data == FULL)
    for line in tqdm(lines, desc=f"{data} {kind}", unit="model"):
        tqdm.write(_line_text(data, kind, line), file=sys.stderr)  # at once, so that an abort does not lose it
        found.append(line)
    trained, drawn = [{line.name: line for line in found if line.kind == "strategy"}], []
    if seeds > 1 and kind == "cold_items":
        drawn = trained.copy()
    for seed in range(settings.seed + 1, settings.seed + seeds):
        trained.append(_strategies(compared(parts, seed=seed), asked["strategies"]))
        if drawn:
            others = _parts(night, dataset, kind, seed=seed)
            drawn.append(_strategies(compared(others, seed=settings.seed), asked["strategies"]))
    rows = []
    (best,) = (line for line in found if _is_strategy(line, default.strategy))
    for line in sorted(found, key=_rank):
        note = CHOSEN if line is best and settings.strategy == AUTO else line.note
        row = _row(data, kind, replace(line, note=note), difference(line, best, seed=settings.seed))
        if line.kind == "strategy":
            row |= {"seed_sd": _deviation(line.name, trained), "draw_sd": _deviation(line.name, drawn)}
        rows.append(row)
    return rows


def _strategies(comparison: Comparison, names: Sequence[str]) -> dict[str, Line]:
    """The lines of the default strategy and of those named, by name."""
    lines = comparison.lines(baselines=(), strategies=names, ablations=False)
    return {line.name: line for line in lines}


def _parts(night: Night, dataset: Dataset, kind: Kind, *, seed: int) -> Split:
    """A split with as many users in its test as a night asks."""
    how = night.config.fusion.model_copy(update={"seed": seed})
    parts = split_as(dataset.history, how, item_ids=dataset.catalog.item_ids, kind=kind)
    return with_some_users(parts, most=night.config.evaluate.max_users, seed=seed)


def _deviation(name: str, several: Sequence[Mapping[str, Line]]) -> float | None:
    """The standard deviation of a strategy's first figure; None of fewer than two, or where one is missing."""
    values = [lines[name].values[0] for lines in several]
    return round(float(np.std(values, ddof=1)), 5) if len(values) > 1 and not np.isnan(values).any() else None


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


def _known(names: Sequence[Name], available: Iterable[Name], option: str, *, own: bool = False) -> list[Name]:
    """The names, or all available ones where none is given, in the order of those available.

    Args:
        own: whether names of the form `module:Class` are let through.

    Raises:
        UserError: a name is not available.
    """
    known = list(available)
    others = [name for name in names if own and ":" in name]
    if unknown := sorted(set(names) - {*known, *others}):
        near = did_you_mean(unknown[0], known)
        raise UserError(f"{option} {', '.join(unknown)}: unknown; {near}choose among {', '.join(known)}")
    return [*(name for name in known if name in names), *others] or known


def _rank(line: Line) -> tuple[bool, float]:
    """Sort key: best first, lines without figures last."""
    value = line.values[0]
    return math.isnan(value), -value


def _line_text(data: str, kind: str, line: Line) -> str:
    return ", ".join(f"{name} {value}" for name, value in _row(data, kind, line, None).items() if value is not None)


def _row(data: str, kind: str, line: Line, to_default: Difference | None) -> dict[str, object]:
    """A line as a row of `COLUMNS`, null where it has no figure."""
    numbers = dict(zip(FIGURES, line.values, strict=True)) | {"p": line.p_value}
    if to_default is not None:
        numbers |= dict(zip(TO_DEFAULT, astuple(to_default), strict=True))
    for ends, interval in zip(ENDS, line.intervals, strict=False):
        numbers |= zip(ends, (interval.low, interval.high), strict=True) if interval else ()
    seconds = {"tune_s": line.tune_s, "fit_s": line.fit_s, "score_s": line.score_s}
    model = line.name if line.kind in ("strategy", "baseline") else f"{line.kind}: {line.name}"
    row = {name: round(value, 5) for name, value in numbers.items()}
    row |= {name: round(value, 2) for name, value in seconds.items()}
    rounded = {name: None if math.isnan(value) else value for name, value in row.items()}
    return {"data": data, "split": kind, "kind": line.kind, "model": model, **rounded, "note": line.note or None}
