"""The fields of the records in a landing zone: the input contract."""

from typing import Literal

ItemField = Literal[
    "item_id", "title", "description", "category", "tags", "language", "price", "attributes", "image_uris",
    "audio_uris", "video_uris", "updated_at", "deleted",
]  # fmt: skip
InteractionField = Literal["user_id", "item_id", "timestamp", "event", "value", "text"]
LISTS = frozenset({"tags", "image_uris", "audio_uris", "video_uris"})
"""Fields that are lists."""
