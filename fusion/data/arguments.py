"""Arguments within their ranges: what is refused is told by its name, what it held and what is expected."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def at_least(least: int, **values: float) -> None:
    """Raises ValueError where a value is below `least`."""
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name} {value}: expected {least} or more")


def above_0(**values: float) -> None:
    """Raises ValueError where a value is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} {value}: expected more than 0")


def shares(**values: float) -> None:
    """Raises ValueError where a value is below 0, or 1 or more."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} {value}: expected a share, at least 0 and below 1")


def one_of(known: tuple[str, ...], **values: str) -> None:
    """Raises ValueError where a value is none of the known."""
    for name, value in values.items():
        if value not in known:
            raise ValueError(f"{name} {value!r}: expected one of {', '.join(known)}")


def named(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The class that a table, name → `module:class`, has under a name.

    Raises:
        ValueError: none; the message calls the class a `kind` and lists the names there are.
    """
    if name not in table:
        raise ValueError(f"{kind} {name!r}: unknown; choose one of {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def created(kind: str, table: Mapping[str, str], name: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """An object of that class.

    Raises:
        ValueError: there is no such class, or it takes no such parameter.
    """
    made = named(kind, table, name)
    try:
        return made(**(parameters or {}))
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error
