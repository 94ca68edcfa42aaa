"""Evaluate the night's model beside the baselines, decide whether it is promoted, and embed users and items with the
model that serves the night."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.registry import vector_blocks
from fusion.baselines.registry import BASELINES
from fusion.data.catalog import Split
from fusion.data.matrix_factors import threads_for
from fusion.data.reviews import with_reviews
from fusion.data.splits import Kind, split_as, with_some_users
from fusion.data.subsets import without_modality
from fusion.evaluation.calibration import calibration, sigmoid_of
from fusion.evaluation.curves import curves
from fusion.evaluation.evaluate import Figure, evaluate
from fusion.evaluation.intervals import intervals
from fusion.evaluation.promotion import MIN_USERS, Judged, Verdict, judge
from fusion.evaluation.protocol import Judgements, Pool
from fusion.missing.fill import model_input
from fusion.models.base import Population, Strategy
from fusion.models.registry import create
from fusion.models.scorer import scorer, scorers
from fusion.ranking.sigmoid import Sigmoid
from jobs.modelling import artifacts
from jobs.modelling.coverage import Coverage, check_coverage
from jobs.modelling.dataset import Dataset, load
from jobs.modelling.earlier_models import Stored, promoted_before
from jobs.modelling.embeddings import embed
from jobs.modelling.explanations import write_explanations
from jobs.modelling.model_selection import CONTENT_ONLY, metric_rows, stored_choice
from jobs.modelling.populations import BEST_PROMOTED, LAST_PROMOTED, LAST_WEIGHTS, LEAD, POPULATIONS
from jobs.runtime.night import Night
from lake import provenance
from schemas.table import MEDIA, MODALITIES
from schemas.tables import Metrics, Models

log = logging.getLogger("nightweave.evaluate")

POPULARITY = "popularity"
OF_HISTORY, OF_CONTENT = ("item_knn", "ease", "ials"), tuple(f"{modality}_neighbours" for modality in MEDIA)
"""The baselines that are evaluated beside popularity: of items that are known, and of new ones."""


@dataclass(frozen=True)
class Question:
    """A kind of split with held-out likes, and the population that is judged on it.

    Attributes:
        parts: whose test may be of a sample of the users (`evaluate.max_users`).
        share: of the users with held-out likes who are in it.
    """

    kind: Kind
    parts: Split
    share: float

    @property
    def population(self) -> Population:
        return POPULATIONS[self.kind][0]

    @property
    def new_items(self) -> bool:
        """Whether new items are ranked among themselves."""
        return self.parts.test_candidates is not None


@dataclass(frozen=True)
class Contender:
    """A model that may come to serve.

    Attributes:
        judged: its figures beside those of the references, by kind of split.
        calibration: what makes its scores probabilities, by population.
        parts: its parts, where they are not stored yet.
    """

    made: artifacts.Identity
    judged: Mapping[Kind, Judged]
    verdict: Verdict
    calibration: Mapping[Population, Sigmoid]
    parts: Mapping[str, Strategy] = field(default_factory=dict)


Rivals = Mapping[str, tuple[Stored, Dataset]]
"""Name → an earlier model, and the night's data in the vectors of its encoders."""


