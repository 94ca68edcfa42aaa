"""What the tables of a lake of `tests.faults.small_nights` must hold, in plain Python: dicts, sets and counts.

It says what every operation does to what readers see, or that it is refused. How that is done, by which files and
commits, is not its business.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from schemas.tables import NEWCOMER
from tests.faults.small_nights import BAD

WEIGHTS = {"like": 1.0, "view": 0.5, "dislike": 0.0}
EXPLICIT = ("like", "dislike")
Rows = dict[str, list[tuple]]
"""Table → the compared columns of its rows of one night, ascending."""


@dataclass(frozen=True, order=True)
class Item:
    """A record of an item; without a title it is deleted."""

    item: str
    title: str | None


@dataclass(frozen=True, order=True)
class Event:
    """A record of an event; `minute` is counted from the first moment at which there are any."""

    user: str
    item: str
    event: str
    minute: int


@dataclass
class Brought:
    """What RAW has of a night, in order, and how many lines of the items are no records."""

    items: list[Item] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    broken: int = 0


@dataclass(frozen=True)
class Settings:
    """What configurations differ in."""

    scale: int = 1
    k: int = 3


@dataclass(eq=False)
class Made:
    """A night as one run made it; `rows` lacks the tables of which the model does not know what they hold."""

    rows: Rows
    number: int = field(default_factory=count().__next__)

    def __deepcopy__(self, _: Any) -> "Made":
        return self


@dataclass
class Run:
    """What is staged of a night.

    Attributes:
        done: how far it came: cleaned and extracted, or made and audited; or it was torn at an unknown place.
        made: what its publishing may show; of a torn one several.
        publish: whether later nights wait for it.
    """

    done: Literal["cleaned", "made", "torn"]
    settings: Settings
    publish: bool
    items: dict[str, Item] = field(default_factory=dict)
    events: set[Event] = field(default_factory=set)
    made: list[Made] = field(default_factory=list)
    cleaned: Rows = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A change of what readers see of a night: what they see since, and what they saw before."""

    night: str
    action: Literal["publish", "rollback"]
    made: Made | None
    before: Made | None


class Refused(Exception):
    """The operation is refused, and an error says so."""


