"""Evaluate the night's model beside the baselines, decide whether it is promoted, and embed users and items with the
model that serves the night."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.registry import fingerprints
from fusion.baselines.registry import BASELINES
from fusion.data.catalog import History, Split, nobody
from fusion.data.reviews import with_reviews
from fusion.data.splits import Kind, split_as
from fusion.data.subsets import without_modality
from fusion.evaluation.calibration import calibration
from fusion.evaluation.curves import curves
from fusion.evaluation.evaluate import Figure, evaluate
from fusion.evaluation.intervals import intervals
from fusion.evaluation.promotion import Judged, judge
from fusion.missing.fill import model_input
from fusion.models.base import Predictions
from fusion.models.registry import STRATEGIES, create, strategy
from fusion.models.scorer import scorer
from jobs.modelling import artifacts
from jobs.modelling.dataset import Dataset, load
from jobs.modelling.model_selection import CONTENT_ONLY, Choice, metric_rows, stored_choice
from jobs.runtime.night import Night
from lake import files, provenance
from schemas.table import MODALITIES
from schemas.tables import BLOCKS, NEWCOMER, STRINGS, WEIGHTS, ItemEmbeddings, Metrics, Models, UserEmbeddings

log = logging.getLogger("nightweave.evaluate")

POPULARITY, LAST_PROMOTED, BEST_PROMOTED = "popularity", "last_promoted", "best_promoted"
POPULATIONS: Mapping[Kind, tuple[str, str]] = {
    "per_user": ("users with history", "all"),
    "cold_items": ("new items", "all"),
    "global_time": ("users without history", "cold_users"),
}
"""Kind of split → the population that is judged on it, and its segment."""
OF_HISTORY, OF_CONTENT = ("item_knn", "ease", "ials"), tuple(f"{modality}_neighbours" for modality in MODALITIES)
"""The baselines that are evaluated beside popularity: of items that are known, and of new ones."""


@dataclass(frozen=True)
class Stored:
    """A model in the lake: its version, and its folder relative to LAKE."""

    model_version: str
    path: str


def run(night: Night, *, publish: bool = True) -> None:
    """Evaluate the night's model, and write figures, verdict and embeddings; unless `publish`, only log the figures."""
    earlier = _promoted_before(night)
    last = earlier.get(LAST_PROMOTED)
    best = earlier.get(BEST_PROMOTED, last)
    own = fingerprints(night.config.extract.encoders)
    read = provenance.now(night.lake)
    # An earlier model may have been made with other encoders. It lacks what those have not encoded.
    dataset, *theirs = load(night, own, *(artifacts.encoders_of(night, each.path) for each in earlier.values()))
    choice = stored_choice(night, dataset)
    made = artifacts.identity(night, dataset, choice.best.strategy, choice.best.parameters)
    rivals = {
        name: (each, seen)
        for (name, each), seen in zip(earlier.items(), theirs, strict=True)
        if each.model_version != made.model_version
    }
    figures: list[Figure] = []
    judged: list[Judged] = []
    for kind in get_args(Kind):
        parts = split_as(dataset.history, night.config.fusion, item_ids=dataset.catalog.item_ids, kind=kind)
        if len(parts.test.likes()):
            found = _figures(night, dataset, parts, made, kind=kind, rivals=rivals)
            figures += found
            judged.append(_judged(night, found, made.strategy, kind=kind, likes=len(parts.test.likes())))
    verdict = judge(judged, figure=f"{night.config.evaluate.gate_metric}@{night.config.evaluate.gate_k}")
    unknown = [name for name in rivals if not any(name in population.references for population in judged)]
    if judged and unknown:
        note = f"{', '.join(unknown)} not judged: made by other code, or other likes were held out from it"
        verdict = replace(verdict, reasons=(*verdict.reasons, note))
    as_usual = verdict.may_serve and not unknown
    (log.info if as_usual else log.warning)("evaluate: %s: %s", made.model_version, verdict)
    if not publish:
        _log_figures(night, figures)
        log.warning("evaluate: publishing is skipped: nothing of the night %s is published", night.ds)
        return
    _write_metrics(night, figures, choice, made)
    row = {
        "date": night.date,
        "model_version": made.model_version,
        "promoted": verdict.may_serve,
        "verdict": str(verdict),
        "path": made.path,
        "best_so_far": made.model_version if best is None or _no_worse(judged) else best.model_version,
        **asdict(made),
    }
    night.lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), {"date": night.ds})
    if verdict.may_serve:
        _embed(night, dataset, Stored(made.model_version, made.path), read=read)
    else:
        _embed(night, theirs[0] if theirs else dataset, last, read=read)


