"""The baselines by name."""

from collections.abc import Callable
from functools import partial

from fusion.baselines.base import Baseline
from fusion.baselines.content import ContentNeighbours, TermNeighbours
from fusion.baselines.factors import IALS
from fusion.baselines.history import EASE, ItemKNN, Popularity
from schemas.table import MEDIA

BASELINES: dict[str, Callable[[], Baseline]] = {
    "popularity": Popularity,
    "item_knn": ItemKNN,
    "ease": EASE,
    "ials": IALS,
    "tfidf_neighbours": TermNeighbours,
    **{f"{modality}_neighbours": partial(ContentNeighbours, modality) for modality in MEDIA},
}
"""Name → constructor of an unfitted baseline."""
