"""The demo shop written as a landing zone."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from jobs.demo import interactions, items
from jobs.demo.behaviour import Events, simulate
from jobs.demo.media import KINDS, write_media
from jobs.demo.mess import Content, Row, counted
from jobs.demo.plan import MISSING_SHARES, Plan, plan_catalog
from jobs.demo.traits import looks_like
from jobs.landing.raw import LandingZoneError
from jobs.landing.writing import (
    INTERACTION_COLUMNS,
    ITEM_SCHEMA,
    Summary,
    create_partition,
    create_raw,
    write_csv,
    write_jsonl,
    write_parquet,
)

ITEMS, USERS, NIGHTS, SEED = 240, 200, 3, 7
FIRST_NIGHT = date(2026, 11, 1)
FEWEST_ITEMS = 20
ROWS_PER_FILE = 20_000


def write_catalog(
    raw: Path,
    *,
    items: int = ITEMS,
    users: int = USERS,
    nights: int = NIGHTS,
    seed: int = SEED,
    first_night: date = FIRST_NIGHT,
    media: bool = True,
    progress: bool = True,
) -> Summary:
    """Generate a shop's catalog and its users' events, and write them under `raw` as a landing zone.

    The same arguments give the same bytes in every file. Nothing is written outside `raw`.

    Args:
        raw: a folder that is new or empty.
        nights: partitions of consecutive days; the first holds 80% of the items and 60 days of history.
        media: if False, items have text only, no media files and no URIs.

    Returns:
        A summary, in which `planted` counts item rows (`duplicate_item`, `changed_item`, `deleted_item`,
        `item_broken_json`, `item_wrong_type`, `item_missing_id`, `item_path_escape`, `string_price`, `html_text`,
        `bare_string`), interaction rows (`duplicate_interaction`, `late_interaction`, `interaction_broken_json`,
        `interaction_unknown_event`, `interaction_missing_item_id`, `interaction_bad_timestamp`), rows of both
        (`unknown_column`), items (`missing_text`, `missing_image`, `missing_audio`, `missing_video`, `cold_item`)
        and files (`truncated_picture`, `silent_sound`, `shared_picture`). Names that would count 0 are absent.

    Raises:
        LandingZoneError: `raw` is not empty, a number is out of range, or ffmpeg cannot encode.
    """
    _check(items=items, users=users, nights=nights, seed=seed)
    create_raw(raw)
    plan = plan_catalog(items, nights, seed, media=media)
    days = tuple(first_night + timedelta(days=night) for night in range(nights))
    write_media(raw, plan, progress=progress)
    events = simulate(plan, users, _midnight(days[0]), progress=progress)
    about_items, about_interactions = Counter[str](), Counter[str]()
    for night, day in enumerate(tqdm(days, desc="nights", unit="night", disable=not progress)):
        _write_items(create_partition(raw, "items", day), plan, night, _midnight(day), about_items)
        _write_interactions(create_partition(raw, "interactions", day), plan, events, night, about_interactions)
    return Summary(
        items=items,
        users=users,
        nights=days,
        item_rows=about_items.pop(""),
        interaction_rows=about_interactions.pop("", 0),
        media={kind: sum(1 for _ in (raw / "media" / kind).glob("*")) for kind in KINDS},
        planted=dict(about_items + about_interactions + _missing(plan)),
    )


def _check(*, items: int, users: int, nights: int, seed: int) -> None:
    least = {"items": (items, FEWEST_ITEMS), "users": (users, 1), "nights": (nights, 1), "seed": (seed, 0)}
    for name, (given, smallest) in least.items():
        if given < smallest:
            raise LandingZoneError(f"{name} is {given}; give {smallest} or more")


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _missing(plan: Plan) -> Counter[str]:
    counts = Counter({f"missing_{modality}": int((~plan.has[modality]).sum()) for modality in MISSING_SHARES})
    variants = [item for item in range(plan.items) if looks_like(item) != item]
    pictures = plan.has["image"]
    counts["cold_item"] = int(plan.cold.sum())
    counts["truncated_picture"] = int(plan.truncated.sum())
    counts["silent_sound"] = int(plan.silent.sum())
    counts["shared_picture"] = sum(bool(pictures[item] and pictures[looks_like(item)]) for item in variants)
    return counts


def _write_items(folder: Path, plan: Plan, night: int, midnight: int, counts: Counter[str]) -> None:
    places = items.split_by_format(plan, night)
    arriving = items.arriving_rows(plan, places["jsonl"].tolist(), midnight)
    _write_lines(folder, chain(arriving, items.later_rows(plan, night, midnight)), counts)
    if len(places["csv"]):
        rows = items.arriving_rows(plan, places["csv"].tolist(), midnight)
        write_csv(folder / "part-csv.csv", _fields(rows, counts), [*ITEM_SCHEMA.names, "warehouse_shelf"])
    if len(places["parquet"]):
        rows = items.tidy_rows(plan, places["parquet"].tolist(), midnight)
        write_parquet(folder / "part-parquet.parquet", _fields(rows, counts), ITEM_SCHEMA)


def _write_interactions(folder: Path, plan: Plan, events: Events, night: int, counts: Counter[str]) -> None:
    places = interactions.split_by_format(events, night, plan.nights)
    _write_lines(folder, interactions.rows(plan, events, places["jsonl"], malformed=True), counts)
    if len(places["csv"]):
        rows = interactions.rows(plan, events, places["csv"], malformed=False)
        write_csv(folder / "part-csv.csv", _fields(rows, counts), [*INTERACTION_COLUMNS, "session"])


def _fields(rows: Iterable[Row], counts: Counter[str]) -> Iterator[Content]:
    """The rows' fields; broken lines, which these formats cannot hold, are left out."""
    return (content for content in counted(rows, counts) if not isinstance(content, str))


def _write_lines(folder: Path, rows: Iterable[Row], counts: Counter[str]) -> None:
    """JSON Lines, `ROWS_PER_FILE` to a file."""
    stream = iter(rows)
    for number, first in enumerate(stream):
        block = chain([first], islice(stream, ROWS_PER_FILE - 1))
        write_jsonl(folder / f"part-{number:05d}.jsonl", counted(block, counts))
