"""Evaluate the night's model beside the baselines, decide whether it is promoted, and embed users and items with the
model that serves the night."""

import argparse
import logging
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion.baselines.history import ItemKNN, Popularity
from fusion.data.splits import Split
from fusion.data.subsets import hide
from fusion.evaluation.calibration import calibration
from fusion.evaluation.curves import curves
from fusion.evaluation.evaluate import Figure
from fusion.evaluation.evaluate import evaluate as judge
from fusion.evaluation.intervals import intervals
from fusion.evaluation.promotion import holds_its_own
from fusion.models.registry import create
from fusion.models.scorer import scorer
from jobs.modelling import artifacts
from jobs.modelling.dataset import State, encoders, load
from jobs.modelling.model_selection import CONTENT_ONLY, Choice, chosen, told
from jobs.runtime.night import Night, run_step
from schemas.table import MODALITIES
from schemas.tables import BLOCKS, STRINGS, WEIGHTS, ItemEmbeddings, Metrics, Models, UserEmbeddings

log = logging.getLogger("nightweave.evaluate")

POPULARITY, ITEM_KNN, LAST_PROMOTED = "popularity", "item_knn", "last_promoted"


@dataclass(frozen=True)
class Promotion:
    """Whether the night's model may serve, and why; in words for the `models` table."""

    promoted: bool
    verdict: str


def run(night: Night, arguments: argparse.Namespace) -> None:
    """Judge the night's model and write what follows; unless `arguments.publish`, only say in the log what would."""
    state = load(night)
    choice = chosen(night, state)
    made = artifacts.identity(night, state, choice.best.strategy, choice.best.parameters)
    last = _last_promoted(night)
    before = _as_seen_by(night, state, last)
    parts = state.split()
    rival = last if last and artifacts.held_out_alike(night, last["path"]) else None
    figures = _figures(night, state, parts, made, rival, before) if len(parts.test.likes()) else []
    promotion = _decide(night, figures, made.strategy, unjudged=last is not None and rival is None)
    as_usual = promotion.promoted and rival is last
    (log.info if as_usual else log.warning)("evaluate: %s: %s", made.model_version, promotion.verdict)
    if not arguments.publish:
        _say_figures(night, figures)
        log.warning("evaluate: publishing is skipped: nothing of the night %s is published", night.ds)
        return
    _write_metrics(night, figures, choice, made)
    row = {
        "date": night.date,
        "model_version": made.model_version,
        "promoted": promotion.promoted,
        "verdict": promotion.verdict,
        "path": made.path,
        **asdict(made),
    }
    night.lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), {"date": night.ds})
    if promotion.promoted:
        _embed(night, state, {"model_version": made.model_version, "path": made.path})
    else:
        _embed(night, before, last)


def _last_promoted(night: Night) -> dict[str, Any] | None:
    """The newest promoted model of the nights before this one."""
    where = (pc.field("date") < night.date) & pc.field("promoted")
    rows = night.lake.read(Models, where=where, columns=["date", "model_version", "path"]).to_pylist()
    return max(rows, key=lambda row: row["date"]) if rows else None


def _as_seen_by(night: Night, state: State, model: dict[str, Any] | None) -> State:
    """The night's state in the vectors that a stored model reads: it may have been made with other encoders. What those
    have not encoded is missing to it."""
    through = artifacts.encoders_of(night, model["path"]) if model else None
    return state if through in (None, encoders(night.config)) else load(night, through=through)


def _figures(
    night: Night,
    state: State,
    parts: Split,
    made: artifacts.Identity,
    rival: dict[str, Any] | None,
    before: State,
) -> list[Figure]:
    """Of the night's model, the baselines, the promoted model that it is to replace, and the night's model shown a
    catalog without one modality or another; one after the other, for a model's vectors may be large."""
    known = parts.known()
    catalog = state.filled(known)
    n_items, masks = len(catalog), state.catalog(known).masks
    model = artifacts.load(night, made.path, artifacts.TWIN)
    asked = {"split": parts, "split_name": night.config.fusion.split.kind, "n_items": n_items}
    content = create(CONTENT_ONLY)
    content.fit(catalog, known, seed=night.config.fusion.seed)
    shown = {"ks": night.config.evaluate.ks, "masks": masks, "content": content.item_vectors(catalog), **asked}

    own = {made.strategy: scorer(model, catalog, known)}
    figures = [*judge(own, **shown), *curves(own, **asked), *calibration(own, **asked, seed=night.config.fusion.seed)]
    for name, baseline in ((POPULARITY, Popularity()), (ITEM_KNN, ItemKNN())):
        fitted = baseline.fit(known, n_items)
        figures += judge({name: partial(fitted.scores, known)}, **shown)
    if rival and rival["model_version"] != made.model_version:
        promoted = artifacts.load(night, rival["path"], artifacts.TWIN)
        figures += judge({LAST_PROMOTED: scorer(promoted, before.filled(known), known)}, **shown)
    for modality in (m for m in MODALITIES if masks[m].any()):
        blind = {f"{made.strategy} without {modality}": scorer(model, hide(catalog, modality), known)}
        figures += judge(blind, **shown, segments=["all"])
    return figures


