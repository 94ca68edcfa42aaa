import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jobs.landing.values import is_missing, listed, mapped, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("29.9900", 29.99), ("12.345", 12.345), ("1e3", 1000), ("1.299,00 €", 1299), ("1,299.00", 1299),
        ("$1,299", 1299), ("1,299", 1299), ("¥ 59", 59), ("9,5", 9.5), ("1 000", 1000), ("1\u202f299,50 €", 1299.5),
        ("19.990000000000002", 19.990000000000002), (".99", 0.99), (",99 €", 0.99), ("€ .99", 0.99), ("0,999", 0.999),
        ("0.999 €", 0.999), ("￥１，２９９．５０", 1299.5), ("＄１２．５", 12.5), ("1'299.50", 1299.5),
        ("CHF 1’299.-", 1299), ("29,- €", 29), ("-5", -5), ("€-5", -5), ("−5,00 €", -5), ("12,34,567.50", 1234567.5),
        ("Rs. 1,299", 1299), ("99 kr.", 99), ("R$ 12,50", 12.5), ("US$ 5", 5), ("1.234.567,89", 1234567.89),
        ("1,2345", 1.2345), ("1234,567", 1234.567), ("1299.000 €", 1299), ("٣٫٥", 3.5), ("59元", 59), ("+5", 5),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "1.299 €", "$12.345", "free", "10-20", "10 - 20", "2 for 10", "50%", "1.5k", "1.2万", "12 34", "1,299,00",
        "1,299.000.000", "1_000", "29⁹⁹ €", "½", "5 stars", "4/5", "inf", "nan", "0x10", "", "EUR", "(5.00)", "1..5",
        "1,,000", "--5", "-€-5", "€5 £6", "1.299,00,00",
    ],
)  # fmt: skip
def test_texts_that_are_no_number_or_may_be_two(text: str) -> None:
    with pytest.raises(ValueError):
        number(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_python_and_json_write_it_is_that_number(value: float) -> None:
    assert number(repr(value)) == value
    assert number(f"{Decimal(value):f}") == value


@given(
    st.decimals(0, 10**9, places=2), st.sampled_from([",.", ".,", " ,", "'.", " ."]), st.sampled_from(["", "€", "EUR"])
)
def test_a_price_is_the_same_however_it_is_grouped(value: Decimal, marks: str, currency: str) -> None:
    grouping, point = marks
    text = f"{value:,.2f}".replace(",", "\0").replace(".", point).replace("\0", grouping)
    wide = text.translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)})
    for one in (f"{text} {currency}", f"{currency} {text}", f"{wide}{currency}", f"{currency}{text}"):
        assert number(one) == float(value)


@given(st.text(alphabet="0123456789.,' €-", max_size=12))
def test_a_number_has_the_digits_of_its_text_and_no_others(text: str) -> None:
    try:
        value = number(text)
    except ValueError:
        assume(False)
    digits = re.sub(r"\D", "", text).strip("0")
    assert re.sub(r"\D", "", f"{Decimal(repr(value)):f}").strip("0") == digits


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['a', 'b']", ["a", "b"]), ('["a", "b"]', ["a", "b"]), ("['a' 'b'\n 'c']", ["a", "b", "c"]), ("[]", []),
        ("['it\\'s', \"q\"]", ["it's", "q"]), ("['a', nan, None]", ["a", None, None]), ("[1, 2]", [1, 2]),
        ("('a', 'b')", ["a", "b"]), ("{'a'}", ["a"]), ("plain", None), ("(new)", None), ("{1}", None), ("", None),
    ],
)  # fmt: skip
def test_lists(text: str, value: list[Any] | None) -> None:
    assert listed(text) == value


@pytest.mark.parametrize("text", ["[a, b]", "[sale]", "['a\\x']", "['a' 'b', 'c']", "[1 2]", "[" * 5000 + "]" * 5000])
def test_what_stands_in_brackets_and_is_no_list(text: str) -> None:
    with pytest.raises(ValueError):
        listed(text)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_list_of_strings_as_python_writes_it_is_read_back(values: list[str]) -> None:
    assert listed(repr(values)) == values
    if values:
        assert listed(repr(tuple(values))) == values


def test_a_long_hostile_list_is_refused_in_no_time() -> None:
    with pytest.raises(ValueError):
        listed("[" + "'a', " * 100_000 + "!]")


@pytest.mark.parametrize(
    ("text", "value"),
    [("{'a': 1}", {"a": 1}), ('{"a": null}', {"a": None}), ("{}", {}), ("red", None), ("[1]", None), ("{'a'}", None)],
)
def test_maps(text: str, value: dict[str, Any] | None) -> None:
    assert mapped(text) == value


def test_missing_values() -> None:
    assert all(map(is_missing, (None, float("nan"), Decimal("nan"))))
    assert not any(map(is_missing, (0, 0.0, "", "nan", False, Decimal(0), [])))
