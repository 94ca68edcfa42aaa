"""What the values of a record mean: which are absent, and which numbers, lists and maps a text stands for."""

import ast
import json
import math
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any

MISSING = frozenset(
    {"", "nan", "NaN", "NAN", "NaT", "None", "null", "Null", "NULL", "<NA>", "\\N", "N/A", "#N/A"}
)  # fmt: skip
"""What pandas, SQL and Spark write into a text where a value is absent. It counts in every cell of CSV, which has no
other way to write that, and in fields that are a number, a flag or a time; a title `None` in JSON is a title."""

MAX_LIST_CHARS = 1 << 20
"""Python's notation of lists and maps is read up to this length; JSON has no such bound of its own."""

_CURRENCIES = """
    aed ars aud bdt bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd huf idr ils inr jpy krw kwd mxn myr ngn nok nzd
    pen php pkr pln ron rub sar sek sgd thb try twd uah usd vnd zar
    a c ca hk nt r s us euro euros dollar dollars yen fr sfr ft kr kč lei rm rmb rp rs tl zł лв р руб 元 圆 圓 円 원
""".split()  # noqa: SIM905
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PRICE = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<before>[^\d\s+\-.,'](?:[^\d+\-,']*[^\d\s+\-.,'])?(?:(?<=[^\W\d_])\.)?)?\s*(?P<inner>[+-]?)\s*"
    r"(?P<digits>[.,]?\d(?:[\d.,' ]*\d)?)(?:[.,]-{0,2})?\s*(?P<after>[^\d\s+\-.,'][^\d+\-,']*)?",
    re.ASCII,
)
_GROUPS = re.compile(r"\d{1,3}([,.' ])\d{3}(\1\d{3})*|\d{1,2}(,\d\d)+,\d{3}", re.ASCII)
_SIGNS = str.maketrans("\u2010\u2011\u2012\u2013\u2212\u2019\u066b\u066c", "-----'.'")
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ITEM = rf"{_STRING}|None|nan|NaN|<NA>|-?\d+(?:\.\d+)?"
_PYTHON_LIST = re.compile(
    rf"[\[({{]\s*(?:(?:{_ITEM})(?:(?:\s*,\s*(?:{_ITEM}))*|(?:\s+(?:{_STRING}))+)\s*,?\s*)?[\])}}]", re.DOTALL
)
_ITEMS = re.compile(_ITEM, re.DOTALL)
_BESIDE = re.compile(rf"({_STRING})\s*({_STRING})", re.DOTALL)


def is_missing(value: Any) -> bool:
    """Return whether a value is absent: null, or the NaN that pandas writes for it."""
    if value is None or isinstance(value, float):
        return value is None or math.isnan(value)
    return isinstance(value, Decimal) and value.is_nan()


def number(text: str) -> float:
    """Return the number that a text stands for, by one rule.

    A text that is a number as JSON and programming languages write it is that number, with any number of decimals.
    Otherwise it may bear a currency, digits may be full-width or of another script, and:

    - of two kinds of separators the last is the decimal mark and the other groups the digits before it;
    - one comma before exactly three digits groups (`1,299`), before any other number of digits it is the decimal mark;
    - one point beside a currency is the decimal mark, but before exactly three digits it may be either: refused;
    - spaces and apostrophes group; groups are of three digits, or of two as in India.

    >>> number("29.9900"), number("1e3"), number("1.299,00 €"), number("￥１，２９９"), number("0,5")
    (29.99, 1000.0, 1299.0, 1299.0, 0.5)

    Raises:
        ValueError: it is no number, more than one, or may be either of two; the message names which.
    """
    if any(unicodedata.category(character) in ("No", "Nl") for character in text):
        raise ValueError("digits that are raised, lowered or fractions")
    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS).strip()
    plain = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in plain)
    if _PLAIN.fullmatch(plain):
        return float(plain)
    found = _PRICE.fullmatch(plain)
    if not found or (found["sign"] and found["inner"]) or not all(map(_is_currency, found.group("before", "after"))):
        raise ValueError("no number")
    size = _decimal(found["digits"], lone_point=not (found["before"] or found["after"]))
    return -size if "-" in (found["sign"], found["inner"]) else size


def _is_currency(word: str | None) -> bool:
    letters = "".join(c for c in word or "" if unicodedata.category(c) != "Sc" and not c.isspace()).casefold()
    return not letters or letters.rstrip(".") in _CURRENCIES


def _decimal(digits: str, *, lone_point: bool) -> float:
    """The number of digits with separators; `lone_point` as of a text that has nothing beside its digits."""
    marks = re.findall(r"[.,' ]", digits)
    if not marks:
        return float(digits)
    last = marks[-1]
    whole, _, decimals = digits.rpartition(last)
    once = last in ".," and marks.count(last) == 1
    if once and len(marks) == 1 and (len(decimals) != 3 or len(whole) > 3 or whole[:1] in ("", "0")):
        return float(f"{whole or 0}.{decimals}")
    if len(marks) == 1 and last == "." and not lone_point:
        raise ValueError("its point may be a decimal mark or group thousands")
    if not once or len(set(marks)) == 1:
        whole, decimals = digits, "0"
    if not _GROUPS.fullmatch(whole):
        raise ValueError("its digits are not grouped by thousands")
    return float(f"{re.sub('[^0-9]', '', whole)}.{decimals}")


def listed(text: str) -> list[Any] | None:
    """Return the list that a text is in the notation of JSON, Python or NumPy; None where it is a text of its own.

    >>> listed("['a', 'b']"), listed('["a"]'), listed("['a' 'b']"), listed("plain"), listed("(new)")
    (['a', 'b'], ['a'], ['a', 'b'], None, None)

    Raises:
        ValueError: it stands in square brackets and is no list.
    """
    stripped = text.strip()
    if not stripped or stripped[0] + stripped[-1] not in ("[]", "()", "{}"):
        return None
    value = _json(stripped)
    if isinstance(value, list):
        return value
    if len(stripped) <= MAX_LIST_CHARS and _PYTHON_LIST.fullmatch(stripped):
        items = _ITEMS.findall(stripped)
        if stripped[0] == "[" or any(item[0] in "'\"" for item in items):
            return [_python(item) for item in items]
    if stripped[0] == "[":
        raise ValueError("it stands in brackets and is no list of JSON or Python")
    return None


def mapped(text: str) -> dict[str, Any] | None:
    """Return the map that a text is in the notation of JSON or Python; None where it is none."""
    value = _json(text)
    if value is None and len(text) <= MAX_LIST_CHARS and text.strip()[:1] == "{" and not _BESIDE.search(text):
        value = _attempt(ast.literal_eval, text.strip())
    return value if isinstance(value, dict) else None


def _python(item: str) -> Any:
    """The value of one item of a Python list: None where it stands for a missing one.

    Raises:
        ValueError: a string that Python does not read.
    """
    if item in ("None", "nan", "NaN", "<NA>"):
        return None
    if (value := _attempt(ast.literal_eval, item)) is None:
        raise ValueError("a string that Python does not read")
    return value


def _json(text: str) -> Any:
    return _attempt(json.loads, text)


def _attempt(read: Callable[[str], Any], text: str) -> Any:
    """What a parser makes of a text, None where it refuses it."""
    try:
        return read(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