def run(night: Night, *, allow_shrinking: bool = False) -> None:
    """Evaluate the night's model, and write figures, verdict, embeddings and explanations.

    Args:
        allow_shrinking: go on although a modality has lost most of its items.

    Raises:
        NightError: a modality has lost too many of its items to be published.
    """
    earlier = promoted_before(night)
    last = earlier.get(LAST_PROMOTED)
    own = vector_blocks(night.config.extract.encoders)
    read = provenance.now(night.lake)
    # An earlier model may have been made with other encoders. It lacks what those have not encoded.
    dataset, *theirs = load(night, own, *(artifacts.encoders_of(night, each.path) for each in earlier.values()))
    known = with_reviews(dataset.catalog, dataset.reviews, dataset.history, share=night.config.fusion.review_share)
    covered = Coverage(night.date, pa.array(known.item_ids.tolist(), pa.string()), known.masks)
    check_coverage(night, covered, allow_shrinking=allow_shrinking)
    choice = stored_choice(night, dataset)
    made = artifacts.identity(night, dataset, choice.best.strategy, choice.best.parameters)
    rivals = {
        name: (each, seen)
        for (name, each), seen in zip(earlier.items(), theirs, strict=True)
        if each.model_version != made.model_version
    }
    figures: list[Figure] = []
    questions, judged, probable = _questions(night, dataset), {}, {}
    for question in questions:
        with threads_for(len(dataset.catalog)):
            found, sigmoid = _figures(night, dataset, question, made, rivals=rivals)
        figures += found
        judged[question.kind] = _judged(night, found, made.strategy, question)
        if sigmoid:
            probable[question.population] = sigmoid
    over_a_judged = LAST_PROMOTED in rivals and earlier[LAST_PROMOTED].judged
    contender = Contender(made, judged, _verdict(night, judged, over_a_judged=over_a_judged), probable)
    if contender.verdict.refused and LAST_PROMOTED in rivals:
        contender, found = _with_last_weights(night, dataset, questions, contender, rivals[LAST_PROMOTED][0])
        figures += found
    made, verdict = contender.made, contender.verdict
    unknown = [name for name in rivals if not any(name in population.references for population in judged.values())]
    if judged and unknown:
        note = f"{', '.join(unknown)} not judged: made by other code, or other likes were held out from it"
        verdict = replace(verdict, reasons=(*verdict.reasons, note))
    as_usual = verdict.may_serve and not unknown and not made.weights_from
    (log.info if as_usual else log.warning)("evaluate: %s: %s", made.model_version, verdict)
    if contender.parts:
        artifacts.save(night, made, dict(contender.parts), encoders=dataset.encoders)
    of_night = Stored(made.model_version, made.path, made.strategy, verdict.judged, contender.calibration)
    serving = of_night if verdict.may_serve else last
    model = artifacts.load(night, serving.path, artifacts.SERVED) if serving else None
    promoted = made if verdict.may_serve else None
    figures += _leads(night, figures, questions, promoted)
    rows = _weight_rows(model, promoted)
    _write_metrics(night, [*_figure_rows(night, figures), *metric_rows(night, choice), *rows], made)
    row = _model_row(night, replace(contender, made=made, verdict=verdict), best=earlier.get(BEST_PROMOTED, last))
    night.lake.write(Models, pa.Table.from_pylist([row], schema=Models.schema), {"date": night.ds})
    seen = dataset if verdict.may_serve or not theirs else theirs[0]
    with threads_for(len(dataset.catalog)):
        catalog = embed(night, seen, model, serving, read=read)
        write_explanations(night, model, catalog, seen.history)


def _questions(night: Night, dataset: Dataset) -> list[Question]:
    """A question of each kind of split that holds likes out."""
    questions = []
    for kind in get_args(Kind):
        parts = split_as(dataset.history, night.config.fusion, item_ids=dataset.catalog.item_ids, kind=kind)
        if held_out := _users(parts):
            some = with_some_users(parts, most=night.config.evaluate.max_users, seed=night.config.fusion.seed)
            questions.append(Question(kind, some, _users(some) / held_out))
    return questions


def _users(parts: Split) -> int:
    """The number of users with a test like."""
    return len(np.unique(parts.test.likes().user))


def _verdict(night: Night, judged: Mapping[Kind, Judged], *, over_a_judged: bool) -> Verdict:
    figure = f"{night.config.evaluate.gate_metric}@{night.config.evaluate.gate_k}"
    return judge(list(judged.values()), figure=figure, over_a_judged=over_a_judged)


