"""The catalog's media files: their names and their making, item by item, in any order."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jobs.demo.encode import encode_video
from jobs.demo.pictures import picture, write_picture
from jobs.demo.plan import Plan
from jobs.demo.sounds import silence, tune, write_sound
from jobs.demo.traits import looks_like, stream
from jobs.demo.videos import FPS, clip

KINDS = ("image", "audio", "video")
_PICTURE_FORMATS = ("jpg", "png", "jpg", "webp")
_SOUND_FORMATS = ("wav", "flac", "wav", "mp3", "wav", "flac", "wav", "ogg")
_BATCH = 2_000
"""Items in the pool at once."""


def item_id(item: int) -> str:
    return f"sku-{item:06d}"


def uris(plan: Plan, item: int, *, version: int = 1) -> dict[str, list[str]]:
    """Return paths relative to RAW, by kind of media. A changed item's second version has a new first picture."""
    name = item_id(item)
    mark = f"-v{version}" if version > 1 else ""
    image = _PICTURE_FORMATS[looks_like(item) % len(_PICTURE_FORMATS)]
    sound = _SOUND_FORMATS[item % len(_SOUND_FORMATS)]
    files = {
        "image": [f"media/image/{name}{mark}.{image}"]
        + [f"media/image/{name}-b.{image}"] * int(plan.second_picture[item]),
        "audio": [f"media/audio/{name}.{sound}"],
        "video": [f"media/video/{name}.{'mkv' if item % 5 == 0 else 'mp4'}"],
    }
    return {kind: paths if plan.has[kind][item] else [] for kind, paths in files.items()}


def write_media(raw: Path, plan: Plan, *, progress: bool) -> None:
    """Write every file of the plan under RAW/media, on all cores."""
    for kind in KINDS:
        if plan.has[kind].any():
            (raw / "media" / kind).mkdir(parents=True)
    wanted = np.flatnonzero(np.any([plan.has[kind] for kind in KINDS], axis=0))
    with (
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
        tqdm(total=len(wanted), desc="media", unit="item", disable=not progress) as bar,
    ):
        for batch in _batches(wanted):
            for _ in pool.map(lambda item: _write_item(raw, plan, item), batch):
                bar.update()


def _batches(wanted: np.ndarray) -> Iterator[list[int]]:
    for start in range(0, len(wanted), _BATCH):
        yield [int(item) for item in wanted[start : start + _BATCH]]


def _write_item(raw: Path, plan: Plan, item: int) -> None:
    files = uris(plan, item)
    for number, path in enumerate(files["image"]):
        _write_picture(raw / path, plan, item, view=number)
    if files["image"] and plan.changed[item]:
        _write_picture(raw / uris(plan, item, version=2)["image"][0], plan, item, view=2)
    if plan.truncated[item]:
        _cut_short(raw / files["image"][0])
    for path in files["audio"]:
        _write_sound(raw / path, plan, item)
    for path in files["video"]:
        track = files["audio"][0] if files["audio"] and item % 3 == 0 and not plan.silent[item] else None
        _write_video(raw / path, plan, item, sound=raw / track if track else None)


def _write_picture(path: Path, plan: Plan, item: int, *, view: int) -> None:
    """Write one view of an item; view 0 of a variant has the same bytes as that of the item that it looks like."""
    source = looks_like(item) if view == 0 else item
    traits = {name: plan.trait(name, item) for name in ("kind", "palette", "texture", "count")}
    rng = stream(plan.seed, "picture", source, view)
    write_picture(path, picture(rng, **traits, daylight=plan.traits["daylight"][item]))


def _write_sound(path: Path, plan: Plan, item: int) -> None:
    tempo, daylight = plan.traits["tempo"][item], plan.traits["daylight"][item]
    rng = stream(plan.seed, "sound", item)
    samples = tune(rng, timbre=plan.trait("timbre", item), tempo=tempo, daylight=daylight)
    write_sound(path, silence() if plan.silent[item] else samples)


def _write_video(path: Path, plan: Plan, item: int, *, sound: Path | None) -> None:
    frames = clip(
        stream(plan.seed, "video", item),
        pattern=plan.trait("pattern", item),
        direction=plan.trait("direction", item),
        speed=plan.traits["speed"][item],
        daylight=plan.traits["daylight"][item],
    )
    encode_video(path, frames, FPS, sound=sound)


def _cut_short(path: Path) -> None:
    """Truncate a file to the first 45% of its bytes."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 45 // 100])
