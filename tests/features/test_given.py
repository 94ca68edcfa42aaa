"""The contract of vectors that are given, on every kind of list that may arrive."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.base import MediaError
from features.given import GivenImage

DIM = 4
MADE = GivenImage(name="clip", dim=DIM)
LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint64, list, tuple])
def test_a_vector_of_any_numbers_is_single_precision(kind: Any) -> None:
    numbers = [0, 1, 2, 3]
    vector = MADE.decode(kind(numbers) if kind in (list, tuple) else np.array(numbers, kind))
    assert vector.dtype == np.float32 and vector.tolist() == numbers


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=DIM, max_size=DIM))
def test_single_precision_is_kept_bit_by_bit(numbers: list[float]) -> None:
    exact = np.array(numbers, np.float32)
    if (exact == exact[0]).all():
        return
    assert MADE.decode(numbers).tobytes() == exact.tobytes()
    (stored,) = MADE.encode([MADE.decode(numbers)])["vector"].to_pylist()
    assert np.array(stored, np.float32).tobytes() == exact.tobytes()


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.dates(),
    st.decimals(),
    arrays.arrays(arrays.floating_dtypes(), st.integers(0, 6)),
    st.lists(st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=2), st.booleans()), max_size=6),
    st.lists(st.lists(st.floats(), max_size=3), max_size=4),
    st.dictionaries(st.text(max_size=2), st.floats(), max_size=2),
)


@given(anything)
def test_whatever_arrives_keeps_the_contract_or_is_refused(content: Any) -> None:
    try:
        vector = MADE.decode(content)
    except MediaError as refusal:
        assert refusal.reason.startswith("vector_") and 0 < len(refusal.detail) < 300
        return
    assert vector.shape == (DIM,) and vector.dtype == np.float32 and np.isfinite(vector).all() and np.ptp(vector) != 0


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (None, "vector_type", "NoneType None; expected a list of 4 numbers"),
        ("0.5 0.5", "vector_type", "str '0.5 0.5'; expected"),
        (b"\0\0", "vector_type", "bytes"),
        (0.5, "vector_type", "float 0.5"),
        ({"a": 1}, "vector_type", "dict"),
        ([0.5, None, 1, 2], "vector_type", "number 2 is None; expected a list of 4 numbers"),
        ([0.5, "x", 1, 2], "vector_type", "number 2 is 'x'"),
        ([True, False, True, True], "vector_type", "number 1 is True"),
        ([Decimal(1), 2, 3, 4], "vector_type", "number 1 is Decimal"),
        ([dt.date(2026, 11, 1)] * 4, "vector_type", "number 1 is datetime.date"),
        ([[1, 2], [3, 4]], "vector_type", "number 1 is \\[1, 2\\]"),
        ([[1, 2], [3]], "vector_type", "a list of lists"),
        ([], "vector_width", "0 numbers; expected a list of 4 numbers"),
        ([1, 2, 3], "vector_width", "3 numbers; expected a list of 4 numbers, the encoder's dim"),
        ([1, 2, float("nan"), 4], "vector_not_finite", "number 3 is nan; expected finite"),
        ([1, 2, 3, float("-inf")], "vector_not_finite", "number 4 is -inf"),
        ([1, 1e39, 3, 4], "vector_overflow", r"number 2 is 1e\+39; expected at most 3\.40282e\+38"),
        ([1, 2, 3, -2 * LARGEST], "vector_overflow", "number 4 is -6"),
        ([0, 0, 0, 0], "vector_constant", "all numbers are 0; expected some that differ"),
        ([0.0, -0.0, 0.0, 0.0], "vector_constant", "all numbers are 0"),
        ([1, 1 + 1e-12, 1, 1], "vector_constant", "all numbers are 1"),
        ([1e-60, 0, 0, 0], "vector_constant", "all numbers are 0"),
    ],
)
def test_a_refusal_says_what_arrived_and_what_was_expected(content: Any, reason: str, says: str) -> None:
    with pytest.raises(MediaError, match=says) as refused:
        MADE.decode(content)
    assert refused.value.reason == reason


def test_the_largest_number_of_single_precision_is_kept() -> None:
    assert MADE.decode([LARGEST, -LARGEST, 0, 0]).tolist() == [LARGEST, -LARGEST, 0, 0]


def test_a_vector_of_one_number_is_never_constant() -> None:
    assert GivenImage(name="popularity", dim=1).decode([0.5]).tolist() == [0.5]


def test_a_long_vector_is_not_quoted() -> None:
    with pytest.raises(MediaError) as refused:
        MADE.decode([0.125] * 10_000)
    assert len(refused.value.detail) < 100


def test_the_readable_features_are_null() -> None:
    batch = MADE.encode([MADE.decode([0, 1, 2, 3])])
    assert batch.schema == MADE.schema()
    assert {name for name, value in batch.to_pylist()[0].items() if value is not None} == {"vector"}
