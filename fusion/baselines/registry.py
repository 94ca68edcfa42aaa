"""The baselines by name."""

from collections.abc import Callable
from functools import partial

from fusion.baselines.base import Baseline
from fusion.baselines.content import ContentNeighbours, TermNeighbours
from fusion.baselines.factors import BPR, IALS
from fusion.baselines.history import EASE, ItemKNN, Popularity
from fusion.baselines.vbpr import VBPR
from schemas.table import MEDIA

BASELINES: dict[str, Callable[[], Baseline]] = {
    "popularity": Popularity,
    "item_knn": ItemKNN,
    "ease": EASE,
    "ials": IALS,
    "bpr": BPR,
    "tfidf_neighbours": TermNeighbours,
    **{f"{modality}_neighbours": partial(ContentNeighbours, modality) for modality in MEDIA},
    "vbpr": VBPR,
}
"""Name → constructor of an unfitted baseline."""
