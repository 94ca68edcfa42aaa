"""A modality that items lose from one night to the next is warned of, and stops the publishing if it is most."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from jobs.landing.raw import Raw
from jobs.modelling.coverage import Coverage, Loss, check_coverage, coverage, losses
from jobs.runtime.night import Night, NightError
from lake.lake import Lake
from schemas.config import Config
from schemas.table import MODALITIES
from schemas.tables import ItemEmbeddings
from tests.test_schemas import a_row

FIRST, SECOND, THIRD = (dt.date(2026, 11, day) for day in (1, 2, 3))


def served(lake: Lake, night: dt.date, items: dict[str, list[str]]) -> None:
    """Item → its modalities."""
    rows = [
        a_row(ItemEmbeddings, {"date": night, "item_id": item, "modalities": has, "vector": [0.5]})
        for item, has in items.items()
    ]
    lake.write(ItemEmbeddings, pa.Table.from_pylist(rows, schema=ItemEmbeddings.schema), {"date": str(night)})


def covered(night: dt.date, items: dict[str, list[str]]) -> Coverage:
    masks = {m: np.array([m in has for has in items.values()], np.bool_) for m in MODALITIES}
    return Coverage(night, pa.array(list(items), pa.string()), masks)


def night_of(lake: Lake, day: dt.date = SECOND) -> Night:
    return Night(day, Raw("nowhere"), lake, Config())


TEN = {f"i{n}": ["text", "image"] for n in range(10)}


def test_coverage_is_that_of_the_newest_night_until_then(lake: Lake) -> None:
    assert coverage(lake, until=THIRD) is None
    served(lake, FIRST, {"a": ["text"], "b": [], "c": ["image", "text"]})
    served(lake, THIRD, {"a": []})
    assert coverage(lake, until=FIRST - dt.timedelta(days=1)) is None
    found = coverage(lake, until=SECOND)
    assert found is not None and found.night == FIRST and found.item_ids.to_pylist() == ["a", "b", "c"]
    assert {m: mask.tolist() for m, mask in found.masks.items()} == {
        "text": [True, False, True],
        "image": [False, False, True],
        "audio": [False] * 3,
        "video": [False] * 3,
        "attributes": [False] * 3,
    }


def test_items_that_are_gone_have_lost_nothing_and_new_ones_neither() -> None:
    before = covered(FIRST, {"gone": ["text"], "kept": ["text"], "loses": ["text", "audio"]})
    now = covered(SECOND, {"new": [], "loses": ["audio"], "kept": ["text", "image"]})
    assert [loss for loss in losses(before, now) if loss.had] == [
        Loss("text", FIRST, had=2, lost=1),
        Loss("audio", FIRST, had=1, lost=0),
    ]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_few_are_warned_of(lake: Lake, caplog: pytest.LogCaptureFixture, lost: int) -> None:
    served(lake, FIRST, TEN)
    check_coverage(night_of(lake), covered(SECOND, TEN | {f"i{n}": ["text"] for n in range(lost)}))
    told = f"{lost} of the 10 items with image on 2026-11-01 lack it now ({lost * 10}%)"
    assert caplog.messages == ([told] if lost else [])


def test_many_stop_the_publishing_unless_it_is_wanted(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    served(lake, FIRST, TEN)
    now = covered(SECOND, TEN | {f"i{n}": [] for n in range(3)})
    with pytest.raises(
        NightError, match=r"3 of the 10 items with text .*; 3 of the 10 items with image .* above .* 20%"
    ):
        check_coverage(night_of(lake), now)
    caplog.clear()
    check_coverage(night_of(lake), now, allow_shrinking=True)
    assert len(caplog.messages) == 2


def test_one_item_never_is_too_many(lake: Lake) -> None:
    served(lake, FIRST, {"a": ["text"]})
    check_coverage(night_of(lake), covered(SECOND, {"a": []}))


def test_a_night_that_is_run_again_is_held_against_what_it_had(lake: Lake) -> None:
    served(lake, FIRST, TEN)
    served(lake, SECOND, {key: ["text"] for key in TEN})
    check_coverage(night_of(lake), covered(SECOND, {key: ["text"] for key in TEN}))
    with pytest.raises(NightError, match="10 of the 10 items with text on 2026-11-02"):
        check_coverage(night_of(lake), covered(SECOND, {key: ["image"] for key in TEN}))


def test_the_first_night_has_nothing_to_lose(lake: Lake) -> None:
    served(lake, THIRD, TEN)
    check_coverage(night_of(lake), covered(SECOND, {key: [] for key in TEN}))
