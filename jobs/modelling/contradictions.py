"""Warnings about items whose modalities contradict one another, such as a picture that does not match its text."""

import logging

import numpy as np
import pyarrow as pa

from fusion.crossmodal.contradiction import contradictions
from fusion.crossmodal.projected_items import ProjectedItems
from fusion.data.catalog import Catalog
from fusion.data.projection import fit_projections
from jobs.runtime.night import Night
from schemas.table import MEDIA
from schemas.tables import Quarantine

log = logging.getLogger("nightweave.contradictions")

STAGE, REASON = "contradictions", "modalities_contradict"
DIMS = 128


def warn(night: Night, catalog: Catalog) -> None:
    """Write the items that `fusion.crossmodal.contradiction` flags to `quarantine`, in place of the night's earlier
    warnings. Nothing is refused: the items stay in the catalog, for a person to check."""
    items = ProjectedItems.of(catalog, fit_projections(catalog, dims=DIMS, modalities=MEDIA))
    found = contradictions(
        items,
        train=np.ones(len(items), np.bool_),
        seed=night.config.fusion.seed,
        rate=night.config.fusion.contradictions.false_positive_rate,
    )
    rows = [
        {
            "date": night.date,
            "stage": STAGE,
            "source": "items",
            "position": 0,
            "record_id": str(catalog.item_ids[item]),
            "reason": REASON,
            "detail": "; ".join(
                f"{first} and {second} agree {scores[item]:+.1f} standard deviations more than strangers"
                for (first, second), scores in found.pairs.items()
                if not np.isnan(scores[item])
            ),
        }
        for item in found.flag.nonzero()[0]
    ]
    night.lake.write(Quarantine, pa.Table.from_pylist(rows, Quarantine.schema), {"date": night.ds, "stage": STAGE})
    if rows:
        log.warning("%d items have modalities that contradict one another; see quarantine", len(rows))
