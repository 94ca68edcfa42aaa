"""The models that earlier nights promoted."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from fusion.models.base import Population
from fusion.models.registry import STRATEGIES
from fusion.ranking.sigmoid import Sigmoid
from jobs.modelling import artifacts
from jobs.modelling.populations import BEST_PROMOTED, LAST_PROMOTED
from jobs.runtime.night import Night
from schemas.tables import Models

log = logging.getLogger("nightweave.evaluate")


@dataclass(frozen=True)
class Stored:
    """A model in the lake: its version, its folder relative to LAKE, its strategy, whether its verdict rests on any
    figure, and by population what makes its scores probabilities."""

    model_version: str
    path: str
    strategy: str
    judged: bool
    calibration: Mapping[Population, Sigmoid]


def promoted_before(night: Night) -> dict[str, Stored]:
    """The newest promoted model of the nights before this one, where there is one, and the best so far, where that is
    another."""
    where = (pc.field("date") < night.date) & pc.field("promoted")
    columns = ["date", "model_version", "path", "strategy", "best_so_far", "judged", "calibration"]
    rows = night.lake.read(Models, where=where, columns=columns).to_pylist()
    judged = {row["model_version"] for row in rows if row["judged"] is not False}
    stored = {
        version: Stored(version, row["path"], row["strategy"], version in judged, sigmoids(row["calibration"]))
        for row in rows
        for version in [row["model_version"]]
    }
    for row in sorted(rows, key=lambda row: row["date"], reverse=True):
        last, best = stored[row["model_version"]], stored.get(row["best_so_far"])
        if _can_be_loaded(night, last):
            has_best = best is not None and best != last and _can_be_loaded(night, best)
            return {LAST_PROMOTED: last} | ({BEST_PROMOTED: best} if best and has_best else {})
    return {}


def sigmoids(stored: Iterable[tuple[Population, list[float]]] | None) -> dict[Population, Sigmoid]:
    """What a row of `models` has as `calibration`."""
    return {population: Sigmoid(*pair) for population, pair in stored or ()}


def _can_be_loaded(night: Night, stored: Stored) -> bool:
    """Whether this code still has the strategy of a model, or it is one's own that the configuration names, and its
    format is one that is read.

    Raises:
        LakeError: it is damaged.
    """
    strategy = stored.strategy
    if strategy not in STRATEGIES and strategy not in night.config.fusion.own_strategies:
        why = "the configuration does not name it" if ":" in strategy else "there is none of that name any more"
        log.warning("%s is left out, a model of the strategy %s: %s", stored.model_version, strategy, why)
        return False
    try:
        artifacts.encoders_of(night, stored.path)
        artifacts.load(night, stored.path, artifacts.SERVED)
    except artifacts.StoredModelError as error:
        log.warning("%s is left out: %s", stored.model_version, error)
        return False
    return True