def _with_last_weights(
    night: Night, dataset: Dataset, questions: Sequence[Question], refused: Contender, last: Stored
) -> tuple[Contender, list[Figure]]:
    """The night's model with the weights of the last promoted one for the populations that it was refused for, judged
    on their questions anew; the refused model unless that holds its own. And the figures that it was judged by.

    It is judged as any model is: by its parts that do not know the likes in question. These have the weights that the
    last promoted model's parts learnt without the same likes, and its served part has those of the served part.
    """
    asked = [question for question in questions if refused.judged[question.kind].name in refused.verdict.refused]
    parts: dict[str, Strategy] = {}
    stored = {artifacts.SERVED: artifacts.SERVED} | {
        artifacts.held_out(kind): artifacts.comparable_part(night, last.path, kind) for kind in get_args(Kind)
    }
    for part, theirs in stored.items():
        model = artifacts.load(night, refused.made.path, part) if theirs else None
        other = artifacts.load(night, last.path, theirs) if theirs else None
        for question in asked:
            model = model and other and model.with_weights_of(other, question.population)
        if model is None:
            return refused, []
        parts[part] = model
    figures: list[Figure] = []
    judged = dict(refused.judged)
    for question in asked:
        known = question.parts.known()
        catalog = model_input(dataset.catalog, dataset.reviews, known, night.config.fusion)
        found = evaluate(
            {
                LAST_WEIGHTS: scorer(
                    parts[artifacts.held_out(question.kind)], catalog, known, new_items=question.new_items
                )
            },
            split=question.parts,
            split_name=question.kind,
            n_items=len(catalog),
            ks=night.config.evaluate.ks,
        )
        figures += found
        candidate = _per_user(night, found, question).get(LAST_WEIGHTS)
        judged[question.kind] = replace(judged[question.kind], candidate=candidate)
    verdict = _verdict(night, judged, over_a_judged=last.judged)
    anew = tuple(f"{name}:" for name in refused.verdict.refused)
    again = [f"with the weights of {last.model_version}, {r}" for r in verdict.reasons if r.startswith(anew)]
    verdict = replace(verdict, reasons=(*refused.verdict.reasons, *again))
    if not verdict.may_serve:
        return replace(refused, verdict=verdict), figures
    weights_from: dict[str, str] = {question.population: last.model_version for question in asked}
    probable = {p: s for p, s in refused.calibration.items() if p not in weights_from}
    probable |= {p: s for p, s in last.calibration.items() if p in weights_from}
    return Contender(replace(refused.made, weights_from=weights_from), judged, verdict, probable, parts), figures


def _model_row(night: Night, contender: Contender, *, best: Stored | None) -> dict[str, Any]:
    """The night's row of `models`, given the best model before it."""
    made, verdict = contender.made, contender.verdict
    best_so_far = made.model_version if best is None or _no_worse(contender.judged) else best.model_version
    return {
        "date": night.date,
        "model_version": made.model_version,
        "promoted": verdict.may_serve,
        "verdict": str(verdict),
        "judged": verdict.judged,
        "close": verdict.close,
        "path": made.path,
        "best_so_far": best_so_far if verdict.may_serve else None,
        "calibration": [(population, list(sigmoid)) for population, sigmoid in contender.calibration.items()],
        **made.row,
    }


def _figures(
    night: Night,
    dataset: Dataset,
    question: Question,
    made: artifacts.Identity,
    *,
    rivals: Rivals,
) -> tuple[list[Figure], Sigmoid | None]:
    """Figures of the night's model, the baselines and earlier models on one split; one model after the other, for its
    vectors may be large. On the configured split also curves, calibration, and the night's model given a catalog
    without one modality or another. And what makes the model's scores probabilities for the population."""
    kind, parts, new_items = question.kind, question.parts, question.new_items
    known, config = parts.known(), night.config.fusion
    catalog = model_input(dataset.catalog, dataset.reviews, known, config)
    masks = with_reviews(dataset.catalog, dataset.reviews, known, share=config.review_share).masks
    model = artifacts.load(night, made.path, artifacts.held_out(kind))
    n_items, seed = len(catalog), config.seed
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
    own = made.strategy
    shown, pools = {own: catalog}, {own: Pool(Judgements.of(parts, n_items), seed=seed)}
    if kind == config.split.kind:
        present = [modality for modality in MODALITIES if masks[modality].any()]
        shown |= {f"{own} without {modality}": without_modality(catalog, modality) for modality in present}
    figures = figures_of(scorers(model, shown, known, new_items=new_items), pools=pools)
    figures = [figure for figure in figures if figure.model == own or figure.segment == "all"]
    if kind == config.split.kind:
        figures += curves(pools, split_name=kind) + calibration(pools, split_name=kind)
    without = np.bincount(known.likes().user, minlength=len(known.user_ids)) == 0
    sigmoid = sigmoid_of(pools[own], without if question.population == "without_history" else np.ones_like(without))
    for metric, value in (("users", _users(parts)), ("user_share", question.share)):
        figures.append(Figure.of_all(own, kind, metric, None, value))
    for name in (POPULARITY, *(OF_CONTENT if new_items else OF_HISTORY)):
        fitted = BASELINES[name]().fit(known, n_items, catalog=catalog, terms=catalog.terms)
        figures += figures_of({name: partial(fitted.scores, known)})
    for name, (rival, seen) in rivals.items():
        if part := artifacts.comparable_part(night, rival.path, kind):
            earlier = artifacts.load(night, rival.path, part)
            theirs = model_input(seen.catalog, seen.reviews, known, config)
            figures += figures_of({name: scorer(earlier, theirs, known, new_items=new_items)})
    return figures, sigmoid


