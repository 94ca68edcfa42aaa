"""Records whose columns have names of their own, under the names of the input contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.landing.refusal import Refusal
from jobs.landing.values import is_missing, listed, mapped
from schemas.config import Source


@dataclass(frozen=True)
class Columns:
    """Which columns of a record are read, and as which fields.

    Args:
        fields: those of the input contract.
        sources: where some of them are; the others are in the columns of their name.
    """

    fields: frozenset[str]
    sources: Mapping[Any, Source]

    @property
    def read(self) -> frozenset[str]:
        """The columns that are read."""
        return self._own | {name for field, source in self.sources.items() for name in _names(source.column or field)}

    @property
    def _own(self) -> frozenset[str]:
        return self.fields - self.sources.keys()

    def unknown(self, record: Mapping[str, Any]) -> list[str]:
        """The columns of a record that are not read."""
        return sorted(record.keys() - self.read)

    def renamed(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record as the input contract has it, with its columns that are not read left out.

        Raises:
            Refusal: what a path leads through is no map, or no list.
        """
        if not self.sources:
            return record
        found = {name: record[name] for name in self._own & record.keys()}
        for field, source in self.sources.items():
            value = _value(record, source.column or field, field)
            if isinstance(value, str) and source.separator is not None:
                value = _split(value, source.separator)
            if source.default is not None and (is_missing(value) or value == ""):
                value = source.default
            if value is not None:
                found[field] = value
        return found


def _split(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _names(path: str) -> tuple[str, str]:
    """The column of the whole name, and the one that a path begins in."""
    return path, path.partition(".")[0].removesuffix("[]")


def _value(record: Mapping[str, Any], path: str, field: str) -> Any:
    """What is at the end of a path; a column that bears the whole name is preferred. None where nothing is."""
    if path in record:
        return record[path]
    value: Any = record
    for step in path.split("."):
        name, each = step.removesuffix("[]"), step.endswith("[]")
        value = _members(value, name, field=field, path=path)
        if each and value is not None:
            value = _elements(value, field=field, path=path)
    return value


def _members(value: Any, name: str, *, field: str, path: str) -> Any:
    """The member of a map, or those of a list's elements that the path has named as such."""
    if isinstance(value, _Each):
        found = [_members(one, name, field=field, path=path) for one in value]
        return _Each(one for one in found if not is_missing(one))
    if value is None or is_missing(value):
        return None
    if isinstance(value, str) and (text := mapped(value)) is not None:
        value = text
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)  # what Parquet makes of a map
    if not isinstance(value, Mapping):
        raise Refusal(f"{field}_type", f"{value!r:.100} has no member {name!r}; clean.columns has the path {path}")
    return value.get(name)


def _elements(value: Any, *, field: str, path: str) -> "_Each":
    if isinstance(value, _Each):
        return _Each(element for one in value for element in _elements(one, field=field, path=path))
    if isinstance(value, str):
        try:
            value = listed(value)
        except ValueError as error:
            raise Refusal(f"{field}_type", f"{error}; clean.columns has the path {path}") from None
    if not isinstance(value, list):
        raise Refusal(f"{field}_type", f"{value!r:.100} is no list; clean.columns has the path {path}")
    return _Each(one for one in value if not is_missing(one))


class _Each(list[Any]):
    """Elements of a list that a path names with `[]`."""