def _decide(night: Night, figures: list[Figure], strategy: str, *, unjudged: bool) -> Promotion:
    """Law 6 on the night's own held-out likes.

    Args:
        unjudged: whether there is a promoted model that may have learnt from them.
    """
    settings = night.config.evaluate
    judged = {
        figure.model: figure.per_user
        for figure in figures
        if (figure.segment, figure.metric, figure.k) == ("all", settings.gate_metric, settings.gate_k)
    }
    if strategy not in judged:
        return Promotion(True, "no held-out likes to judge by")
    said = []
    for reference in (POPULARITY, LAST_PROMOTED):
        if reference in judged:
            verdict = holds_its_own(judged[strategy], judged[reference])
            said.append(
                f"{'holds its own against' if verdict.ok else 'WORSE than'} {reference} "
                f"({settings.gate_metric}@{settings.gate_k} {verdict.difference:+.4f} ± {verdict.standard_error:.4f})"
            )
    if unjudged:
        said.append(f"{LAST_PROMOTED} not judged: other likes were held out from it (fusion.split or seed has changed)")
    return Promotion(not any(words.startswith("WORSE") for words in said), "; ".join(said))


def _say_figures(night: Night, figures: list[Figure]) -> None:
    for figure in figures:
        if (figure.segment, figure.k) == ("all", night.config.evaluate.gate_k):
            log.info("evaluate: %s: %s@%d = %.4f", figure.model, figure.metric, figure.k, figure.value)


def _write_metrics(night: Night, figures: list[Figure], choice: Choice, made: artifacts.Identity) -> None:
    rows = [
        {
            "date": night.date,
            "model_version": made.model_version,
            "model": figure.model,
            "split": figure.split,
            "segment": figure.segment,
            "metric": figure.metric,
            "k": figure.k,
            "value": figure.value,
            "low": interval and interval.low,
            "high": interval and interval.high,
        }
        for figure, interval in zip(figures, intervals(figures, seed=night.config.fusion.seed), strict=True)
    ]
    rows += [{"date": night.date, "model_version": made.model_version, **row} for row in told(night, choice)]
    night.lake.write(Metrics, pa.Table.from_pylist(rows, schema=Metrics.schema), {"date": night.ds})


def _embed(night: Night, state: State, serving: dict[str, Any] | None) -> None:
    """Write where every item and every user stands under the model that serves the night.

    Before any model was promoted, content alone places the items, and no user is placed.
    """
    catalog, history = state.filled(state.history), state.history
    masks = state.catalog(history).masks
    if serving:
        model = artifacts.load(night, serving["path"], artifacts.SERVED)
        version, users = serving["model_version"], model.user_vectors(catalog, history)
    else:
        log.warning("evaluate: no model was ever promoted; this night recommends nothing and shows similar items only")
        model = create(CONTENT_ONLY)
        model.fit(catalog, history, seed=night.config.fusion.seed, progress=False)
        version, users = CONTENT_ONLY, np.zeros((0, 0), np.float32)
    touched = np.zeros(len(catalog), np.bool_)
    touched[history.item] = True
    items = pa.table(
        {
            "date": pa.repeat(pa.scalar(night.date), len(catalog)),
            "item_id": pa.array(catalog.item_ids.tolist(), pa.string()),
            "model_version": pa.repeat(pa.scalar(version), len(catalog)),
            "vector": _vectors(model.item_vectors(catalog)),
            "blocks": pa.array([_columns(model.blocks)] * len(catalog), BLOCKS),
            "neighbour_blocks": pa.array([_columns(model.neighbour_blocks)] * len(catalog), BLOCKS),
            "combination": pa.repeat(pa.scalar(model.combination), len(catalog)),
            "weights": pa.array([list(model.block_weights.items())] * len(catalog), WEIGHTS),
            "modalities": pa.array([[m for m in MODALITIES if masks[m][i]] for i in range(len(catalog))], STRINGS),
            "is_new": ~touched,
        }
    )
    night.lake.write(ItemEmbeddings, items, {"date": night.ds})
    ids = history.user_ids[: len(users)].tolist()
    embedded = pa.table(
        {
            "date": pa.repeat(pa.scalar(night.date), len(ids)),
            "user_id": pa.array(ids, pa.string()),
            "model_version": pa.repeat(pa.scalar(version), len(ids)),
            "vector": _vectors(users),
        }
    )
    night.lake.write(UserEmbeddings, embedded, {"date": night.ds})


def _columns(blocks: dict[str, slice]) -> list[tuple[str, list[int]]]:
    return [(name, [part.start, part.stop]) for name, part in blocks.items()]


def _vectors(matrix: np.ndarray) -> pa.Array:
    """Rows of float32 [n, d] as an Arrow list column."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * (matrix.shape[1] if matrix.ndim == 2 else 0)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(matrix, np.float32).ravel())


if __name__ == "__main__":
    run_step("jobs.evaluate", flags={"publish": True})