def _judged(night: Night, figures: list[Figure], strategy: str, question: Question) -> Judged:
    """What law 6 asks of one split: the night's model beside popularity, earlier models, and where there is an earlier
    model the best of the baselines of history. Before any model serves, one that is worse than those is better than
    none. Of new items popularity knows nothing."""
    per_user = _per_user(night, figures, question)
    _, population, segment = POPULATIONS[question.kind]
    references = (LAST_PROMOTED, BEST_PROMOTED, *(() if question.new_items else (POPULARITY,)))
    names = [name for name in references if name in per_user]
    baselines = [name for name in OF_HISTORY if name in per_user]
    if baselines and LAST_PROMOTED in per_user:
        names.append(max(baselines, key=lambda name: per_user[name].mean()))
    all_likes = len(question.parts.test.likes())
    likes = all_likes if segment == "all" else sum(len(values) for values in per_user.values())
    return Judged(population, per_user.get(strategy), {name: per_user[name] for name in names}, likes)


def _leads(
    night: Night, figures: Iterable[Figure], questions: Iterable[Question], promoted: artifacts.Identity | None
) -> list[Figure]:
    """How far the model that serves each population is ahead of each baseline there, on the same users; of none where
    it has no figure, or too few users have.

    Args:
        promoted: as in `_weight_rows`.
    """
    figures, leads = list(figures), []
    for question in questions:
        found = {f.model: f for f in _deciding(night, figures, question)}
        ours = found.get(_served_as(promoted, question.population))
        if ours is None or len(ours.users) < MIN_USERS:
            continue
        for name in (POPULARITY, *OF_HISTORY, *OF_CONTENT):
            if theirs := found.get(name):
                ahead = ours.per_user - theirs.per_user
                leads.append(
                    replace(theirs, metric=f"{theirs.metric}{LEAD}", value=float(ahead.mean()), per_user=ahead)
                )
    return leads


def _served_as(promoted: artifacts.Identity | None, population: Population) -> str:
    """The name that the model which serves a population has in `metrics`."""
    if promoted is None:
        return LAST_PROMOTED
    return LAST_WEIGHTS if population in promoted.weights_from else promoted.strategy


def _per_user(night: Night, figures: Iterable[Figure], question: Question) -> dict[str, NDArray[np.float64]]:
    """Model → float64 [n], the figure that it is judged by, of each user of the question's population."""
    return {f.model: f.per_user for f in _deciding(night, figures, question)}


def _deciding(night: Night, figures: Iterable[Figure], question: Question) -> list[Figure]:
    """The figures by which models are judged on the question's population, one a model."""
    judge_by, (_, _, segment) = night.config.evaluate, POPULATIONS[question.kind]
    of_all = (question.kind, segment, judge_by.gate_metric, judge_by.gate_k)
    return [f for f in figures if (f.split, f.segment, f.metric, f.k) == of_all]


def _no_worse(judged: Mapping[Kind, Judged]) -> bool:
    """Whether the night's model is on average at least as good as the best one before it wherever both are judged."""
    for each in judged.values():
        best = each.references.get(BEST_PROMOTED, each.references.get(LAST_PROMOTED))
        if best is not None and (each.candidate is None or each.candidate.mean() < best.mean()):
            return False
    return True


def _figure_rows(night: Night, figures: list[Figure]) -> list[dict[str, Any]]:
    """Rows of `metrics`, without date and model version."""
    return [
        {
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


def _weight_rows(model: Strategy | None, promoted: artifacts.Identity | None) -> list[dict[str, Any]]:
    """Rows of `metrics`, without date and model version: the weights of the model that serves the night, for each
    population under the model that learnt them.

    Args:
        promoted: the night's model, where that is the one; else it is the last promoted.
    """
    rows: list[dict[str, Any]] = []
    for split, (population, _, segment) in POPULATIONS.items():
        shared = {"model": _served_as(promoted, population), "split": split, "segment": segment}
        weights = model.population_weights.get(population, {}) if model else {}
        rows += [{**shared, "metric": f"weight {scorer}", "value": weight} for scorer, weight in weights.items()]
    return rows


def _write_metrics(night: Night, rows: list[dict[str, Any]], made: artifacts.Identity) -> None:
    of_night = {"date": night.date, "model_version": made.model_version}
    rows = [of_night | row for row in rows]
    night.lake.write(Metrics, pa.Table.from_pylist(rows, schema=Metrics.schema), {"date": night.ds})
