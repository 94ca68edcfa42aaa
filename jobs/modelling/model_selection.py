"""Selection of the strategy and the parameters of a night's model on its validation likes; choices stored in the lake.

A choice is stored at LAKE/choices/HASH.json, under a hash of all that it depends on, so that a night that is run again
makes the same model. It names that model, and the results of searches that it depends on. The result of a search for
parameters is stored at LAKE/tuned/HASH/DATE.json, under a hash of the search's settings; a later night takes over the
newest result before it.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import distribution_to_json

from fusion.data.catalog import Split
from fusion.missing.fill import model_input
from fusion.selection.bench import Bench, Trial, best_trial, select_trial
from fusion.selection.search import Budget, search, space
from jobs.modelling.artifacts import digest, identity, model_code
from jobs.modelling.dataset import Dataset
from jobs.runtime.night import Night, NightError
from lake import files
from lake.lake import Lake
from schemas.classes import short
from schemas.config import Candidate

log = logging.getLogger("nightweave.model_selection")

CHOICES, SEARCHES = "choices", "tuned"
CONTENT_ONLY = "content"
VALIDATION = "validation"
"""Follows the kind in the split's name of a validation figure in `metrics`."""


@dataclass(frozen=True)
class Choice:
    """A night's trials, in the order in which they were made, and the one whose strategy and parameters it uses."""

    trials: tuple[Trial, ...]
    best: Trial


@dataclass(frozen=True)
class SearchResult:
    """The parameters that the search of an earlier night found; `path` is relative to LAKE."""

    path: str
    parameters: dict[str, Any]


def candidates(night: Night, dataset: Dataset) -> tuple[Candidate, ...]:
    """Return the candidates that the night tries: content alone where there are too few likes to learn from."""
    settings = night.config.fusion
    too_few = len(dataset.history.likes()) < settings.min_likes
    return (Candidate(strategy=CONTENT_ONLY),) if too_few else settings.considered


def choose(night: Night, dataset: Dataset, parts: Split) -> Choice:
    """Return the night's choice, made and stored now unless it is stored already."""
    considered = candidates(night, dataset)
    before = {candidate.strategy: _earlier_result(night, candidate) for candidate in considered}
    path = _choice_path(night, dataset, before)
    if (stored := files.read_json(night.lake, path)) is not None:
        files.write_json(night.lake, path, stored)  # renews its age, by which maintenance goes
        return _from_json(stored)
    if considered != night.config.fusion.considered:
        log.warning("%d likes are too few to learn from: content alone is used", len(dataset.history.likes()))
    checkpoints = files.local(night.lake, f"{path}.partial")
    bench = Bench(
        model_input(dataset.catalog, dataset.reviews, parts.train, night.config.fusion),
        parts,
        metric=night.config.evaluate.gate_metric,
        k=night.config.evaluate.gate_k,
        seed=night.config.fusion.seed,
        checkpoints=checkpoints,
    )
    trials, found_in = [], [found.path for found in before.values() if found]
    for candidate in considered:
        found = before[candidate.strategy]
        parameters = candidate.parameters | (found.parameters if found else {})
        trials.append(bench.attempt(candidate.strategy, candidate.strategy, parameters, progress=True))
        log.info("%s: %s", trials[-1].strategy, _describe(bench, trials[-1]))
    best = best_trial(trials)
    tuning = night.config.fusion.tuning
    if tuning.wanted and before[best.strategy] is None:
        searched = search(bench, best, Budget(tuning.trials, tuning.minutes))
        trials += searched
        best = select_trial([best, *searched])
        if tuning.reuse:
            (candidate,) = (c for c in considered if c.strategy == best.strategy)
            found_in.append(f"{_search_folder(night, candidate)}/{night.ds}.json")
            files.write_json(night.lake, found_in[-1], {"parameters": best.parameters})
    choice = Choice(tuple(trials), best)
    model = identity(night, dataset, best.strategy, best.parameters).path
    files.write_json(night.lake, path, _to_json(choice) | {"model": model, "found_in": found_in})
    if checkpoints:
        shutil.rmtree(checkpoints, ignore_errors=True)
    log.info("chosen: %s with %s: %s", best.strategy, dict(best.parameters), _describe(bench, best))
    return choice


