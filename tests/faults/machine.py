"""Random lives of a small lake beside a model of it: `python -m tests.faults.machine --steps 3000 --seed 1`.

Hypothesis draws what is landed, run, run again, out of order, configured, re-extracted, maintained, published, rolled
back, given up and killed. After each step readers must see what the model says. All is done in one process: a kill is
an exception at a boundary of the writes, after which that process writes nothing more (`tests.faults.boundaries`).
"""

import argparse
import itertools
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from jobs.reextract import run as reextract
from jobs.runtime.code import code_fingerprint
from jobs.runtime.night import Night, NightError
from jobs.verify import findings
from lake import publication, staging
from lake.lake import Lake
from lake.publication import PublicationError
from schemas.features import FeaturesText
from schemas.tables import TABLES as ALL_TABLES
from tests import toys
from tests.faults import foreign, life
from tests.faults.boundaries import Killed, watching
from tests.faults.model import TABLES, Brought, Event, Item, Made, Model, Refused, Rows, Run, Settings, key_of
from tests.faults.small_nights import BAD, STEPS, Words, a_night, configuration, land

NIGHTS = ("2026-11-01", "2026-11-02", "2026-11-03")
SETTINGS = {"plain": Settings(), "scaled": Settings(scale=2), "short": Settings(k=1)}
OPERATIONS = ("prepare", "finish", "publish", "night", "rollback", "discard", "reextract", "maintain")
PREPARE, FINISH = ("clean", "extract_text"), ("train", "evaluate", "recommend")

nights = st.sampled_from(NIGHTS)
TITLES = (None, "", "a lamp", "a chair", "a table", f"{BAD} one", f"{BAD} two")
items = st.builds(Item, st.sampled_from("abcd"), st.sampled_from(TITLES))
events = st.builds(
    Event,
    st.sampled_from(["ann", "bob", "cleo"]),
    st.sampled_from("abcde"),
    st.sampled_from(["like", "like", "view", "dislike"]),
    st.integers(0, 9),
)
"""What arrives; of the item `e` nothing is ever said."""


