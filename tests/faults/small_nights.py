"""Nights that take about a second: a few items with texts, a few users, a strategy that counts likes; every step in one
process, as `nightweave step` runs it without Spark."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from features.base import MediaError
from fusion.data.catalog import Catalog, History
from fusion.models.base import FitContext, Strategy, block_slices
from fusion.training.config import FitLog
from jobs import clean, evaluate, extract, recommend, train, verify
from jobs.runtime.agreement import check_agreement
from jobs.runtime.night import Night
from lake import publication
from lake.lake import Lake
from schemas.table import MEDIA, PARTS
from tests import toys

BAD = "unreadable"
"""A text that holds this is refused."""


class Words(toys.TextBytes):
    """Shares of bytes, scaled; refuses texts that say so."""

    name = "words"

    def __init__(self, *, scale: int = 1) -> None:
        self.scale = scale

    def parameters(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def decode(self, content: str | Path) -> bytes:
        if BAD in str(content):
            raise MediaError("odd", "it says so")
        return super().decode(content)

    def vector(self, data: bytes) -> np.ndarray:
        return self.scale * super().vector(data)


class Popular(Strategy):
    """score(u, i) = the sum of the weights of all likes of i."""

    name = "popular"

    def parameters(self) -> dict[str, Any]:
        return {}

    def _fit(self, context: FitContext) -> FitLog:
        likes = context.train.likes()
        self._item_ids = context.catalog.item_ids
        self._likes = np.bincount(likes.item, weights=likes.weight, minlength=len(self._item_ids))
        return FitLog()

    @property
    def blocks(self) -> dict[str, slice]:
        return block_slices({name: int(name == "popularity") for name in PARTS})

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        nothing = dict.fromkeys(PARTS, np.zeros(len(catalog), np.bool_))
        return nothing | {"popularity": self.item_vectors(catalog)[:, 0] > 0}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        known = dict(zip(self._item_ids.tolist(), self._likes.tolist(), strict=True))
        return np.array([[known.get(item, 0.0)] for item in catalog.item_ids.tolist()], np.float32).reshape(-1, 1)

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        return np.ones((len(history.user_ids), 1), np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        return {"item_ids": self._item_ids, "likes": self._likes}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._item_ids, self._likes = state["item_ids"], state["likes"]


def configuration(folder: Path, *, scale: int = 1, k: int = 3, name: str = "config") -> Path:
    """Write a configuration: the toy encoders, the texts' with a scale, and shelves of k places."""
    encoders: dict[str, Any] = {m: {"name": f"tests.toys:{m.capitalize()}Bytes"} for m in MEDIA}
    encoders["text"] = {"name": f"{__name__}:Words", "parameters": {"scale": scale}}
    settings = {
        "clean": {"max_refused_share": 1.0},
        "extract": {"encoders": encoders, "max_refused_share": 1.0},
        "fusion": {"strategy": f"{__name__}:Popular", "min_likes": 1, "review_share": 0.0},
        "evaluate": {"ks": [3], "gate_k": 3},
        "recommend": {"k": k, "similar_k": k},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def land(raw: Path, kind: str, night: str, records: Iterable[Mapping[str, Any] | str]) -> None:
    """Write a partition of RAW in the place of the one that may be there; a text stands for itself."""
    folder = raw / kind / f"ds={night}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    beside = folder.with_name(f".{folder.name}")
    beside.write_text("".join(f"{line}\n" for line in lines))
    os.replace(beside, folder / "part.jsonl")


def a_night(date: str, raw: Path, lake: Path, config: Path) -> Night:
    """The night as its steps are given it."""
    return Night.of(date_=date, raw=str(raw), lake=str(lake), config=str(config), staged=True)


def _agreed(step: Callable[[Night], object]) -> Callable[[Night], object]:
    def run(night: Night) -> None:
        check_agreement(night)
        step(night)

    return run


STEPS: dict[str, Callable[[Night], object]] = {
    "clean": lambda night: clean.run(night, allow_shrinking=True),
    **{
        f"extract_{modality}": _agreed(lambda night, modality=modality: extract.run(night, modality=modality))
        for modality in MEDIA
    },
    "train": _agreed(train.run),
    "evaluate": _agreed(lambda night: evaluate.run(night, allow_shrinking=True)),
    "recommend": _agreed(recommend.run),
    "verify": verify.run,
    "publish": lambda night: publication.publish(Lake(night.lake.uri), night.ds, actor="nights"),
}
"""Name → what the task of that name does."""