def stored_choice(night: Night, dataset: Dataset) -> Choice:
    """Return the choice that the night's training stored.

    Raises:
        NightError: none is stored for this data, configuration and code.
    """
    before = {candidate.strategy: _earlier_result(night, candidate) for candidate in candidates(night, dataset)}
    stored = files.read_json(night.lake, _choice_path(night, dataset, before))
    if stored is None:
        raise NightError(
            f"night {night.ds}: no strategy was chosen from this data, configuration and code; run `train` again"
        )
    return _from_json(stored)


def metric_rows(night: Night, choice: Choice) -> list[dict[str, Any]]:
    """Return rows of `metrics`, without date and model version: the validation figure of every trial, and the numeric
    parameters of every trial of a search."""
    split = f"{night.config.fusion.split.kind} {VALIDATION}"
    rows = []
    for trial in choice.trials:
        if trial.value is None:
            continue
        shared = {"model": trial.name, "split": split, "segment": "all"}
        figure = {"metric": night.config.evaluate.gate_metric, "k": night.config.evaluate.gate_k}
        rows.append({**shared, **figure, "value": trial.value, "low": trial.low, "high": trial.high})
        if trial.name != trial.strategy:
            numbers = {name: value for name, value in trial.parameters.items() if isinstance(value, int | float)}
            rows += [{**shared, "metric": f"parameter {name}", "value": float(v)} for name, v in numbers.items()]
    return rows


def _choice_path(night: Night, dataset: Dataset, before: Mapping[str, SearchResult | None]) -> str:
    """Path of the night's choice, given the earlier search result of each candidate strategy."""
    depends_on = {
        "data": dataset.fingerprint,
        "encoders": dict(dataset.encoders),
        "fusion": night.config.fusion.model_dump(mode="json"),
        "judged by": [night.config.evaluate.gate_metric, night.config.evaluate.gate_k],
        "found before": [None if found is None else found.parameters for found in before.values()],
        "code": model_code(night.config.fusion),
    }
    return f"{CHOICES}/{digest(depends_on)}.json"


def _search_folder(night: Night, candidate: Candidate) -> str:
    """Folder of the results of this candidate's search, one file a night."""
    settings = night.config.fusion
    depends_on = {
        "candidate": candidate.model_dump(mode="json"),
        "space": {name: distribution_to_json(limits) for name, limits in space(candidate.strategy).items()},
        "tuning": settings.tuning.model_dump(mode="json"),
        "split": settings.split.model_dump(mode="json"),
        "judged by": [night.config.evaluate.gate_metric, night.config.evaluate.gate_k],
    }
    return f"{SEARCHES}/{short(candidate.strategy)}-{digest(depends_on)[:12]}"


def _earlier_result(night: Night, candidate: Candidate) -> SearchResult | None:
    """Result of the newest search before this night; None where there is none, or results are not to be reused."""
    tuning = night.config.fusion.tuning
    if not (tuning.wanted and tuning.reuse):
        return None
    folder = _search_folder(night, candidate)
    earlier = [name for name in json_files(night.lake, folder) if name < f"{night.ds}.json"]
    if not earlier:
        return None
    path = f"{folder}/{earlier[-1]}"
    found = files.read_json(night.lake, path)
    return None if found is None else SearchResult(path, found["parameters"])


def json_files(lake: Lake, folder: str) -> list[str]:
    """Return the names of the JSON files in a folder of the lake, ascending; half-written ones are left out."""
    return [name for name in files.names(lake, folder) if name.endswith(".json")]


def _to_json(choice: Choice) -> dict[str, Any]:
    trials = [{name: value for name, value in trial.as_dict().items() if name != "per_user"} for trial in choice.trials]
    return {"trials": trials, "best": choice.best.name}


def _from_json(stored: dict[str, Any]) -> Choice:
    trials = tuple(Trial.from_dict(trial) for trial in stored["trials"])
    (best,) = (trial for trial in trials if trial.name == stored["best"])
    return Choice(trials, best)


def _describe(bench: Bench, trial: Trial) -> str:
    figure = "nobody to validate on" if trial.value is None else f"{bench.metric}@{bench.k} {trial.value:.4f}"
    return f"validation {figure} in {trial.fitted.seconds:.1f} s"
