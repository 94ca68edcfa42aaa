"""How long steps would take, worked out by hand from what they took."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from jobs.planning.rates import STEPS, Rates, estimate
from lake.lake import Lake
from schemas.features import FeaturesText
from schemas.tables import Costs, Ledger
from tests.jobs.extraction.test_backlog import row, table_of

ENCODER = "toy-0123"
DAYS = [date(2026, 11, day) for day in (1, 2, 3)]


@pytest.fixture
def measured(lake: Lake) -> Lake:
    """Three nights: the first extracted three texts just now, the second found nothing to do, the third failed."""
    for day, records in zip(DAYS, (10, 30, 50), strict=True):
        account(lake, day, "clean_items", rows_in=records)
        account(lake, day, "extract_text", rows_in=3, encoder=ENCODER)
    texts = [row(FeaturesText, content_key=f"k{n}", encoder=ENCODER, date=DAYS[0], vector=[1.0]) for n in range(3)]
    lake.write(FeaturesText, table_of(FeaturesText, texts), {"encoder": ENCODER})
    for day, cleaning, extracting, training in zip(DAYS, (12, 32, 1), (10, 4, 1), (5, 9, 1), strict=True):
        outcome = "failed" if day == DAYS[2] else "done"
        for step, seconds in (("clean", cleaning), ("extract_text", extracting), ("train", training)):
            cost(lake, day, step, seconds, outcome=outcome)
    return lake


def account(lake: Lake, day: date, step: str, **values: Any) -> None:
    rows = [row(Ledger, date=day, step=step, **values)]
    lake.write(Ledger, table_of(Ledger, rows), {"date": day, "step": step})


def cost(lake: Lake, day: date, step: str, seconds: float, **values: Any) -> None:
    began = datetime.now(UTC) - timedelta(seconds=seconds / 2)
    new = row(Costs, **({"date": day, "step": step, "began": began, "wall_s": seconds} | values))
    others = [old for old in lake.read(Costs).to_pylist() if old["date"] == day and old["step"] != step]
    lake.write(Costs, table_of(Costs, [*others, new]), {"date": day})


def seconds(lake: Lake, encoder: str = ENCODER, **amounts: int) -> dict[str, float | None]:
    return Rates(lake, {"text": [encoder]}).seconds({"clean": 100, "extract_text": 10} | amounts)


def test_what_was_measured_is_carried_on_in_a_line_and_the_rest_is_not_known(measured: Lake) -> None:
    found = seconds(measured)
    assert list(found) == list(STEPS)
    assert {step: each for step, each in found.items() if each is not None} == {
        "clean": pytest.approx(2 + 100), "extract_text": pytest.approx(4 + 2 * 10), "train": 7
    }  # fmt: skip
    assert seconds(measured, encoder="other-4567")["extract_text"] is None


def test_what_an_earlier_run_has_extracted_does_not_count_for_a_later_one(measured: Lake) -> None:
    cost(measured, DAYS[0], "extract_text", 3, outcome="done", began=datetime.now(UTC) + timedelta(seconds=60))
    assert seconds(measured)["extract_text"] is None
    assert seconds(measured, extract_text=0)["extract_text"] == 4


def test_a_lake_that_measured_nothing_tells_nothing(lake: Lake) -> None:
    assert set(seconds(lake).values()) == {None}


@pytest.mark.parametrize(
    ("points", "amount", "expected"),
    [
        ([], 5, None),
        ([(10, 20)], 10, 20),
        ([(10, 20)], 5, 10),
        ([(10, 20)], 0, None),
        ([(0, 4), (0, 6)], 0, 5),
        ([(0, 4), (0, 6)], 1, None),
        ([(1, 9), (3, 5)], 10, 7),  # more of it took less: the mean
        ([(1, 1), (3, 9)], 2, 5.6),  # a line would begin below 0: in proportion, (1 + 27) / (1 + 9) each
    ],
)
def test_estimates(points: list[tuple[float, float]], amount: float, expected: float | None) -> None:
    assert estimate(points, amount) == (expected if expected is None else pytest.approx(expected))