@dataclass
class Model:
    """A landing zone, a lake, and the configuration.

    Attributes:
        unfinished: whether the last change is recorded and not carried out; readers see what they saw before it.
        store: the features of texts, by scale of the encoder and content key.
        reextracted: by night, what re-extractions up to it have left in its quarantine and ledger.
        gone: numbers of nights made of which files are no more; `perhaps` of which they may be.
    """

    settings: Settings = Settings()
    raw: dict[str, Brought] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    unfinished: bool = False
    staged: dict[str, Run] = field(default_factory=dict)
    store: set[tuple[int, str]] = field(default_factory=set)
    reextracted: dict[str, Rows] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    perhaps: set[int] = field(default_factory=set)

    def copy(self) -> "Model":
        return deepcopy(self)

    def seen(self) -> dict[str, Made]:
        """The nights that readers see."""
        nights: dict[str, Made] = {}
        for change in self.changes[: -1 if self.unfinished else None]:
            nights.pop(change.night, None)
            if change.made:
                nights[change.night] = change.made
        return nights

    def shown(self) -> dict[str, Rows]:
        """Night → what readers see of it."""
        shown = {night: dict(made.rows) for night, made in self.seen().items()}
        for night, rows in self.reextracted.items():
            if not any(rows.values()):
                continue
            here = shown.setdefault(night, {name: [] for name in TABLES})
            for name, more in rows.items():
                here[name] = sorted([*here[name], *more])
        return shown

    # what is done to the lake

    def prepare(self, night: str, *, publish: bool = True) -> None:
        """Clean a night, and extract its texts."""
        if night not in self.raw:
            raise Refused("has not arrived")
        self.carry_out()
        brought = self.raw[night]
        items = {item.item: item for item in brought.items}
        events = set(brought.events)
        run = self.staged[night] = Run("cleaned", self.settings, publish, items, events)
        texts = {item.title for item in items.values() if item.title}
        refused = sorted(key_of(text) for text in texts if BAD in text)
        self.extract({text for item in [*self._versions(night), *items.values()] if (text := item.title)})
        same = [record for record in brought.items if items[record.item] == record]
        lines, kept = len(brought.items) + brought.broken, len(items)
        superseded = len(brought.items) - len(same)
        run.cleaned = {
            "items": sorted((item.item, item.title or "", item.title is None) for item in items.values()),
            "interactions": sorted((e.user, e.item, e.event, e.minute) for e in events),
            "quarantine": sorted(
                [("clean_items", "not_json", "")] * brought.broken
                + [("extract_text", "odd", content) for content in refused]
            ),
            "ledger": sorted(
                [
                    ("clean_items", lines, kept, brought.broken, len(same) - kept, superseded),
                    ("clean_media", 0, 0, 0, 0, 0),
                    ("clean_interactions", len(brought.events), len(events), 0, len(brought.events) - len(events), 0),
                    ("extract_text", len(texts), len(texts) - len(refused), len(refused), 0, 0),
                ]
            ),
        }

    def finish(self, night: str) -> None:
        """Train, evaluate, recommend and verify a night that was prepared."""
        run = self.staged[night]
        if run.settings != self.settings:
            raise Refused("since its first step")
        self.carry_out()
        seen = self.seen()
        waits = {n for n in self.raw if n < night and (n not in seen or (n in self.staged and self.staged[n].publish))}
        if waits:
            raise Refused("looks back on nights that are not complete")
        learnt = self._learnt(night, run)
        accounts = sorted([*run.cleaned["ledger"], *learnt.get("ledger", ())])
        run.done, run.made = "made", [Made(run.cleaned | learnt | {"ledger": accounts})]

    def publish(self, night: str) -> None:
        """Show readers what is staged, or what a rollback took away."""
        self.carry_out()
        of_night = [change for change in self.changes if change.night == night]
        if run := self.staged.get(night):
            if run.done != "made":
                raise Refused("was not audited")
            (made,) = run.made
            del self.staged[night]
        elif not of_night:
            raise Refused("nothing of the night")
        elif of_night[-1].action == "publish":
            return
        else:
            made = of_night[-1].before
        self._show(night, "publish", made)

    def night(self, night: str) -> None:
        """All of it."""
        self.prepare(night)
        self.finish(night)
        self.publish(night)

    def rollback(self, night: str) -> None:
        """Take readers back to what they saw before the night was last published; once, where this was begun."""
        last = self.changes[-1] if self.unfinished else None
        self.carry_out()
        if last and (last.night, last.action) == (night, "rollback"):
            return
        in_force: list[Change] = []
        for change in self.changes:
            if change.night == night:
                in_force = [*in_force, change] if change.action == "publish" else in_force[:-1]
        if not in_force:
            raise Refused("was not published")
        self._show(night, "rollback", in_force[-1].before)

    def discard(self, night: str) -> None:
        """Give up what is staged."""
        del self.staged[night]

    def reextract(self, night: str) -> None:
        """Extract all that is known as of a night."""
        known = {item.title for item in self._versions(night, own=True) if item.title}
        self.extract(known)
        refused = sorted(key_of(text) for text in known if BAD in text)
        self.reextracted[night] = {
            "quarantine": [("reextract_text", "odd", content) for content in refused],
            "ledger": [("reextract_text", len(known), len(known) - len(refused), len(refused), 0, 0)],
        }

    def maintain(self, _: str = "") -> None:
        """Remove what nobody needs, as if all of it were old."""
        self.carry_out()
        needed = {made.number for made in self.seen().values()}
        needed |= {made.number for run in self.staged.values() for made in run.made}
        made = {m.number for change in self.changes for m in (change.made, change.before) if m}
        self.gone |= made - needed
        self.perhaps -= self.gone

    def carry_out(self) -> None:
        """Carry out the last change, where the process that was to do so died; what it has published is staged no
        more."""
        if self.unfinished:
            self.unfinished = False
            last = self.changes[-1]
            if last.night in self.staged and last.made in self.staged[last.night].made and last.action == "publish":
                del self.staged[last.night]

    def extract(self, texts: Iterable[str]) -> None:
        self.store |= {(self.settings.scale, key_of(text)) for text in texts if BAD not in text}

    # what a night reads and learns

    def _show(self, night: str, action: Literal["publish", "rollback"], made: Made | None) -> None:
        if made and made.number in self.gone:
            raise Refused("files are gone")
        self.changes.append(Change(night, action, made, self.seen().get(night)))

    def _versions(self, night: str, *, own: bool = False) -> Iterator[Item]:
        """The versions of items that readers see of earlier nights, and, if asked, of the night."""
        for other, made in sorted(self.seen().items()):
            if other < night or (own and other == night):
                for item, title, deleted in made.rows["items"]:
                    yield Item(item, None if deleted else title)

    def _learnt(self, night: str, run: Run) -> Rows:
        catalog = {version.item: version for version in [*self._versions(night), *run.items.values()]}
        items = sorted(item for item, version in catalog.items() if version.title is not None)
        earlier = [Event(*row) for n, made in self.seen().items() if n < night for row in made.rows["interactions"]]
        events = [*earlier, *run.events]
        pairs: dict[tuple[str, str], list[Event]] = {}
        for event in events:
            pairs.setdefault((event.user, event.item), []).append(event)
        users = sorted({event.user for event in events} | {NEWCOMER})
        weights = {pair: _weight(theirs) for pair, theirs in pairs.items() if pair[1] in items}
        likes = Counter({item: 0.0 for item in items})
        for (_, item), weight in weights.items():
            likes[item] += weight
        placed: Rows = {"user_embeddings": [(user,) for user in users]}
        if not any(weights.values()):  # content alone is used, whose vectors the model does not know
            return placed
        new = [item for item in items if item not in {pair[1] for pair in weights}]
        best = sorted(items, key=lambda item: (-likes[item], item))
        shelves = []
        for user in users:
            of_all = [item for item in best if (user, item) not in pairs]
            for shelf, ranked in (("for_you", of_all), ("new_items", new)):
                places = enumerate(ranked[: run.settings.k], 1)
                shelves += [(user, shelf, rank, item, likes[item]) for rank, item in places]
        liked = [item for item in items if likes[item]]
        alike = [
            (item, rank, other, 0.5)  # one block with a cosine of 1, over 1 + 1
            for item in liked
            for rank, other in enumerate([other for other in liked if other != item][: run.settings.k], 1)
        ]
        served = len({row[0] for row in shelves})
        return placed | {
            "item_embeddings": [(item, likes[item], item in new) for item in items],
            "recommendations": sorted(shelves),
            "similar_items": sorted(alike),
            "ledger": [("recommend", len(users), served, 0, 0, len(users) - served)],
        }


TABLES = (
    "items",
    "interactions",
    "quarantine",
    "ledger",
    "item_embeddings",
    "user_embeddings",
    "recommendations",
    "similar_items",
)
"""The tables by night of which the model says what they hold."""


def key_of(text: str) -> str:
    """The content key of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _weight(events: list[Event]) -> float:
    """Of a user's events with an item: that of the strongest, 0 where the last that states an opinion is negative."""
    stated = [(event.minute, WEIGHTS[event.event]) for event in events if event.event in EXPLICIT]
    if stated and max(stated)[1] == 0:
        return 0.0
    return max(WEIGHTS[event.event] for event in events)
