"""Faults of real exports, put into clean rows. A row lists the names of its faults, so that they can be counted."""

import html
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

from jobs.demo.texts import pick

Content = dict[str, Any]
DAY = 86_400
LISTS = ("tags", "image_uris", "audio_uris", "video_uris")


@dataclass(frozen=True)
class Row:
    """A row of an export: its fields, or a line that is not JSON, and the names of its faults."""

    content: Content | str
    faults: tuple[str, ...] = ()

    def with_fault(self, name: str) -> "Row":
        return replace(self, faults=(*self.faults, name))


def counted(rows: Iterable[Row], counts: Counter[str]) -> Iterator[Content | str]:
    """Yield the rows' contents, adding to `counts` their faults, and the rows themselves under `""`."""
    for row in rows:
        counts.update(("", *row.faults))
        yield row.content


def timestamp(seconds: int, notation: int) -> str | int:
    """Return an instant in one of four notations: UTC with Z, UTC+8 with its offset, epoch seconds or milliseconds."""
    if notation == 0:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if notation == 1:
        return datetime.fromtimestamp(seconds, timezone(timedelta(hours=8))).isoformat()
    return seconds if notation == 2 else seconds * 1000


def messy_item(row: Content, rng: np.random.Generator) -> Row:
    """Return the row with some of: a price as text, a bare string for a list, HTML in a text, an unknown column."""
    row, faults = dict(row), []
    if "price" in row and rng.random() < 0.4:
        row["price"] = pick(rng, ("{:,.2f}", "¥ {:.0f}", "${:,.2f}")).format(row["price"])
        faults.append("string_price")
    if "description" in row and rng.random() < 0.08:
        frame = pick(rng, ("<p>{}</p>", "&ldquo;{}&rdquo;", "{}<br/>&nbsp;&#8212; Nightweave &amp; Co."))
        row["description"] = frame.format(html.escape(row["description"]))
        faults.append("html_text")
    single = [name for name in LISTS if len(row.get(name, ())) == 1]
    if single and rng.random() < 0.1:
        name = pick(rng, single)
        row[name] = row[name][0]
        faults.append("bare_string")
    if rng.random() < 0.06:
        row["warehouse_shelf"] = f"{pick(rng, 'ABCDEF')}{rng.integers(1, 40)}"
        faults.append("unknown_column")
    return Row(row, tuple(faults))


def _broken_json(row: Content) -> str:
    return json.dumps(row, ensure_ascii=False)[:-9]


def _without_id(row: Content) -> Content:
    return {name: value for name, value in row.items() if name != "item_id"}


_ITEM_DAMAGE: dict[str, Callable[[Content], Content | str]] = {
    "item_broken_json": _broken_json,
    "item_wrong_type": lambda row: row | {"title": {"text": row.get("title"), "html": False}},
    "item_missing_id": _without_id,
    "item_path_escape": lambda row: row | {"image_uris": ["../../outside/catalog.png"]},
}
_INTERACTION_DAMAGE: dict[str, Callable[[Content], Content | str]] = {
    "interaction_broken_json": _broken_json,
    "interaction_unknown_event": lambda row: row | {"event": "hover"},
    "interaction_missing_item_id": _without_id,
    "interaction_bad_timestamp": lambda row: row | {"timestamp": "yesterday evening"},
}
MALFORMED_ITEMS = tuple(_ITEM_DAMAGE)
MALFORMED_INTERACTIONS = tuple(_INTERACTION_DAMAGE)


def damaged(row: Content, name: str) -> Row:
    """Return a malformed version of `row`; `name` is one of `MALFORMED_ITEMS` or `MALFORMED_INTERACTIONS`."""
    return Row((_ITEM_DAMAGE | _INTERACTION_DAMAGE)[name](row), (name,))
