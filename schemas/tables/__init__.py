"""The tables of the lake, in the order in which a night writes them.

| file | tables |
| --- | --- |
| `arrivals` | `items`, `interactions`, `given_vectors` |
| `accounts` | `quarantine`, `ledger` |
| `judged` | `metrics`, `models` |
| `served` | `item_embeddings`, `user_embeddings`, `explanations`, `recommendations`, `similar_items` |
| `published` | `published` |
| `costs` | `costs` |

The feature stores stand in `schemas/features.py`. Others import tables from here.
"""

from schemas.features import FEATURES
from schemas.table import Table
from schemas.tables.accounts import Ledger, Quarantine
from schemas.tables.arrivals import COUNTS_AS_OF, FUTURE_DAYS, GivenVectors, Interactions, Items
from schemas.tables.costs import Costs
from schemas.tables.judged import Metrics, Models
from schemas.tables.published import Published
from schemas.tables.served import (
    NEWCOMER,
    Explanations,
    ItemEmbeddings,
    Recommendations,
    SimilarItems,
    UserEmbeddings,
)

__all__ = [
    "BY_NIGHT",
    "COUNTS_AS_OF",
    "FUTURE_DAYS",
    "LOOKED_BACK_ON",
    "NEWCOMER",
    "TABLES",
    "Costs",
    "Explanations",
    "GivenVectors",
    "Interactions",
    "ItemEmbeddings",
    "Items",
    "Ledger",
    "Metrics",
    "Models",
    "Published",
    "Quarantine",
    "Recommendations",
    "SimilarItems",
    "UserEmbeddings",
]

_ALL: tuple[type[Table], ...] = (
    Items,
    Interactions,
    GivenVectors,
    Quarantine,
    Ledger,
    *FEATURES.values(),
    Metrics,
    Models,
    ItemEmbeddings,
    UserEmbeddings,
    Explanations,
    Recommendations,
    SimilarItems,
    Published,
    Costs,
)
TABLES: dict[str, type[Table]] = {table.name: table for table in _ALL}

BY_NIGHT: tuple[type[Table], ...] = tuple(
    table for table in _ALL if "date" in table.partition_by and table is not Costs
)
"""Tables whose partitions each belong to one night: they are staged, and published together. What a night costs is
known when it fails, too, and is not."""

LOOKED_BACK_ON: tuple[type[Table], ...] = (Items, Interactions, GivenVectors)
"""Tables of which a night reads the partitions of all nights before it."""
