"""The sentence of a failure."""

from collections.abc import Callable

import pytest

from jobs.runtime.failure import LONGEST, Failure, one_line
from jobs.runtime.night import NightError, day_of
from lake.errors import LakeError


def raised(error: type[Exception], call: Callable[[], object]) -> Exception:
    with pytest.raises(error) as caught:
        call()
    return caught.value


def test_an_error_for_people_is_its_own_message() -> None:
    night = NightError("3 of 4\nrefused", law=3, partition="date=2026-11-07")
    assert Failure.of(night) == Failure("3 of 4 refused", 3, "date=2026-11-07")
    assert Failure.of(LakeError("no such table")) == Failure("no such table")


def test_an_unforeseen_error_is_its_type_message_and_place_in_our_code() -> None:
    """Python's own code, where it arose, is passed over."""
    found = Failure.of(raised(TypeError, lambda: day_of(7)))  # type: ignore[arg-type]
    head, _, place = found.message.rpartition(", at ")
    assert head == "TypeError: fromisoformat: argument must be str"
    assert place.startswith("jobs/runtime/night.py:") and place.endswith(" in day_of")


WORKER = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/pyspark/worker.py", line 4327, in invoke_udf
    run_process()
  File "/srv/jobs/bundle/features/text/bag.py", line 11, in encode
    return numpy.dot(a, b)
           ^^^^^^^^^^^^^^^
  File "/opt/venv/lib/python3.11/site-packages/numpy/core.py", line 3, in dot
    raise ShapeError
numpy.exceptions.ShapeError: (3, 2) and (3, 2)
"""


def test_of_an_error_in_a_worker_of_spark_the_place_is_there() -> None:
    assert Failure.of(Exception(WORKER)).message == (
        "ShapeError: (3, 2) and (3, 2), at features/text/bag.py:11 in encode"
    )


def test_without_a_message_there_is_the_type() -> None:
    assert Failure.of(MemoryError()).message == "MemoryError"


def test_whatever_the_data_had_in_it_the_sentence_is_one_printable_line() -> None:
    message = Failure.of(ValueError("a\r\n\x00\ud800\x1b[31m" + "x" * 5000)).message
    assert message.isprintable() and message.startswith("ValueError: a ???[31mx") and len(message) == LONGEST
    assert one_line("日本  \t x") == "日本 x"
