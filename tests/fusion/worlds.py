"""Small worlds for the tests: catalogs and histories made from a seed, with a known reason for every like."""

from dataclasses import replace

import numpy as np

from fusion.data.catalog import Catalog, History, Sequences
from fusion.ranking.rank_aggregation import block_scores
from schemas.table import MODALITIES


def catalog_of(text=None, *, n=None, ids=None, masks=None, categories=(), **others) -> Catalog:
    """A catalog whose modalities are what is given; one not given is there for no item."""
    given = {m: np.asarray(v, np.float32) for m, v in {"text": text, **others}.items() if v is not None}
    n = n if n is not None else len(next(iter(given.values())))
    ids = np.array([f"i{k:04d}" for k in range(n)]) if ids is None else np.asarray(ids, np.str_)
    hidden = masks or {}
    mask = {m: np.asarray(hidden.get(m, np.full(n, m in given)), np.bool_) for m in MODALITIES}
    vectors = {m: given.get(m, np.zeros((n, 3), np.float32)) * mask[m][:, None] for m in MODALITIES}
    return Catalog(ids, vectors, mask, np.asarray(categories, np.str_))


def history_of(rows, *, users=None) -> History:
    """A history from (user, item, timestamp[, weight[, rating]]) tuples."""
    rows = [(*row, *(1.0, np.nan)[len(row) - 3 :]) for row in rows]
    rows.sort(key=lambda row: (row[0], row[2], row[1]))
    user, item, timestamp, weight, rating = (np.array([row[c] for row in rows]) for c in range(5))
    n = users if users is not None else (max((row[0] for row in rows), default=-1) + 1)
    ids = np.array([f"u{k:04d}" for k in range(n)], np.str_)
    return History(
        ids,
        user.astype(np.int32),
        item.astype(np.int32),
        timestamp.astype(np.int64),
        weight.astype(np.float32),
        rating.astype(np.float32),
    )


def tastes(*, users=80, items=60, likes=12, groups=4, seed=0) -> tuple[Catalog, History]:
    """Users who like only items of their own group, which is the item's category; text and image tell it, with noise.
    Every second item gets 5 stars from whoever likes it, the others 4."""
    random = np.random.default_rng(seed)
    group = np.arange(items) % groups
    text = np.eye(groups)[group] * 3 + random.normal(size=(items, groups)) * 0.3
    image = np.eye(groups)[group] * 3 + random.normal(size=(items, groups)) * 0.6
    rows = []
    for user in range(users):
        own = np.nonzero(group == user % groups)[0]
        for at, item in enumerate(random.choice(own, min(likes, len(own)), replace=False)):
            rows.append((user, int(item), at * 1000 + user, 1.0, 4 + item // groups % 2))
    return catalog_of(text, image=image, categories=[f"group {g}" for g in group]), history_of(rows, users=users)


def courses(*, items=60, seed=0) -> tuple[Catalog, History]:
    """Films whose frames are the same in all groups but for their order, so that only a reader of time can tell."""
    catalog, history = tastes(items=items, likes=min(12, items // 4))
    n, group = len(catalog), np.arange(len(catalog)) % 4
    frames = np.zeros((n, 4, 4), np.float32)
    for step in range(4):
        frames[np.arange(n), step, (group + step) % 4] = 1
    random = np.random.default_rng(seed)
    frames += random.normal(size=frames.shape).astype(np.float32) * 0.1
    catalog = catalog_of(random.normal(size=(n, 3)), video=frames.mean(axis=1), categories=catalog.categories)
    return replace(catalog, sequences={"video": Sequences(frames, np.full(n, 4, np.int32), np.arange(n))}), history


def contributions(users, items, blocks):
    """Block → float32 [n]: what it adds to the score of row i of the items for row i of the users."""
    return {name: np.diagonal(scores) for name, scores in block_scores(users, items, blocks).items()}