def _promoted_before(night: Night) -> dict[str, Stored]:
    """The newest promoted model of the nights before this one, where there is one, and the best so far, where that is
    another."""
    where = (pc.field("date") < night.date) & pc.field("promoted")
    rows = night.lake.read(Models, where=where, columns=["date", "model_version", "path", "best_so_far"]).to_pylist()
    rows = [row for row in rows if _can_be_loaded(night, row["model_version"], row["path"])]
    if not rows:
        return {}
    newest = max(rows, key=lambda row: row["date"])
    stored = {row["model_version"]: Stored(row["model_version"], row["path"]) for row in rows}
    last, best = stored[newest["model_version"]], stored.get(newest["best_so_far"])
    return {LAST_PROMOTED: last} | ({BEST_PROMOTED: best} if best and best != last else {})


def _can_be_loaded(night: Night, model_version: str, path: str) -> bool:
    """Whether the strategy of a model is one that this code still has, and the model of a form that it reads."""
    name = model_version.rpartition("-")[0]
    if name not in STRATEGIES:
        log.warning("%s is left out: there is no strategy %s any more", model_version, name)
        return False
    if not strategy(name).reads(files.names(night.lake, f"{path}/{artifacts.SERVED}")):
        log.warning("%s is left out: an earlier version of the strategy %s made it", model_version, name)
        return False
    return True


def _figures(
    night: Night,
    dataset: Dataset,
    parts: Split,
    made: artifacts.Identity,
    *,
    kind: Kind,
    rivals: Mapping[str, tuple[Stored, Dataset]],
) -> list[Figure]:
    """Figures of the night's model, the baselines and earlier models on one split; one model after the other, for its
    vectors may be large. On the configured split also curves, calibration, and the night's model given a catalog
    without one modality or another.

    Args:
        rivals: name → an earlier model, and the night's data in the vectors of its encoders.
    """
    known, config = parts.known(), night.config.fusion
    catalog = model_input(dataset.catalog, dataset.reviews, known, config)
    masks = with_reviews(dataset.catalog, dataset.reviews, known, share=config.review_share).masks
    model = artifacts.load(night, made.path, artifacts.held_out(kind))
    n_items, seed, new_items = len(catalog), config.seed, parts.test_candidates is not None
    content = create(CONTENT_ONLY)
    content.fit(catalog, known, seed=seed)
    figures_of = partial(
        evaluate,
        split=parts,
        split_name=kind,
        n_items=n_items,
        ks=night.config.evaluate.ks,
        masks=masks,
        content=content.item_vectors(catalog),
    )
    own = {made.strategy: scorer(model, catalog, known, new_items=new_items)}
    figures = figures_of(own)
    for name in (POPULARITY, *(OF_CONTENT if new_items else OF_HISTORY)):
        fitted = BASELINES[name]().fit(known, n_items, catalog=catalog, terms=catalog.terms)
        figures += figures_of({name: partial(fitted.scores, known)})
    for name, (rival, seen) in rivals.items():
        if part := artifacts.comparable_part(night, rival.path, kind):
            earlier = artifacts.load(night, rival.path, part)
            theirs = model_input(seen.catalog, seen.reviews, known, config)
            figures += figures_of({name: scorer(earlier, theirs, known, new_items=new_items)})
    if kind != config.split.kind:
        return figures
    figures += curves(own, split=parts, split_name=kind, n_items=n_items, seed=seed)
    figures += calibration(own, split=parts, split_name=kind, n_items=n_items, seed=seed)
    for modality in (m for m in MODALITIES if masks[m].any()):
        less = scorer(model, without_modality(catalog, modality), known, new_items=new_items)
        figures += figures_of({f"{made.strategy} without {modality}": less}, segments=["all"])
    return figures


