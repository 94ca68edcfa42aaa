"""What is warned of and never refused."""

from datetime import date

import numpy as np
import pytest

from jobs.landing.raw import Raw
from jobs.modelling.contradictions import REASON, STAGE, warn
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import Quarantine
from tests.fusion.worlds import catalog_of

SWAPPED = [3, 40, 77]


@pytest.fixture
def night(lake: Lake) -> Night:
    return Night(date(2026, 11, 1), Raw("raw"), lake, Config())


def modalities(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two modalities that say nearly the same of every item."""
    random = np.random.default_rng(0)
    traits = random.normal(size=(n, 4))
    return tuple(traits @ random.normal(size=(4, 12)) + 0.2 * random.normal(size=(n, 12)) for _ in range(2))


def test_a_catalog_without_contradictions_is_warned_of_next_to_nothing(night: Night) -> None:
    """Of 658 items the default rate of false alarms allows for one or two."""
    text, image = modalities(658)
    warn(night, catalog_of(text, image=image))
    assert len(night.lake.read(Quarantine)) <= 3


def test_swapped_pictures_are_warned_of(night: Night) -> None:
    text, image = modalities(300)
    image[SWAPPED] = image[np.roll(SWAPPED, 1)]
    warn(night, catalog_of(text, image=image))
    rows = night.lake.read(Quarantine).to_pylist()
    assert {f"i{item:04d}" for item in SWAPPED} <= {row["record_id"] for row in rows}
    assert {(row["stage"], row["reason"], row["source"]) for row in rows} == {(STAGE, REASON, "items")}
    assert all("text and image agree" in row["detail"] for row in rows)


def test_a_rerun_replaces_the_warnings(night: Night) -> None:
    text, image = modalities(300)
    image[SWAPPED] = image[np.roll(SWAPPED, 1)]
    for _ in range(2):
        warn(night, catalog_of(text, image=image))
    ids = night.lake.read(Quarantine)["record_id"].to_pylist()
    assert len(ids) == len(set(ids))
    warn(night, catalog_of(text))
    assert not len(night.lake.read(Quarantine))
