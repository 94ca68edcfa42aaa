"""What an item's record says of it beside its texts: sparse rows of hashed values and numbers, embedded as columns."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import evenly_spaced

VALUES, NUMBERS = 1 << 20, 1 << 16
"""Columns of hashed values, such as brand = acme, and after them those of numbers, such as the price."""
MAX_VALUES = 1024
"""Most values that an embedding tells apart, those of most items."""
MAX_NUMBER = float(np.finfo(np.float32).max)
MIN_ITEMS = 2
"""A value that fewer items have says nothing of another."""
MAX_DEVIATIONS = 3.0
"""Where a standardised number is clipped."""
MAX_ROWS, ROWS_AT_ONCE = 20_000, 4096
"""Most rows that the axes are found from, evenly spaced, and that are dense at once."""


def attribute_rows(records: Iterable[Mapping[str, str | float]]) -> sp.csr_matrix:
    """CSR float32 [N, VALUES + NUMBERS]: what each record says, by name.

    A text is a value: 1 in the column of its name and itself, folded in case and white space. One that is a number is a
    number too, and a JSON list of texts is several values. A number stands in the column of its name. What is not said
    has no entry, so that a number of 0 is told from none. The columns depend on names and values alone, so that rows of
    any two nights can be compared.

    >>> rows = attribute_rows([{"brand": "Acme", "price": 0.0}, {"brand": " ACME ", "year": "1999"}, {}])
    >>> np.diff(rows.indptr).tolist(), (rows[0, :VALUES] @ rows[1, :VALUES].T).toarray().tolist()
    ([2, 3, 0], [[1.0]])
    """
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.utils import murmurhash3_32

    said = [list(_said(record)) for record in records]
    if not said:
        return sp.csr_matrix((0, VALUES + NUMBERS), dtype=np.float32)
    values = ([f"{name}={value}" for name, value in each if isinstance(value, str)] for each in said)
    hashed = FeatureHasher(VALUES, input_type="string", alternate_sign=False, dtype=np.float32).transform(values)
    hashed.data[:] = 1.0
    numbers = [
        {murmurhash3_32(name, positive=True) % NUMBERS: value for name, value in each if not isinstance(value, str)}
        for each in said
    ]
    columns = np.array([column for row in numbers for column in sorted(row)], np.int32)
    data = np.array([row[column] for row in numbers for column in sorted(row)], np.float32)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in numbers])]).astype(np.int32)
    return sp.hstack([hashed, sp.csr_matrix((data, columns, indptr), (len(said), NUMBERS))], "csr", np.float32)


def _said(record: Mapping[str, str | float]) -> Iterator[tuple[str, str | float]]:
    for name, given in record.items():
        if not isinstance(given, str):
            yield name, given
            continue
        for text in _texts(given):
            if folded := " ".join(text.split()).casefold():
                yield name, folded
        try:
            number = float(given)
        except ValueError:
            continue
        if abs(number) <= MAX_NUMBER:  # false of what is no number
            yield name, number


def _texts(given: str) -> list[str]:
    """The texts of a JSON list of texts, or the text itself."""
    if given.startswith("["):
        try:
            several = json.loads(given)
        except ValueError:
            return [given]
        if isinstance(several, list) and all(isinstance(each, str) for each in several):
            return several
    return [given]


@dataclass(frozen=True)
class AttributeEmbedding:
    """Rows of `attribute_rows` → columns whose dot products compare items: principal axes of their values and numbers.

    A value weighs 1 + ln((1 + n) / (1 + n_v)), where n_v of n items have it; together an item's values have length 1,
    less their mean over the items. Its k numbers are standardised, clipped and divided by the root of k. What an item
    does not say is at the mean, and what no fitted item said, such as a new brand, is not read.

    Attributes:
        values: int64 [v], columns of the values that are told apart, ascending.
        weight, centre: float32 [v].
        numbers: int64 [k], columns of the numbers, ascending.
        mean, deviation: float32 [k].
        axes: float32 [v + k, p], orthonormal.
        variance: float32 [p], of the fitted items along each axis, descending.
    """

    values: NDArray[np.int64]
    weight: NDArray[np.float32]
    centre: NDArray[np.float32]
    numbers: NDArray[np.int64]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    axes: NDArray[np.float32]
    variance: NDArray[np.float32]

    @classmethod
    def fit(cls, rows: sp.csr_matrix, *, dims: int) -> Self:
        """
        Args:
            rows: CSR float32 [n, VALUES + NUMBERS], of items with attributes. With no row, p is 0.
            dims: p is the least of this and the number of directions that vary.
        """
        columns = sp.csc_matrix(rows if rows.shape[0] else (0, VALUES + NUMBERS), dtype=np.float64)
        n, count = columns.shape[0], np.diff(columns.indptr)
        values = np.flatnonzero((count[:VALUES] >= MIN_ITEMS) & (count[:VALUES] < n))
        values = np.sort(values[np.argsort(-count[values], kind="stable")[:MAX_VALUES]])
        numbers, mean, deviation = _moments(columns)
        unfitted = cls(
            values,
            (1 + np.log((1 + n) / (1 + count[values]))).astype(np.float32),
            np.zeros(len(values), np.float32),
            numbers,
            mean.astype(np.float32),
            deviation.astype(np.float32),
            np.zeros((len(values) + len(numbers), 0), np.float32),
            np.zeros(0, np.float32),
        )
        return unfitted._with_axes(columns.tocsr(), dims=dims)

    def _with_axes(self, rows: sp.csr_matrix, *, dims: int) -> Self:
        rows = rows[evenly_spaced(np.arange(rows.shape[0]), most=MAX_ROWS)]
        if not rows.shape[0]:
            return self
        dense = self._columns(rows).astype(np.float64)
        said = dense[:, : len(self.values)].any(axis=1)
        centre = dense[said, : len(self.values)].mean(axis=0) if said.any() else self.centre.astype(np.float64)
        dense[said, : len(self.values)] -= centre
        # eigh returns eigenvalues in ascending order; those that are 0 but for rounding are dropped
        variance, axes = np.linalg.eigh(dense.T @ dense / len(dense))
        order = np.argsort(-variance, kind="stable")[:dims]
        order = order[variance[order] > 1e-9 * max(1.0, variance.max(initial=0))]
        axes = axes[:, order]
        sign = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(order))]) if len(order) else 1
        found = {"centre": centre, "axes": axes * sign, "variance": variance[order]}
        return replace(self, **{name: array.astype(np.float32) for name, array in found.items()})

    @property
    def dims(self) -> int:
        return self.axes.shape[1]

    def __call__(self, rows: sp.csr_matrix, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """float32 [N, p], exactly 0 where the mask is False, and where no fitted item said what is said."""
        embedded = np.zeros((len(mask), self.dims), np.float32)
        here = np.flatnonzero(mask & (self.dims > 0))
        for start in range(0, len(here), ROWS_AT_ONCE):
            some = here[start : start + ROWS_AT_ONCE]
            embedded[some] = self._columns(rows[some]) @ self.axes
        return embedded

    def _columns(self, rows: sp.csr_matrix) -> NDArray[np.float32]:
        """float32 [n, v + k]."""
        weighed = sp.csr_matrix(rows[:, self.values].multiply(self.weight[None]))
        length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).reshape(-1, 1))
        dense = np.zeros((rows.shape[0], len(self.values) + len(self.numbers)), np.float32)
        dense[:, : len(self.values)] = weighed.toarray() / np.where(length > 0, length, 1) - (length > 0) * self.centre
        number = rows[:, self.numbers].tocoo()
        standard = (number.data - self.mean[number.col]) / self.deviation[number.col]
        clipped = np.clip(standard, -MAX_DEVIATIONS, MAX_DEVIATIONS) / np.sqrt(max(1, len(self.numbers)))
        dense[number.row, len(self.values) + number.col] = clipped
        return dense

    def state(self) -> dict[str, NDArray[Any]]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`; other entries are ignored."""
        return cls(**{entry.name: state[entry.name] for entry in fields(cls)})


def _moments(columns: sp.csc_matrix) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The columns of numbers that differ between items, [k], with the mean and deviation of each where it is known."""
    found = [
        (at, known.mean(), known.std())
        for at in VALUES + np.flatnonzero(np.diff(columns.indptr)[VALUES:] >= MIN_ITEMS)
        for known in [columns.data[columns.indptr[at] : columns.indptr[at + 1]]]
    ]
    varied = [(at, mean, std) for at, mean, std in found if std > 1e-6 * max(1e-6, abs(mean))]
    at, mean, deviation = (np.array([each[part] for each in varied], np.float64) for part in range(3))
    return at.astype(np.int64), mean, deviation