class Lives(RuleBasedStateMachine):
    """One life."""

    counts: ClassVar[Counter[str]] = Counter()
    """Of all lives, how often each thing was done."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nightweave-life-"))
        self.raw, self.place = self.folder / "raw", life.Place(self.folder, self.folder / "lake")
        self.raw.mkdir()
        for name, chosen in SETTINGS.items():
            configuration(self.folder, name=name, scale=chosen.scale, k=chosen.k)
        self.config, self.model = "plain", Model()
        for number, night in enumerate(NIGHTS):
            likes = [Event(user, item, "like", number) for user, item in (("ann", "a"), ("bob", "b"))]
            self.land(night, [Item("ab"[number % 2], "a lamp"), Item("cd"[number % 2], f"{BAD} one")], likes, 0)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @property
    def lake(self) -> Lake:
        return self.place.tables

    # what happens

    @rule(
        night=nights, items=st.lists(items, max_size=3), events=st.lists(events, max_size=4), broken=st.integers(0, 1)
    )
    def late(self, night: str, items: list[Item], events: list[Event], broken: int) -> None:
        """More comes of a night, which may have been made."""
        self.counts["late data"] += 1
        self.land(night, items, events, broken)

    def land(self, night: str, items: list[Item], events: list[Event], broken: int) -> None:
        """Bring more of a night."""
        brought = self.model.raw.setdefault(night, Brought())
        brought.items += items
        brought.events += events
        brought.broken += broken
        records = [
            {"item_id": one.item, "deleted": True} if one.title is None else {"item_id": one.item, "title": one.title}
            for one in brought.items
        ]
        land(self.raw, "items", night, [*records, *["no JSON"] * brought.broken])
        land(self.raw, "interactions", night, map(_event, brought.events))

    @rule(name=st.sampled_from(sorted(SETTINGS)))
    def configure(self, name: str) -> None:
        self.counts["configure"] += 1
        self.config, self.model.settings = name, SETTINGS[name]

    @rule(operation=st.sampled_from(OPERATIONS), night=nights)
    def operate(self, operation: str, night: str) -> None:
        if self._makes_sense(operation, night):
            self._do(operation, night)

    @rule(night=nights)
    def run_night(self, night: str) -> None:
        if self._makes_sense("night", night):
            self._do("night", night)

    @rule(operation=st.sampled_from(OPERATIONS), night=nights, where=st.integers(0, 99))
    def kill(self, operation: str, night: str, where: int) -> None:
        """Kill an operation at a boundary; `where` is about how far it has come, in hundredths."""
        if self._makes_sense(operation, night):
            self._do(operation, night, at=1 + where * LONGEST[operation] // 100)

    @rule()
    def verify(self) -> None:
        """What is promised holds in the whole lake, and others read what we read."""
        if not self.lake.exists():
            return
        self.counts["verify"] += 1
        assert [one for one in findings(self.lake)[1] if one.severity == "fail"] == []
        assert foreign.differences(self.lake) == []

    @invariant()
    def readers_see_what_the_model_says(self) -> None:
        if hasattr(self, "model"):
            shown = self.model.shown()
            found = shown_by(self.lake, shown)
            assert found == shown, [
                (night, name, found.get(night, {}).get(name), shown.get(night, {}).get(name))
                for night in found.keys() | shown.keys()
                for name in TABLES
                if found.get(night, {}).get(name) != shown.get(night, {}).get(name)
            ]
            assert features(self.lake) == self.model.store
            assert set(staging.nights(self.lake)) == set(self.model.staged)

    # how it is done

    def _makes_sense(self, operation: str, night: str) -> bool:
        run, changed = self.model.staged.get(night), {change.night for change in self.model.changes}
        match operation:
            case "finish":  # a step runs after those before it
                return run is not None and run.done != "torn"
            case "discard":
                return run is not None
            case "publish":
                return run is not None or night in changed
            case "rollback":
                return night in changed
            case "reextract":
                return not self.model.unfinished
        return True

    def _do(self, operation: str, night: str, *, at: int | None = None) -> None:
        before, after = self.model.copy(), self.model.copy()
        refused = said = None
        try:
            getattr(after, operation)(night)
        except Refused as refusal:
            refused = str(refusal)
        with watching(self.place.lake, at=at), same_code():
            try:
                getattr(self, f"_{operation}")(night)
            except (NightError, PublicationError) as error:
                said = str(error)
            except Killed:
                self.counts[f"{operation}, killed"] += 1
                self._look_up(before, after, operation, night)
                return
        self.counts[f"{operation}, refused" if said else operation] += 1
        settled = before.copy()
        settled.carry_out()
        run = settled.staged.get(night)
        if operation == "publish" and run and run.done != "made" and run.made:
            self.model = self._of_torn(settled, night, said)
        elif said and "are gone" in said and before.perhaps and after.changes[-1].made.number in before.perhaps:
            self.model = settled
        else:
            assert (said is None) == (refused is None), (said, refused)
            assert refused is None or refused in said
            self.model = after

    def _look_up(self, before: Model, after: Model, operation: str, night: str) -> None:
        """Of what a kill leaves uncertain, look up in the lake which it is; what it may be, the model says."""
        model, changes, staged = before.copy(), publication.history(self.lake), staging.nights(self.lake)
        assert len(changes) in (len(before.changes), len(after.changes))
        recorded = len(changes) > len(before.changes)
        if recorded:
            model.changes = after.changes
        model.unfinished = bool(changes) and changes[-1].versions is None
        model.store = features(self.lake)
        assert before.store <= model.store <= after.store
        model.perhaps |= after.gone - before.gone
        if operation == "reextract":
            model.reextracted[night] = self._reextracted(night)
            assert all(
                rows in (before.reextracted.get(night, {}).get(name, []), after.reextracted[night][name])
                for name, rows in model.reextracted[night].items()
            )
        touched = {before.changes[-1].night} if before.unfinished else set()
        if operation in ("prepare", "finish", "night", "discard") or (operation == "publish" and recorded):
            touched.add(night)
        assert set(staged) - touched == before.staged.keys() - touched
        for one in touched:
            was = model.staged.pop(one, None)
            if one in staged:
                done = "cleaned" if operation == "finish" and one == night else "torn"
                made = [*(was.made if was else ()), *(made_by(before, after, one))]
                open_ = one in staging.to_be_published(self.lake)
                run = was or after.staged.get(one) or Run("torn", self.model.settings, open_)
                model.staged[one] = replace(run, done=done, made=made, publish=open_)
        self.model = model

    def _of_torn(self, settled: Model, night: str, said: str | None) -> Model:
        """What is shown of a run that was killed at an unknown place: all of what it made, or of what was staged before
        it, or it is refused."""
        if said:
            assert "was not audited" in said
            return settled
        for made in settled.staged.pop(night).made:
            model = settled.copy()
            model._show(night, "publish", made)
            shown = model.shown()
            if shown_by(self.lake, shown) == shown:
                return model
        raise AssertionError("what was published is no night as it was made")

    def _reextracted(self, night: str) -> Rows:
        rows = rows_by(self.lake).get(night, {})
        found = {
            name: [row for row in rows.get(name, []) if row[0] == "reextract_text"] for name in ("quarantine", "ledger")
        }
        return found

    def _night_of(self, night: str) -> Night:
        return a_night(night, self.raw, self.place.lake, self.folder / f"{self.config}.yaml")

    def _prepare(self, night: str) -> None:
        for name in PREPARE:
            STEPS[name](self._night_of(night))

    def _finish(self, night: str) -> None:
        for name in FINISH:
            STEPS[name](self._night_of(night))
        # what `verify` does once it has read the night; the rule of that name reads
        staging.as_of(self.lake, night).record_audit(passed=True)

    def _publish(self, night: str) -> None:
        STEPS["publish"](self._night_of(night))

    def _night(self, night: str) -> None:
        self._prepare(night)
        self._finish(night)
        self._publish(night)

    def _rollback(self, night: str) -> None:
        publication.rollback(self.lake, night, actor="ada", reason="odd")

    def _discard(self, night: str) -> None:
        staging.discard(self.lake, night)

    def _reextract(self, night: str) -> None:
        reextract(replace(self._night_of(night), lake=self.lake), modality="text", chunk=2)

    def _maintain(self, _: str) -> None:
        life.maintain_all(self.place)


LONGEST = {
    "prepare": 150, "finish": 150, "publish": 60, "night": 350, "rollback": 60, "discard": 30, "reextract": 30,
    "maintain": 60,
}  # fmt: skip
"""About as many boundaries as an operation reaches."""


def same_code() -> AbstractContextManager[object]:
    """Within it, the fingerprint of the code, which stays, is computed once."""
    return mock.patch.multiple("jobs.runtime.agreement", code_fingerprint=_fingerprint_of_code)


_fingerprint_of_code = cache(code_fingerprint)


def made_by(before: Model, after: Model, night: str) -> list[Made]:
    """The night as the operation made it, if it came to that."""
    if len(after.changes) > len(before.changes) and after.changes[-1].made:
        return [after.changes[-1].made]
    return after.staged[night].made if night in after.staged else []


def _event(event: Event) -> dict[str, str]:
    at = f"2026-10-01T00:{event.minute:02}:00Z"
    return {"user_id": event.user, "item_id": event.item, "event": event.event, "timestamp": at}


READ: dict[str, Callable[[dict[str, Any]], tuple]] = {
    "items": lambda row: (row["item_id"], row["title"], row["deleted"]),
    "interactions": lambda row: (row["user_id"], row["item_id"], row["event"], row["timestamp"].minute),
    "quarantine": lambda row: (row["stage"], row["reason"], row["record_id"] or ""),
    "ledger": lambda row: tuple(row[c] for c in ("step", "rows_in", "kept", "refused", "duplicates", "superseded")),
    "item_embeddings": lambda row: (row["item_id"], next(iter(row["vector"]), None), row["is_new"]),
    "user_embeddings": lambda row: (row["user_id"],),
    "recommendations": lambda row: tuple(row[c] for c in ("user_id", "shelf", "rank", "item_id", "score")),
    "similar_items": lambda row: tuple(row[c] for c in ("item_id", "rank", "similar_item_id", "score")),
}
"""Table → what of a row the model compares."""


def rows_by(lake: Lake) -> dict[str, Rows]:
    """Night → what readers see of it."""
    tables = [ALL_TABLES[name] for name in TABLES]
    read = publication.as_readers_see(lake, lambda seen: [seen.read(table) for table in tables])
    shown: dict[str, Rows] = {}
    for table, rows in zip(tables, read, strict=True):
        for row in rows.to_pylist():
            night = shown.setdefault(str(row["date"]), {name: [] for name in TABLES})
            night[table.name].append(READ[table.name](row))
    return {night: {name: sorted(rows) for name, rows in tables.items()} for night, tables in shown.items()}


def shown_by(lake: Lake, expected: dict[str, Rows]) -> dict[str, Rows]:
    """Night → what readers see of it, as far as the model says what they should."""
    shown = rows_by(lake)
    for night, rows in shown.items():
        if "recommendations" not in (known := expected.get(night, rows)):
            rows["ledger"] = [row for row in rows["ledger"] if row[0] != "recommend"]
        shown[night] = {name: found for name, found in rows.items() if name in known}
    return shown


FINGERPRINTS = {Words(scale=chosen.scale).fingerprint: chosen.scale for chosen in SETTINGS.values()}
TEXTS = {key_of(text): text for text in TITLES if text}


def features(lake: Lake) -> set[tuple[int, str]]:
    """Scale and key of each text that the store has, each once; its vector must be that of the text."""
    found = set()
    for row in lake.read(FeaturesText, columns=["encoder", "content_key", "vector"]).to_pylist():
        scale, key = FINGERPRINTS[row["encoder"]], row["content_key"]
        counts = Counter(byte % toys.DIM for byte in TEXTS[key].encode())
        expected = [np.float32(scale * (counts[place] / counts.total())) for place in range(toys.DIM)]
        assert row["vector"] == expected
        assert (scale, key) not in found
        found.add((scale, key))
    return found


LIVES_AT_ONCE = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000, help="of all lives together, at least")
    parser.add_argument("--length", type=int, default=50, help="steps of a life")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", action="store_true", help="make a life that fails shorter; takes many minutes")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    many = settings(
        max_examples=LIVES_AT_ONCE,
        stateful_step_count=arguments.length,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.shrink] if arguments.shrink else [])],
    )
    for seed in itertools.count(arguments.seed):
        run_state_machine_as_test(seeded(seed)(Lives), settings=many)
        print(f"seed {seed}: {Lives.counts.total()} steps", flush=True)
        if Lives.counts.total() >= arguments.steps:
            break
    for what, number in sorted(Lives.counts.items()):
        print(f"{what:<24} {number:>6}")
    print(f"{'all':<24} {Lives.counts.total():>6}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
