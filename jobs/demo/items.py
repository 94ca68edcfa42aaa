"""Rows of `RAW/items`: each item on the night on which it arrives, changes or is withdrawn."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from jobs.demo.media import item_id, uris
from jobs.demo.mess import DAY, LISTS, MALFORMED_ITEMS, Content, Row, damaged, messy_item, timestamp
from jobs.demo.plan import Plan
from jobs.demo.texts import Topic, pick, wording
from jobs.demo.traits import stream

HISTORY_DAYS = 60
"""Days of history before the first night."""
_BRANDS = ("Nordhavn", "Lumo", "青禾", "Fable & Co", "Atelier 9", "山月")


def topic(plan: Plan, item: int) -> Topic:
    """Return the topic of the item's texts."""
    return Topic(
        theme=plan.trait("theme", item),
        occasion=plan.trait("occasion", item),
        kind=plan.trait("kind", item),
        daylight=plan.traits["daylight"][item],
    )


def clean_row(plan: Plan, item: int, midnight: int, *, version: int = 1) -> Content:
    """Return a row without faults; `midnight`, the start of the night's day, and `updated_at` are epoch seconds."""
    rng = stream(plan.seed, "item", item, version)
    language = pick(stream(plan.seed, "language", item), ("en", "zh"))
    row: Content = {"item_id": item_id(item)}
    if plan.has["text"][item]:
        words = wording(rng, language, topic(plan, item))
        row |= {"title": words.title, "description": words.description, "category": words.category, "tags": words.tags}
        if rng.random() < 0.7:
            row["language"] = language
    row["price"] = round(float(np.exp(rng.normal(4.2, 1.1))), 2)
    row["attributes"] = {"brand": pick(rng, _BRANDS), "weight_g": str(rng.integers(80, 4000))}
    row |= {f"{kind}_uris": paths for kind, paths in uris(plan, item, version=version).items()}
    past = int(rng.integers(HISTORY_DAYS)) if plan.arrival[item] == 0 and version == 1 else 0
    row["updated_at"] = midnight - past * DAY + int(rng.integers(DAY))
    row["deleted"] = False
    return row


def tidy_rows(plan: Plan, items: Iterable[int], midnight: int) -> Iterator[Row]:
    """Yield typed rows for Parquet, without faults but duplicates; `updated_at` is in microseconds since 1970, UTC."""
    for item in items:
        clean = clean_row(plan, item, midnight)
        typed = {"updated_at": clean["updated_at"] * 1_000_000, "attributes": list(clean["attributes"].items())}
        row = Row(clean | typed)
        yield row
        if plan.duplicated[item]:
            yield row.with_fault("duplicate_item")


def arriving_rows(plan: Plan, items: Iterable[int], midnight: int) -> Iterator[Row]:
    """Yield rows as a shop would export them. A malformed row is a day older than the good one after it."""
    names = dict(zip(np.flatnonzero(plan.broken).tolist(), _cycle(int(plan.broken.sum())), strict=True))
    for item in items:
        rng = stream(plan.seed, "mess", item)
        row = clean_row(plan, item, midnight)
        if item in names:
            yield damaged(_stamped(row | {"updated_at": row["updated_at"] - DAY}, 0), names[item])
        messy = messy_item(_stamped(_trimmed(row, rng), int(rng.integers(4))), rng)
        yield messy
        if plan.duplicated[item]:
            yield messy.with_fault("duplicate_item")


def later_rows(plan: Plan, night: int, midnight: int) -> Iterator[Row]:
    """Yield items that change on `night`, with a new title and picture, and items that are withdrawn."""
    for item in np.flatnonzero((plan.changed == night) & (night > 0)).tolist():
        rng = stream(plan.seed, "mess", item, night)
        row = _stamped(clean_row(plan, item, midnight, version=2), int(rng.integers(4)))
        yield messy_item(row, rng).with_fault("changed_item")
    for item in np.flatnonzero(plan.deleted == night).tolist():
        gone = {"item_id": item_id(item), "deleted": True, "updated_at": midnight + 20 * 3600}
        yield Row(_stamped(gone, item % 4), ("deleted_item",))


def split_by_format(plan: Plan, night: int) -> dict[str, NDArray[np.int64]]:
    """Return the night's new items by file format: JSON Lines, and some Parquet on the first night, CSV on the last."""
    arriving = np.flatnonzero(plan.arrival == night)
    turn = np.arange(len(arriving)) % 10
    parquet = (night == 0) & (turn == 9) & ~plan.broken[arriving]
    csv = (night == plan.nights - 1) & (turn % 5 == 1) & ~plan.broken[arriving]
    return {"jsonl": arriving[~parquet & ~csv], "csv": arriving[csv], "parquet": arriving[parquet]}


def _cycle(count: int) -> list[str]:
    return [MALFORMED_ITEMS[i % len(MALFORMED_ITEMS)] for i in range(count)]


def _stamped(row: Content, notation: int) -> Content:
    return row | {"updated_at": timestamp(row["updated_at"], notation)}


def _trimmed(row: Content, rng: np.random.Generator) -> Content:
    """A row with fewer tags, or without its empty fields, as some shops send it."""
    tags = int(rng.choice(3, p=(0.15, 0.25, 0.6)))
    row = {name: value[:tags] if name == "tags" else value for name, value in row.items()}
    if rng.random() < 0.5:
        row = {name: value for name, value in row.items() if value or name not in (*LISTS, "deleted")}
    return row
