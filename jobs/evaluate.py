"""Evaluate the night's model beside the baselines, decide whether it is promoted, and embed users and items with the
model that serves the night."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.registry import fingerprints
from fusion.baselines.history import ItemKNN, Popularity
from fusion.data.catalog import History, Split, nobody
from fusion.data.reviews import with_reviews
from fusion.data.splits import split_as
from fusion.data.subsets import without_modality
from fusion.evaluation.calibration import calibration
from fusion.evaluation.curves import curves
from fusion.evaluation.evaluate import Figure, evaluate
from fusion.evaluation.intervals import intervals
from fusion.evaluation.promotion import Verdict, judge
from fusion.missing.fill import model_input
from fusion.models.base import Predictions
from fusion.models.registry import create
from fusion.models.scorer import scorer
from jobs.modelling import artifacts
from jobs.modelling.dataset import Dataset, load
from jobs.modelling.model_selection import CONTENT_ONLY, Choice, metric_rows, stored_choice
from jobs.runtime.night import Night
from lake import provenance
from schemas.table import MODALITIES
from schemas.tables import BLOCKS, NEWCOMER, STRINGS, WEIGHTS, ItemEmbeddings, Metrics, Models, UserEmbeddings

log = logging.getLogger("nightweave.evaluate")

POPULARITY, ITEM_KNN, LAST_PROMOTED = "popularity", "item_knn", "last_promoted"


@dataclass(frozen=True)
class Stored:
    """A model in the lake: its version, and its folder relative to LAKE."""

    model_version: str
    path: str


def run(night: Night, *, publish: bool = True) -> None:
    """Evaluate the night's model, and write figures, verdict and embeddings; unless `publish`, only log the figures."""
    last = _last_promoted(night)
    own = fingerprints(night.config.extract.encoders)
    read = provenance.now(night.lake)
    # The last promoted model may have been made with other encoders. It lacks what those have not encoded.
    theirs = artifacts.encoders_of(night, last.path) if last else own
    dataset, before = load(night, own, theirs)
    choice = stored_choice(night, dataset)
    made = artifacts.identity(night, dataset, choice.best.strategy, choice.best.parameters)
    parts = split_as(dataset.history, night.config.fusion, item_ids=dataset.catalog.item_ids)
    rival = last if last and artifacts.same_holdout(night, last.path) else None
    likes = len(parts.test.likes())
    figures = _figures(night, dataset, parts, made, rival=rival, before=before) if likes else []
    verdict = _verdict(night, figures, made.strategy, likes=likes)
    if last and rival is None:
        note = f"{LAST_PROMOTED} not judged: other likes were held out from it (fusion.split or seed has changed)"
        verdict = replace(verdict, reasons=(*verdict.reasons, note))
    as_usual = verdict.may_serve and rival is last
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
        **asdict(made),
    }
    night.lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), {"date": night.ds})
    if verdict.may_serve:
        _embed(night, dataset, Stored(made.model_version, made.path), read=read)
    else:
        _embed(night, before, last, read=read)


def _last_promoted(night: Night) -> Stored | None:
    """The newest promoted model of the nights before this one."""
    where = (pc.field("date") < night.date) & pc.field("promoted")
    rows = night.lake.read(Models, where=where, columns=["date", "model_version", "path"]).to_pylist()
    newest = max(rows, key=lambda row: row["date"], default=None)
    return Stored(newest["model_version"], newest["path"]) if newest else None


def _figures(
    night: Night,
    dataset: Dataset,
    parts: Split,
    made: artifacts.Identity,
    *,
    rival: Stored | None,
    before: Dataset,
) -> list[Figure]:
    """Figures of the night's model, the baselines, the promoted model that it is to replace, and the night's model
    given a catalog without one modality or another; one after the other, for a model's vectors may be large."""
    known, config = parts.known(), night.config.fusion
    catalog = model_input(dataset.catalog, dataset.reviews, known, config)
    masks = with_reviews(dataset.catalog, dataset.reviews, known, share=config.review_share).masks
    model = artifacts.load(night, made.path, artifacts.EVALUATED)
    name, n_items, seed = config.split.kind, len(catalog), config.seed
    content = create(CONTENT_ONLY)
    content.fit(catalog, known, seed=seed)
    figures_of = partial(
        evaluate,
        split=parts,
        split_name=name,
        n_items=n_items,
        ks=night.config.evaluate.ks,
        masks=masks,
        content=content.item_vectors(catalog),
    )
    own = {made.strategy: scorer(model, catalog, known)}
    figures = figures_of(own)
    figures += curves(own, split=parts, split_name=name, n_items=n_items, seed=seed)
    figures += calibration(own, split=parts, split_name=name, n_items=n_items, seed=seed)
    for reference, baseline in ((POPULARITY, Popularity()), (ITEM_KNN, ItemKNN())):
        fitted = baseline.fit(known, n_items)
        figures += figures_of({reference: partial(fitted.scores, known)})
    if rival and rival.model_version != made.model_version:
        promoted = artifacts.load(night, rival.path, artifacts.EVALUATED)
        seen = model_input(before.catalog, before.reviews, known, config)
        figures += figures_of({LAST_PROMOTED: scorer(promoted, seen, known)})
    for modality in (m for m in MODALITIES if masks[m].any()):
        blind = {f"{made.strategy} without {modality}": scorer(model, without_modality(catalog, modality), known)}
        figures += figures_of(blind, segments=["all"])
    return figures


def _verdict(night: Night, figures: list[Figure], strategy: str, *, likes: int) -> Verdict:
    """Law 6 on the night's own held-out likes, of which there are `likes`."""
    metric, k = night.config.evaluate.gate_metric, night.config.evaluate.gate_k
    per_user = {f.model: f.per_user for f in figures if (f.segment, f.metric, f.k) == ("all", metric, k)}
    references = {name: per_user[name] for name in (POPULARITY, LAST_PROMOTED) if name in per_user}
    return judge(per_user.get(strategy), references, figure=f"{metric}@{k}", likes=likes)


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
