"""How long steps would take, by what they took on past nights (`costs`)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

import pyarrow.compute as pc

from lake import parquet
from lake.commits import live_files
from lake.lake import Lake
from schemas.features import FEATURES
from schemas.table import MEDIA, Medium
from schemas.tables import Costs, Ledger

STEPS = ("clean", *(f"extract_{medium}" for medium in MEDIA), "train", "evaluate", "recommend", "verify", "report")
"""The steps of a night that are measured, in order."""
LAST = 7
"""Of so many last nights the median counts, where a step's time follows from nothing that is known before."""
Point = tuple[float, float]
"""How much there was to do, and how many seconds it took."""


class Rates:
    """Seconds of steps, as the lake tells them; nothing is made up where it tells none.

    Args:
        encoders: modality → the fingerprints of all its encoders; a past extraction under others tells nothing.
    """

    def __init__(self, lake: Lake, encoders: Mapping[Medium, Sequence[str]]) -> None:
        past = _runs(lake)
        read = records(lake)
        self._points: dict[str, list[Point]] = {
            "clean": [(read[row["date"]], row["wall_s"]) for row in past.get("clean", []) if row["date"] in read]
        }
        for medium, fingerprints in encoders.items():
            step = f"extract_{medium}"
            self._points[step] = list(_extracted(lake, medium, fingerprints, past.get(step, [])))
        self._last = {step: [row["wall_s"] for row in rows[-LAST:]] for step, rows in past.items()}

    def seconds(self, amounts: Mapping[str, int]) -> dict[str, float | None]:
        """Return what each step would take; None where there is no rate.

        Args:
            amounts: step → how many records it reads, or how many contents it extracts; of steps whose time grows with
                that.
        """
        return {
            step: estimate(self._points[step], amounts[step])
            if step in amounts
            else (median(self._last[step]) if step in self._last else None)
            for step in STEPS
        }


def estimate(points: Sequence[Point], amount: float) -> float | None:
    """Return the seconds for an amount by the line through the points, by least squares, without negative terms; None
    where they tell nothing of it. One amount alone tells what more of it takes in proportion, and what none takes only
    where it is none.

    >>> estimate([(0, 4), (100, 54), (200, 104)], 10), estimate([(100, 54)], 200), estimate([(100, 54)], 0)
    (9.0, 108.0, None)
    """
    if not points:
        return None
    n, mean_x, mean_y = len(points), sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points) / n
    if not spread:
        if mean_x == amount:
            return mean_y
        return mean_y * amount / mean_x if mean_x and amount else None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / n / spread
    start = mean_y - slope * mean_x
    if slope < 0:
        return mean_y
    if start < 0:
        return amount * sum(x * y for x, y in points) / sum(x * x for x, _ in points)
    return start + slope * amount


def records(lake: Lake) -> Counter[date]:
    """Return how many records of RAW were read for each night that was cleaned."""
    rows = lake.read(Ledger, where=pc.starts_with(pc.field("step"), "clean_"), columns=["date", "step", "rows_in"])
    found = Counter[date]()
    for row in rows.to_pylist():
        if row["step"] != "clean_media":
            found[row["date"]] += row["rows_in"]
    return found


def _runs(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """The last runs of steps that have done their work, by step, ascending by night."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = lake.read(Costs, where=pc.field("outcome") == "done", columns=["date", "step", "began", "wall_s"])
    for row in rows.sort_by("date").to_pylist():
        found.setdefault(row["step"], []).append(row)
    return found


def _extracted(
    lake: Lake, medium: Medium, fingerprints: Sequence[str], runs: Sequence[Mapping[str, Any]]
) -> Iterator[Point]:
    """Yield of each run how many contents it added to the store, and how many seconds it took.

    A run counts if it ran under these encoders and no others, and if all that the store has of its night was committed
    while it ran: what an earlier run had extracted, or what was merged since, would be taken for its own.
    """
    under, committed = _encoders(lake, medium), list(_committed(lake, medium, fingerprints))
    contents = sum((nights for _, nights in committed), Counter[date]())
    for run in runs:
        night, began = run["date"], run["began"]
        until = began + timedelta(seconds=run["wall_s"])
        own = sum(nights[night] for when, nights in committed if began <= when <= until)
        if under.get(night) == set(fingerprints) and own == contents[night]:
            yield own, run["wall_s"]


def _committed(lake: Lake, medium: Medium, fingerprints: Sequence[str]) -> Iterator[tuple[datetime, Counter[date]]]:
    """Yield when each file of the store under these encoders was committed, and how many contents of which night it
    holds."""
    store = FEATURES[medium]
    delta, (filesystem, root) = lake.delta(store), lake.filesystem(store)
    if delta is None:
        return
    for fingerprint in fingerprints:
        for file in live_files(delta, {"encoder": fingerprint}).select(["path", "modification_time"]).to_pylist():
            nights = Counter[date]()
            for batch in parquet.batches(filesystem, f"{root}/{file['path']}", columns=["date"]):
                nights.update(batch["date"].to_pylist())
            yield datetime.fromtimestamp(file["modification_time"] / 1000, UTC), nights


def _encoders(lake: Lake, medium: Medium) -> dict[date, set[str]]:
    """Night → the fingerprints of the encoders under which its contents were extracted."""
    step = pc.field("step")
    rows = lake.read(Ledger, where=pc.starts_with(step, f"extract_{medium}"), columns=["date", "encoder"])
    found: dict[date, set[str]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["date"], set()).add(row["encoder"])
    return found
