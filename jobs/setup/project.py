"""A project of one's own to begin with: a configuration, a small landing zone in every record format, a first page."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.demo.encode import encode_video
from jobs.demo.pictures import picture, write_picture
from jobs.demo.sounds import tune, write_sound
from jobs.demo.traits import stream
from jobs.demo.videos import FPS, clip
from jobs.landing.writing import (
    INTERACTION_COLUMNS,
    ITEM_SCHEMA,
    create_partition,
    not_free,
    write_csv,
    write_jsonl,
    write_parquet,
)
from jobs.runtime.night import UserError

TEMPLATE = Path(__file__).parent / "template"
NIGHT = date(2026, 11, 1)
SEED = 19
KINDS = ("mug", "lamp", "vase", "bag")
COLOURS = ("red", "blue", "green", "yellow")
"""By their places these are `jobs.demo.pictures.KINDS` and `PALETTES`."""
USERS = 24
INTERACTION_SCHEMA = pa.schema(
    [(name, pa.float64() if name == "value" else pa.string()) for name in INTERACTION_COLUMNS if name != "text"]
)


@dataclass(frozen=True)
class _Item:
    """The item of a kind and a colour, by their places."""

    kind: int
    colour: int

    @property
    def item_id(self) -> str:
        return f"{KINDS[self.kind]}-{COLOURS[self.colour]}"

    @property
    def sounds(self) -> bool:
        return self.colour in (0, 1)

    @property
    def moves(self) -> bool:
        return self.colour == 0

    def row(self) -> dict[str, Any]:
        kind, colour = KINDS[self.kind], COLOURS[self.colour]
        return {
            "item_id": self.item_id,
            "title": f"{colour.capitalize()} {kind}",
            "description": f"A {kind} in {colour}, made by hand.",
            "category": f"{kind}s",
            "tags": [colour, "handmade"],
            "price": 9.5 + 10 * self.kind + self.colour,
            "image_uris": [f"media/image/{self.item_id}.png"],
            "audio_uris": [f"media/audio/{self.item_id}.wav"] if self.sounds else [],
            "video_uris": [f"media/video/{self.item_id}.mp4"] if self.moves else [],
        }


ITEMS = tuple(_Item(kind, colour) for kind in range(len(KINDS)) for colour in range(len(COLOURS)))


def write_project(folder: Path) -> None:
    """Write a project into a folder: `nightweave.yaml`, `README.md` and `raw/`; the same bytes each time.

    Raises:
        UserError: the folder is a file, holds anything, or cannot be made.
    """
    if wrong := not_free(folder):
        raise UserError(wrong)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; give a folder that can") from None
    for name in ("nightweave.yaml", "README.md"):
        shutil.copyfile(TEMPLATE / name, folder / name)
    raw = folder / "raw"
    _write_records(raw)
    _write_media(raw)


def _write_records(raw: Path) -> None:
    """Items and events, each in three files of three formats."""
    items = [item.row() for item in ITEMS]
    folder = create_partition(raw, "items", NIGHT)
    write_jsonl(folder / "mugs.jsonl", items[:4])
    write_csv(folder / "lamps.csv", items[4:8], items[4])
    write_parquet(folder / "others.parquet", items[8:], ITEM_SCHEMA)
    events = list(_events())
    third = len(events) // 3
    folder = create_partition(raw, "interactions", NIGHT)
    write_jsonl(folder / "app.jsonl", events[:third])
    write_csv(folder / "web.csv", events[third : 2 * third], INTERACTION_SCHEMA.names)
    write_parquet(folder / "till.parquet", events[2 * third :], INTERACTION_SCHEMA)


def _events() -> Iterator[dict[str, Any]]:
    """What people do in the month before the night: each prefers a kind and a colour."""
    rng = stream(SEED, "events")
    end = datetime.combine(NIGHT, datetime.min.time(), UTC)
    for user in range(USERS):
        kind, colour = user % len(KINDS), user // len(KINDS) % len(COLOURS)
        liked = [item for item in ITEMS if (item.kind == kind) != (item.colour == colour)]
        others = [item for item in ITEMS if item not in liked]
        chosen = [liked[i] for i in rng.permutation(len(liked))[:5]] + [others[rng.integers(len(others))]]
        for item in chosen:
            moment = end - timedelta(minutes=int(rng.integers(1, 30 * 24 * 60)))
            event = {"user_id": f"user-{user:02}", "item_id": item.item_id, "timestamp": moment.isoformat()}
            yield event | {"event": "view"}
            if item in liked:
                later = event | {"timestamp": (moment + timedelta(minutes=5)).isoformat()}
                yield later | ({"event": "purchase"} if rng.random() < 0.5 else {"event": "rating", "value": 5.0})


def _write_media(raw: Path) -> None:
    for kind in ("image", "audio", "video"):
        (raw / "media" / kind).mkdir(parents=True)
    for number, item in enumerate(ITEMS):
        row, light = item.row(), 0.5 - item.colour / 3
        rng = stream(SEED, "media", number)
        drawn = picture(rng, kind=item.kind, palette=item.colour, texture=0, count=0, daylight=light)
        write_picture(raw / row["image_uris"][0], drawn)
        for path in row["audio_uris"]:
            write_sound(raw / path, tune(rng, timbre=item.kind, tempo=light, daylight=light))
        for path in row["video_uris"]:
            frames = clip(rng, pattern=item.kind, direction=item.kind, speed=light, daylight=light)
            encode_video(raw / path, frames, FPS)
