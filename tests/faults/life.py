"""The life of a small lake, step by step: nights, a night made again, rolled back and published again, maintenance, a
changed encoder, a night given up, a repair."""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from jobs.maintenance import maintain
from jobs.reextract import run as reextract
from jobs.repair import repair_lake
from jobs.report import run as report
from lake import publication, staging, vacuum
from lake.lake import Lake
from schemas.config import Maintenance
from schemas.tables import Recommendations
from tests.faults.small_nights import BAD, STEPS, a_night, configuration, land

FIRST, SECOND, THIRD = NIGHTS = "2026-11-01", "2026-11-02", "2026-11-03"
RAW, LATE = "raw", "raw-late"
"""The landing zone as it was, and with what came late to the second night."""
PLAIN, CHANGED = "config", "changed"
"""The configuration, and one of another encoder of texts."""


@dataclass(frozen=True)
class Place:
    """A folder with landing zones and configurations, and where the lake is."""

    folder: Path
    lake: Path

    @property
    def tables(self) -> Lake:
        return Lake(str(self.lake))


@dataclass(frozen=True)
class Step:
    """What one process does to the lake.

    Attributes:
        of: the undertaking that it is a step of; run again, that begins with the first one.
        spared: whether it is the lake's fate, and no process of ours that could be killed.
    """

    of: str
    name: str
    run: Callable[[Place], object]
    spared: bool = False

    def __str__(self) -> str:
        return f"{self.of}: {self.name}"


def _night(of: str, date: str, *, raw: str = RAW, config: str = PLAIN, publish: bool = True) -> list[Step]:
    def step(run: Callable[..., object]) -> Callable[[Place], object]:
        return lambda place: run(a_night(date, place.folder / raw, place.lake, place.folder / f"{config}.yaml"))

    names = [name for name in STEPS if publish or name != "publish"]
    return [*(Step(of, name, step(STEPS[name])) for name in names), Step(of, "report", step(report))]


def maintain_all(place: Place) -> None:
    """As on a lake on which nothing is young and nothing runs."""
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    with mock.patch.object(vacuum, "old_before", lambda *_, **__: now):
        for _ in maintain(place.tables, Maintenance(), now=now):
            pass


def _reextract(place: Place) -> None:
    night = a_night(SECOND, place.folder / LATE, place.lake, place.folder / f"{CHANGED}.yaml")
    reextract(replace(night, lake=place.tables), modality="text", chunk=3)


def _repair(place: Place) -> None:
    for _ in repair_lake(place.tables):
        pass


def _damage(place: Place) -> None:
    """What the second night recommends is cut short."""
    for path in place.tables.files(Recommendations, {"date": SECOND})["path"].to_pylist():
        file = place.lake / Recommendations.name / path
        file.write_bytes(file.read_bytes()[:100])


def write_world(folder: Path) -> None:
    """The landing zones and the configurations."""
    for night, items, likes in (
        (FIRST, [("a", "a red lamp"), ("b", "a blue lamp"), ("c", BAD), ("d", "")], ["ua", "ub", "va", "wc"]),
        (SECOND, [("b", "a blue lamp, new"), ("e", "a green chair"), ("d", None)], ["vb", "xb", "xa", "ue"]),
        (THIRD, [("f", "a yellow chair")], ["xf", "ve"]),
    ):
        _land(folder / RAW, night, items, likes)
    shutil.copytree(folder / RAW, folder / LATE)
    _land(folder / LATE, SECOND, [("b", "a blue lamp, late"), ("g", "a late chair")], ["vb", "xb", "ug", "yg", "yb"])
    configuration(folder, name=PLAIN)
    configuration(folder, name=CHANGED, scale=2)


def _land(raw: Path, night: str, items: list[tuple[str, str | None]], likes: list[str]) -> None:
    """Items with their titles, None for one that is deleted; likes as a user's letter and an item's."""
    records = [
        {"item_id": i, "deleted": True} if title is None else {"item_id": i, "title": title} for i, title in items
    ]
    land(raw, "items", night, [*records, "no JSON"])
    events = [
        {"user_id": user, "item_id": item, "event": "like", "timestamp": f"{night}T{hour:02}:00:00Z"}
        for hour, (user, item) in enumerate(likes)
    ]
    land(raw, "interactions", night, [*events, events[-1]])


LIFE: tuple[Step, ...] = (
    *_night("the first night", FIRST),
    *_night("the second night", SECOND),
    *_night("the second night again", SECOND, raw=LATE),
    Step("a rollback", "rollback", lambda p: publication.rollback(p.tables, SECOND, actor="ada", reason="odd")),
    Step("published again", "publish", lambda p: publication.publish(p.tables, SECOND, actor="ada")),
    Step("maintenance", "maintenance", maintain_all),
    Step("a changed encoder", "reextract", _reextract),
    *_night("a night left staged", THIRD, raw=LATE, config=CHANGED, publish=False),
    Step("a night given up", "discard", lambda p: staging.discard(p.tables, THIRD)),
    Step("a damage", "damage", _damage, spared=True),
    Step("a repair", "repair", _repair),
)
BROKEN = ("a damage", "a repair")
"""What leaves a night broken, as it should."""
