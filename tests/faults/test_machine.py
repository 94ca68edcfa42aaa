"""A few random lives of a small lake beside a model of it; thousands of steps: `python -m tests.faults.machine`."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import Lives
from tests.faults.model import Brought, Event, Item, Model, Refused


def test_the_model_by_hand() -> None:
    """Two items, of which one is liked by both of two users, and one by one of them; the other has it to come."""
    model = Model()
    events = [Event("ann", "a", "like", 1), Event("bob", "a", "like", 2), Event("bob", "b", "view", 3)]
    model.raw["2026-11-01"] = Brought([Item("a", "a lamp"), Item("b", "a chair"), Item("b", "a chair")], events)
    model.raw["2026-11-02"] = Brought([Item("c", "a lamp")], [Event("bob", "a", "dislike", 4)])
    with pytest.raises(Refused, match="not complete"):
        model.night("2026-11-02")
    model.discard("2026-11-02")
    model.night("2026-11-01")
    rows = model.shown()["2026-11-01"]
    assert rows["item_embeddings"] == [("a", 2.0, False), ("b", 0.5, False)]
    assert ("ann", "for_you", 1, "b", 0.5) in rows["recommendations"]
    assert not [row for row in rows["recommendations"] if row[0] == "bob"]
    assert ("clean_items", 3, 2, 0, 1, 0) in rows["ledger"]
    assert len(model.store) == 2
    model.night("2026-11-02")
    rows = model.shown()["2026-11-02"]
    assert rows["item_embeddings"] == [("a", 1.0, False), ("b", 0.5, False), ("c", 0.0, True)]
    model.rollback("2026-11-02")
    assert model.shown().keys() == {"2026-11-01"}
    model.publish("2026-11-02")
    assert model.shown()["2026-11-02"] == rows


@pytest.mark.slow
def test_a_lake_is_what_the_model_says_whatever_is_done_to_it() -> None:
    few = settings(
        max_examples=3,
        stateful_step_count=10,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    Lives.counts.clear()
    run_state_machine_as_test(Lives, settings=few)
    assert Lives.counts.total() > 5
