"""The lake's tables as Airflow assets: what a task reads and writes, and how many rows stand there after it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from lake.storage import as_uri

MEDIA = ("text", "image", "audio", "video")
BY_NIGHT = (
    *("items", "interactions", "given_vectors", "quarantine", "ledger", "metrics", "models"),
    *("item_embeddings", "user_embeddings", "explanations", "recommendations", "similar_items"),
)
"""The tables that a night publishes; `schemas.tables` has them too, but its import is heavy for reading a DAG."""


def table(name: str) -> Asset:
    """The asset of a table: its place under `NIGHTWEAVE_LAKE`. Schedule a DAG of your own on it."""
    return _asset(os.environ.get("NIGHTWEAVE_LAKE"), name)


def raw(kind: str) -> Asset:
    """The asset of `items`, `interactions` or `vectors` of the landing zone."""
    return _asset(os.environ.get("NIGHTWEAVE_RAW"), kind, otherwise="raw.")


def tables(*names: str) -> list[Asset]:
    return [table(name) for name in names]


def record(context: Mapping[str, Any], _: Any = None) -> None:
    """After a task: give the event of each table that the task writes the table's version and rows, and, where the
    table is partitioned by night, the night as its partition.

    `rows` are all rows of the table, `rows_of_night` those of the night, where the table is partitioned by night.
    """
    lake = os.environ.get("NIGHTWEAVE_LAKE")
    if not lake:
        return
    night = context["params"].get("night", context.get("ds"))
    from lake.lake import Lake
    from schemas.tables import TABLES

    for asset in context["task"].outlets:
        kind, event = TABLES[asset.uri.rpartition("/")[2]], context["outlet_events"][asset]
        event.extra = extra(Lake(lake), kind, night)
        if "date" in kind.partition_by:
            event.add_partitions(night)


def extra(lake: Any, kind: Any, night: str | None) -> dict[str, Any]:
    """Version and rows of a table as of now, for an event, from its transaction log alone."""
    delta = lake.delta(kind)
    found: dict[str, Any] = {"version": delta.version() if delta else None, "rows": lake.count(kind, {})}
    if night and "date" in kind.partition_by:
        found |= {"date": night, "rows_of_night": lake.count(kind, {"date": night})}
    return found


def _asset(base: str | None, name: str, *, otherwise: str = "nightweave.") -> Asset:
    if not base:
        return Asset(name=f"{otherwise}{name}")
    # A link is not followed: it may lead elsewhere on another machine, and an asset has one name on all of them.
    place = base if "://" in base else Path(os.path.abspath(base)).as_uri()
    return Asset(uri=f"{as_uri(place)}/{name}", group="nightweave")
