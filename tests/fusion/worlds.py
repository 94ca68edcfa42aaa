"""Small worlds for the tests: catalogs and histories made from a seed, with a known reason for every like."""

import numpy as np

from fusion.data import Catalog, History
from schemas.table import MODALITIES


def catalog_of(text=None, *, n=None, ids=None, masks=None, **others) -> Catalog:
    """A catalog whose modalities are what is given; one not given is there for no item."""
    given = {m: np.asarray(v, np.float32) for m, v in {"text": text, **others}.items() if v is not None}
    n = n if n is not None else len(next(iter(given.values())))
    ids = np.array([f"i{k:04d}" for k in range(n)]) if ids is None else np.asarray(ids, np.str_)
    hidden = masks or {}
    mask = {m: np.asarray(hidden.get(m, np.full(n, m in given)), np.bool_) for m in MODALITIES}
    vectors = {m: given.get(m, np.zeros((n, 3), np.float32)) * mask[m][:, None] for m in MODALITIES}
    return Catalog(ids, vectors, mask)


def history_of(rows, *, users=None) -> History:
    """A history from (user, item, timestamp[, weight]) tuples."""
    rows = [(*row, 1.0)[:4] for row in rows]
    rows.sort(key=lambda row: (row[0], row[2], row[1]))
    user, item, timestamp, weight = (np.array([row[c] for row in rows]) for c in range(4))
    n = users if users is not None else (max((row[0] for row in rows), default=-1) + 1)
    ids = np.array([f"u{k:04d}" for k in range(n)], np.str_)
    return History(
        ids, user.astype(np.int32), item.astype(np.int32), timestamp.astype(np.int64), weight.astype(np.float32)
    )


def tastes(*, users=80, items=60, likes=12, groups=4, seed=0) -> tuple[Catalog, History]:
    """Users who like only items of their own group; text and image tell an item's group, with noise."""
    random = np.random.default_rng(seed)
    group = np.arange(items) % groups
    text = np.eye(groups)[group] * 3 + random.normal(size=(items, groups)) * 0.3
    image = np.eye(groups)[group] * 3 + random.normal(size=(items, groups)) * 0.6
    rows = []
    for user in range(users):
        own = np.nonzero(group == user % groups)[0]
        for at, item in enumerate(random.choice(own, min(likes, len(own)), replace=False)):
            rows.append((user, int(item), at * 1000 + user))
    return catalog_of(text, image=image), history_of(rows, users=users)