def _judged(night: Night, figures: list[Figure], strategy: str, *, kind: Kind, likes: int) -> Judged:
    """What law 6 asks of one split: the night's model beside popularity, earlier models, and where there is an earlier
    model the best of the baselines of history. Before any model serves, one that is worse than those is better than
    none. Of new items popularity knows nothing."""
    judge_by, (population, segment) = night.config.evaluate, POPULATIONS[kind]
    of_all = (segment, judge_by.gate_metric, judge_by.gate_k)
    per_user = {f.model: f.per_user for f in figures if (f.segment, f.metric, f.k) == of_all}
    references = (LAST_PROMOTED, BEST_PROMOTED, *(() if kind == "cold_items" else (POPULARITY,)))
    names = [name for name in references if name in per_user]
    baselines = [name for name in OF_HISTORY if name in per_user]
    if baselines and LAST_PROMOTED in per_user:
        names.append(max(baselines, key=lambda name: per_user[name].mean()))
    asked = likes if segment == "all" else sum(len(values) for values in per_user.values())
    return Judged(population, per_user.get(strategy), {name: per_user[name] for name in names}, asked)


def _no_worse(judged: list[Judged]) -> bool:
    """Whether the night's model is on average at least as good as the best one before it wherever both are judged."""
    for each in judged:
        best = each.references.get(BEST_PROMOTED, each.references.get(LAST_PROMOTED))
        if best is not None and (each.candidate is None or each.candidate.mean() < best.mean()):
            return False
    return True


def _log_figures(night: Night, figures: list[Figure]) -> None:
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
    rows += [{"date": night.date, "model_version": made.model_version, **row} for row in metric_rows(night, choice)]
    night.lake.write(Metrics, pa.Table.from_pylist(rows, schema=Metrics.schema), {"date": night.ds})


def _embed(night: Night, dataset: Dataset, serving: Stored | None, *, read: Mapping[str, int]) -> None:
    """Write the vectors of every item and every user under the model that serves the night.

    Before any model was promoted, item vectors are of content alone, and there are no user vectors.

    Args:
        read: name → version of the tables that the data set was read from.
    """
    history, config = dataset.history, night.config.fusion
    catalog = model_input(dataset.catalog, dataset.reviews, history, config)
    masks = with_reviews(dataset.catalog, dataset.reviews, history, share=config.review_share).masks
    everybody: tuple[History, ...] = ()
    if serving:
        model = artifacts.load(night, serving.path, artifacts.SERVED)
        version, everybody = serving.model_version, (history, nobody(NEWCOMER))
    else:
        log.warning("evaluate: no model was ever promoted; this night recommends nothing and shows similar items only")
        model = create(CONTENT_ONLY)
        model.fit(catalog, history, seed=config.seed, progress=False)
        version = CONTENT_ONLY
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
            **_predicted(model.predictions(catalog, history), len(catalog)),
        }
    )
    night.lake.write(ItemEmbeddings, items, {"date": night.ds}, made_from=read)
    ids = [user_id for users in everybody for user_id in users.user_ids.tolist()]
    vectors = [model.user_vectors(catalog, users) for users in everybody]
    for_new_items = [model.new_item_user_vectors(catalog, users) for users in everybody]
    embedded = pa.table(
        {
            "date": pa.repeat(pa.scalar(night.date), len(ids)),
            "user_id": pa.array(ids, pa.string()),
            "model_version": pa.repeat(pa.scalar(version), len(ids)),
            "vector": _vectors(np.vstack(vectors) if vectors else np.zeros((0, 0), np.float32)),
            "new_items_vector": _vectors(np.vstack(for_new_items) if vectors else np.zeros((0, 0), np.float32)),
        }
    )
    night.lake.write(UserEmbeddings, embedded, {"date": night.ds})


def _predicted(found: Predictions | None, n_items: int) -> dict[str, pa.Array]:
    """The columns of `item_embeddings` that hold predictions, null where there are none."""
    if found is None:
        rating, category = pa.nulls(n_items, pa.float32()), pa.nulls(n_items, pa.string())
    else:
        rating = pa.array(found.rating, pa.float32(), from_pandas=True)  # null for NaN
        category = pa.array([name or None for name in found.category.tolist()], pa.string())
    return {"predicted_rating": rating, "predicted_category": category}


def _columns(blocks: dict[str, slice]) -> list[tuple[str, list[int]]]:
    return [(name, [part.start, part.stop]) for name, part in blocks.items()]


def _vectors(matrix: np.ndarray) -> pa.Array:
    """Rows of float32 [n, d] as an Arrow list column."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * (matrix.shape[1] if matrix.ndim == 2 else 0)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(matrix, np.float32).ravel())
