"""Which strategy makes a night's model, with which parameters: tried on the night's validation likes, kept in the lake.

A choice lies at LAKE/choices/HASH.json, under a hash of all that it follows from, so that a night that is run
again makes the same model. It names the model that it led to, and the searches that it rests on. What a search for
parameters found lies at LAKE/tuned/HASH/DATE.json, under a hash of what was asked for; a later night takes over the
newest that lies before it.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import distribution_to_json

from fusion.data.splits import Split
from fusion.models import registry
from fusion.selection.bench import Bench, Trial, foremost, preferred
from fusion.selection.search import Budget, search, space
from jobs.modelling.artifacts import code, digest, identity
from jobs.modelling.dataset import State, encoders
from jobs.runtime.night import Night, NightError
from lake import files
from schemas.config import AUTO, Candidate

log = logging.getLogger("nightweave.choosing")

CHOICES, SEARCHES = "choices", "tuned"
CONTENT_ONLY = "content"
VALIDATION = "validation"
"""What the split of a validation figure is called in `metrics`, after its kind."""


@dataclass(frozen=True)
class Choice:
    """What was tried on a night, in that order, and the trial that its model is made like."""

    trials: tuple[Trial, ...]
    best: Trial


@dataclass(frozen=True)
class Found:
    """What the search of an earlier night found, and where in the lake it lies."""

    path: str
    parameters: dict[str, Any]


def candidates(night: Night, state: State) -> tuple[Candidate, ...]:
    """What the night chooses among; content alone where there are too few likes to learn from. Candidates that so many
    likes are too many for are left out, but for the first where that leaves none."""
    settings, likes = night.config.fusion, len(state.history.likes())
    if likes < settings.min_likes:
        return (Candidate(strategy=CONTENT_ONLY),)
    if settings.strategy != AUTO:
        return settings.considered
    return tuple(c for c in settings.considered if _bears(c.strategy, likes)) or settings.considered[:1]


def _bears(strategy: str, likes: int) -> bool:
    most = registry.strategy(strategy).max_likes
    return most is None or likes <= most


def choose(night: Night, state: State, parts: Split) -> Choice:
    """The night's choice, made now unless it was made before."""
    considered = candidates(night, state)
    before = {candidate.strategy: _search_before(night, candidate) for candidate in considered}
    path = _path(night, state, before)
    if (stored := files.read_json(night.lake, path)) is not None:
        files.write_json(night.lake, path, stored)  # maintenance goes by its age
        return _from_json(stored)
    if left_out := {c.strategy for c in night.config.fusion.considered} - {c.strategy for c in considered}:
        log.warning("not tried on %d likes: %s", len(state.history.likes()), ", ".join(sorted(left_out)))
    scratch = files.local(night.lake, f"{path}.partial")
    bench = Bench(
        state.filled(parts.train),
        parts,
        metric=night.config.evaluate.gate_metric,
        k=night.config.evaluate.gate_k,
        seed=night.config.fusion.seed,
        checkpoints=scratch,
    )
    trials, found_in = [], [found.path for found in before.values() if found]
    for candidate in considered:
        found = before[candidate.strategy]
        parameters = candidate.parameters | (found.parameters if found else {})
        trials.append(bench.attempt(candidate.strategy, candidate.strategy, parameters, progress=True))
        log.info("%s: %s", trials[-1].strategy, _in_words(bench, trials[-1]))
    best = foremost(trials)
    tuning = night.config.fusion.tuning
    if tuning.wanted and before[best.strategy] is None:
        searched = search(bench, best, Budget(tuning.trials, tuning.minutes))
        trials += searched
        best = preferred([best, *searched])
        if tuning.reuse:
            (candidate,) = (c for c in considered if c.strategy == best.strategy)
            found_in.append(f"{_tuned(night, candidate)}/{night.ds}.json")
            files.write_json(night.lake, found_in[-1], {"parameters": best.parameters})
    choice = Choice(tuple(trials), best)
    model = identity(night, state, best.strategy, best.parameters).path
    files.write_json(night.lake, path, _to_json(choice) | {"model": model, "found_in": found_in})
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    log.info("chosen: %s with %s: %s", best.strategy, dict(best.parameters), _in_words(bench, best))
    return choice


def chosen(night: Night, state: State) -> Choice:
    """The choice that the night's training made.

    Raises:
        NightError: it made none from this data, configuration and code.
    """
    before = {candidate.strategy: _search_before(night, candidate) for candidate in candidates(night, state)}
    stored = files.read_json(night.lake, _path(night, state, before))
    if stored is None:
        raise NightError(
            f"night {night.ds}: no strategy was chosen from this data, configuration and code; run `train` again"
        )
    return _from_json(stored)


def told(night: Night, choice: Choice) -> list[dict[str, Any]]:
    """Rows of `metrics`, less night and model version: every trial's validation figure, and of those of a search the
    parameters that are numbers."""
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


def _path(night: Night, state: State, before: Mapping[str, Found | None]) -> str:
    """Where the choice lies that a night makes of these strategies, given what was found for each before."""
    follows_from = {
        "data": state.fingerprint,
        "encoders": encoders(night.config),
        "fusion": night.config.fusion.model_dump(mode="json"),
        "judged by": [night.config.evaluate.gate_metric, night.config.evaluate.gate_k],
        "found before": [None if found is None else found.parameters for found in before.values()],
        "code": code(),
    }
    return f"{CHOICES}/{digest(follows_from)}.json"


def _tuned(night: Night, candidate: Candidate) -> str:
    """Where the results of this search lie, a file a night."""
    settings = night.config.fusion
    asked_for = {
        "candidate": candidate.model_dump(mode="json"),
        "space": {name: distribution_to_json(limits) for name, limits in space(candidate.strategy).items()},
        "tuning": settings.tuning.model_dump(mode="json"),
        "split": settings.split.model_dump(mode="json"),
        "judged by": [night.config.evaluate.gate_metric, night.config.evaluate.gate_k],
    }
    return f"{SEARCHES}/{candidate.strategy}-{digest(asked_for)[:12]}"


def _search_before(night: Night, candidate: Candidate) -> Found | None:
    """What the newest search before this night found; None where there was none, or a night is not to take over
    another's."""
    tuning = night.config.fusion.tuning
    if not (tuning.wanted and tuning.reuse):
        return None
    folder = _tuned(night, candidate)
    nights = [name.removesuffix(".json") for name in files.names(night.lake, folder) if name.endswith(".json")]
    earlier = [ds for ds in nights if ds < night.ds]
    if not earlier:
        return None
    path = f"{folder}/{max(earlier)}.json"
    found = files.read_json(night.lake, path)
    return None if found is None else Found(path, found["parameters"])


def _to_json(choice: Choice) -> dict[str, Any]:
    trials = [{name: told for name, told in trial.as_dict().items() if name != "per_user"} for trial in choice.trials]
    return {"trials": trials, "best": choice.best.name}


def _from_json(stored: dict[str, Any]) -> Choice:
    trials = tuple(Trial.from_dict(told) for told in stored["trials"])
    (best,) = (trial for trial in trials if trial.name == stored["best"])
    return Choice(trials, best)


def _in_words(bench: Bench, trial: Trial) -> str:
    figure = "nobody to validate on" if trial.value is None else f"{bench.metric}@{bench.k} {trial.value:.4f}"
    return f"validation {figure} in {trial.fitted.seconds:.1f} s"
