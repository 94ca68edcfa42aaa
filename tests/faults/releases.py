"""A catalog in which new items are all that users want, so that content alone tells whom they are for."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

TOPICS, ITEMS, USERS, DAYS = 8, 240, 100, 60
WORDS = 12
"""Words that a topic has; a title is six of them."""


def write_releases(raw: Path, nights: tuple[str, str], *, seed: int) -> None:
    """Items come out one after the other over `DAYS` days before the second night; half of them, drawn for each user,
    are liked by those of their topic within two days. The first night brings all but the last ten days."""
    random = np.random.default_rng(seed)
    end = datetime.fromisoformat(nights[1]).replace(tzinfo=UTC)
    topic_of_item, topic_of_user = random.integers(TOPICS, size=ITEMS), random.integers(TOPICS, size=USERS)
    items: dict[str, list[dict]] = {night: [] for night in nights}
    likes: dict[str, list[dict]] = {night: [] for night in nights}
    for item, topic in enumerate(topic_of_item):
        out = end - timedelta(days=DAYS * (1 - item / ITEMS))
        night = nights[int(out > end - timedelta(days=10))]
        words = random.choice(WORDS, size=6, replace=False)
        title = " ".join(f"topic{topic}word{word}" for word in words)
        items[night].append({"item_id": f"i{item}", "title": title})
        for user in np.flatnonzero((topic_of_user == topic) & (random.random(USERS) < 0.5)):
            at = min(out + timedelta(days=2 * random.random()), end)
            likes[night].append(
                {"user_id": f"u{user}", "item_id": f"i{item}", "event": "like", "timestamp": at.isoformat()}
            )
    for kind, rows in (("items", items), ("interactions", likes)):
        for night in nights:
            folder = raw / kind / f"ds={night}"
            folder.mkdir(parents=True)
            (folder / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[night]))
