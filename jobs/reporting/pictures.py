"""Items as the page shows them: a title, a small picture, some seconds of sound; all inside the page."""

import base64
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import duckdb

from features.base import MediaError
from features.decoding.worker_pool import Decoders
from features.preview import TIMEOUT_S, Kind
from jobs.landing.raw import Raw, Refusal

log = logging.getLogger("nightweave.report")

PREVIEW = "features.preview:Preview"
MEMORY_BYTES = 4 << 30
LARGEST_FILE = 64 << 20
"""Bytes; of a larger file nothing is shown: the page is to be there soon."""
ROOM = 2_000_000
"""Characters that pictures and sounds may take in the page."""
SOUNDS = 12

ITEMS = """
    SELECT item_id, title, category, image_uris[1], image_keys[1], video_uris[1], video_keys[1], audio_uris[1],
        audio_keys[1]
    FROM latest WHERE item_id IN (SELECT unnest($items))
"""
TYPES = {"image": "image/webp", "video": "image/webp", "audio": "audio/mpeg"}


@dataclass(frozen=True)
class Media:
    """An item's title, and the first file of each kind, as (path relative to RAW, SHA-256)."""

    title: str
    category: str | None
    files: dict[Kind, tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """An item at one place of the page.

    Attributes:
        title: its title, else its identifier.
        picture: a data URI; None where there is none to show.
        film: the picture is the first frame of a film.
        sound: a data URI of some seconds of sound, once a page for each item; None without.
        has: the kinds of files that it has.
    """

    item_id: str
    title: str
    category: str | None
    picture: str | None
    film: bool
    sound: str | None
    has: tuple[Kind, ...]


@dataclass
class Album:
    """The items of one page. Pictures and sounds take room in the order in which they are asked for; where it is used
    up, cards are without them.

    Args:
        raw: the landing zone; None for cards without pictures and sounds.
    """

    raw: Raw | None
    media: dict[str, Media] = field(default_factory=dict)
    left: int = ROOM
    _played: set[str] = field(default_factory=set)
    _previews: dict[tuple[Kind, str], str | None] = field(default_factory=dict)

    def load(self, connection: duckdb.DuckDBPyConnection, item_ids: Iterable[str]) -> None:
        """Read the items from the connection's table `latest`."""
        found = connection.execute(ITEMS, {"items": sorted(item_ids)}).fetchall()
        for item_id, title, category, *files in found:
            kinds: tuple[Kind, ...] = ("image", "video", "audio")
            pairs = zip(kinds, zip(files[::2], files[1::2], strict=True), strict=True)
            self.media[item_id] = Media(title, category, {kind: file for kind, file in pairs if file[0]})

    def card(self, item_id: str, *, playing: bool = False) -> Card:
        """An item's card; `playing` with its sound."""
        item = self.media.get(item_id, Media("", None, {}))
        shown = next((kind for kind in ("image", "video") if kind in item.files), None)
        picture = self._embedded(shown, item) if shown else None
        sound = None
        if playing and "audio" in item.files and item_id not in self._played and len(self._played) < SOUNDS:
            sound = self._embedded("audio", item)
            self._played |= {item_id} if sound else set()
        return Card(
            item_id,
            item.title or item_id,
            item.category,
            picture,
            shown == "video",
            sound,
            tuple(item.files),
        )

    def _embedded(self, kind: Kind, item: Media) -> str | None:
        """The file as a data URI; None where it cannot be shown, or there is no more room."""
        path, key = item.files[kind]
        if (kind, key) not in self._previews:
            self._previews[kind, key] = self._preview(kind, path, key) if self.raw and self.left > 0 else None
        found = self._previews[kind, key]
        if found is None or len(found) > self.left:
            return None
        self.left -= len(found)
        return found

    def _preview(self, kind: Kind, path: str, key: str) -> str | None:
        assert self.raw is not None
        try:
            with self.raw.local(path, key=key, max_bytes=LARGEST_FILE) as copy:
                content = _decoders(kind).decode(copy)
        except (MediaError, Refusal, OSError) as error:
            log.info("report: no preview of %s: %s", path, error)
            return None
        return f"data:{TYPES[kind]};base64,{base64.b64encode(content).decode()}"


@cache
def _decoders(kind: Kind) -> Decoders:
    return Decoders(PREVIEW, {"kind": kind}, timeout_s=2 * TIMEOUT_S, memory_bytes=MEMORY_BYTES)
