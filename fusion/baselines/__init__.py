"""What a model must beat, by name: recommenders with fixed parameters, of history or of content alone, and one of
both."""

from collections.abc import Callable
from functools import partial

from fusion.baselines.base import Baseline, like_matrix
from fusion.baselines.content import ContentNeighbours, TermNeighbours
from fusion.baselines.factors import BPR, IALS
from fusion.baselines.history import EASE, ItemKNN, Popularity
from fusion.baselines.vbpr import VBPR
from schemas.table import MODALITIES

BASELINES: dict[str, Callable[[], Baseline]] = {
    "popularity": Popularity,
    "item_knn": ItemKNN,
    "ease": EASE,
    "ials": IALS,
    "bpr": BPR,
    "tfidf_neighbours": TermNeighbours,
    **{f"{modality}_neighbours": partial(ContentNeighbours, modality) for modality in MODALITIES},
    "vbpr": VBPR,
}
"""Name → makes one, unfitted."""

__all__ = [
    "BASELINES",
    "BPR",
    "EASE",
    "IALS",
    "VBPR",
    "Baseline",
    "ContentNeighbours",
    "ItemKNN",
    "Popularity",
    "TermNeighbours",
    "like_matrix",
]
