"""The demo shop: a catalog with media, and users' events, generated from a seed; no step of a night imports it.

>>> summary = write_catalog(Path("build/demo/raw"), items=240, users=200, nights=3, seed=7)  # doctest: +SKIP
"""

from jobs.demo.catalog import FIRST_NIGHT, ITEMS, NIGHTS, SEED, USERS, write_catalog
from jobs.demo.traits import (
    MODALITY_GROUPS,
    item_traits,
    modality_columns,
    popularity,
    trait_groups,
    user_tastes,
)

__all__ = [
    "FIRST_NIGHT",
    "ITEMS",
    "MODALITY_GROUPS",
    "NIGHTS",
    "SEED",
    "USERS",
    "item_traits",
    "modality_columns",
    "popularity",
    "trait_groups",
    "user_tastes",
    "write_catalog",
]
